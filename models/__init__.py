"""Network definitions (Keras, one file per architecture), the weight zoo and the inference runtime.

Importing this package imports nothing else: `nicodec info` and `nicodec --help` never load a network.
"""
