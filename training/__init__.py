"""Training: data, losses, the rate model, the loop and one small configuration file per model.

Needs the `train` extra (`pip install nicodec[train]`).
"""
