"""Pictures of more than 8 bits for measurements, made of pictures of 8 bits."""

import zlib
from dataclasses import replace

import numpy as np

from ..errors import RequestError
from ..image_samples import reduce_depth
from ..images import Picture

MOST_BITS = 16
_BYTE = 8
_FULL = 65535


def deepened(picture: Picture, bits: int, name: str) -> Picture:
    """The picture with samples of so many bits that round to its own: each lies anywhere within its 8-bit step.

    What is added is noise, no detail: it can be coded at its price in bits or lost.

    Args:
        picture: of 8 bits.
        bits: 9 to 16.
        name: of the picture; the same name gives the same noise.

    Returns:
        A picture whose `deep` has as many values as the bits tell apart, over the full range 0..65535.

    Raises:
        RequestError: the picture had more than 8 bits.
    """
    if picture.source_depth > _BYTE:
        raise RequestError(f"{name} has more than 8 bits already: give pictures of 8")
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    peak = 2**bits - 1
    # No nearer to the next 8-bit value than rounding to so many bits may go.
    reach = 0.5 - 0.5 * 255.0 / peak
    dithered = picture.pixels + rng.uniform(-reach, reach, picture.pixels.shape)
    whole = np.clip(np.rint(dithered * (peak / 255.0)), 0, peak)
    deep = np.rint(whole * (_FULL / peak)).astype(np.uint16)
    return replace(picture, pixels=reduce_depth(deep), deep=deep, source_depth=MOST_BITS)
