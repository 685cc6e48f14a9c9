"""Measurements: rate-distortion on a folder of pictures, curves against other codecs, speed and memory on this machine.

`python -m nicodec.evaluation --help` lists them; every number in the README comes from here.
"""
