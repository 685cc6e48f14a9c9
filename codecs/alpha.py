"""Lossless coding of an alpha plane: a whole-plane predictor, then DEFLATE.

Segment payload: one byte that names the predictor, then a zlib stream (RFC 1950) of the residuals modulo 256 in raster
order. Predictors: 0 none, 1 left neighbour, 2 upper neighbour, 3 left + upper - upper left; outside the plane is 0.
"""

import zlib
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..errors import FormatError

Plane = npt.NDArray[np.uint8]

_LEFT, _UP = 1, 2  # bits of the predictor number


def encode_alpha(alpha: Plane) -> bytes:
    """Codes a uint8 (h, w) plane with whichever predictor makes it smallest."""
    return _encoded(alpha.tobytes(), alpha.shape[1])


@lru_cache(maxsize=1)  # a search for a rate codes the same plane again and again
def _encoded(samples: bytes, width: int) -> bytes:
    alpha = np.frombuffer(samples, np.uint8).reshape(-1, width)
    return min((bytes([mode]) + zlib.compress(_residual(alpha, mode).tobytes(), 9) for mode in range(4)), key=len)


def decode_alpha(payload: bytes, height: int, width: int) -> Plane:
    """Restores what `encode_alpha` coded.

    Raises:
        FormatError: the payload does not hold exactly one plane of that size.
    """
    if not payload or payload[0] > (_LEFT | _UP):
        raise FormatError("the alpha segment is damaged: get an undamaged copy of the file")
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(payload[1:], height * width + 1)
    except zlib.error as error:
        raise FormatError(f"the alpha segment is damaged ({error}): get an undamaged copy of the file") from error
    if len(raw) != height * width or not inflate.eof or inflate.unused_data:
        raise FormatError("the alpha segment has the wrong size: get an undamaged copy of the file")
    return _restored(np.frombuffer(raw, np.uint8).reshape(height, width), payload[0])


def _residual(plane: Plane, mode: int) -> Plane:
    """Differences modulo 256 along the axes that the mode names; the first row and column are kept."""
    zero = np.uint8(0)
    if mode & _LEFT:
        plane = np.diff(plane, axis=1, prepend=zero)
    if mode & _UP:
        plane = np.diff(plane, axis=0, prepend=zero)
    return plane


def _restored(residual: Plane, mode: int) -> Plane:
    if mode & _UP:
        residual = np.cumsum(residual, axis=0, dtype=np.uint8)
    if mode & _LEFT:
        residual = np.cumsum(residual, axis=1, dtype=np.uint8)
    return residual
