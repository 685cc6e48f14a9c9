"""Pictures of more than 8 bits for measurements, made of pictures of 8 bits."""

import zlib

import numpy as np

from ..images import Picture
from .sweeps import Words

MOST_BITS = 16
_FULL = 65535


def deepened(picture: Picture, bits: int, name: str) -> Words:
    """Samples of so many bits that round to those of the picture: each lies anywhere within its 8-bit step.

    What is added is noise, no detail: it can be coded at its price in bits or lost.

    Args:
        picture: of 8 bits.
        bits: 9 to 16.
        name: of the picture; the same name gives the same noise.

    Returns:
        uint16 in the shape of the pixels, of the full range 0..65535, with as many values as the bits tell apart.
    """
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    peak = 2**bits - 1
    # No nearer to the next 8-bit value than rounding to so many bits may go.
    reach = 0.5 - 0.5 * 255.0 / peak
    dithered = picture.pixels + rng.uniform(-reach, reach, picture.pixels.shape)
    whole = np.clip(np.rint(dithered * (peak / 255.0)), 0, peak)
    found: Words = np.rint(whole * (_FULL / peak)).astype(np.uint16)
    return found
