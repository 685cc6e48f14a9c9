"""Fills pictures up to the sizes that transforms take."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

_Sample = TypeVar("_Sample", np.uint8, np.uint16)


def padded(pixels: npt.NDArray[_Sample], multiple: int) -> npt.NDArray[_Sample]:
    """Three channels and sides that are multiples of a number; the edge pixels repeat, which costs few bits.

    Args:
        pixels: (h, w, 1) or (h, w, 3).
        multiple: of which both sides become multiples, by rows at the bottom and columns on the right.
    """
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    bottom, right = (-side % multiple for side in pixels.shape[:2])
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else pixels
