"""PSNR of pictures, in all the bits that they have."""

from .images import Picture, widened
from .metrics.psnr import psnr

_PEAK = 65535.0


def psnr_of(a: Picture, b: Picture) -> float:
    """PSNR over the colour samples of two pictures of one shape: in 16 bits if one of them has 16, else in 8.

    Returns:
        Decibel; `inf` for equal pictures.

    Raises:
        RequestError: the shapes differ.
    """
    if a.deep is None and b.deep is None:
        return psnr(a.pixels, b.pixels)
    first, second = (widened(one.pixels) if one.deep is None else one.deep for one in (a, b))
    return psnr(first, second, _PEAK)
