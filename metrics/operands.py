"""What every full-reference metric asks of its two pictures."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RequestError


def require_same_kind(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> None:
    """Raise `RequestError` unless both arrays have one shape, one numeric dtype and at least one sample."""
    described = f"{a.dtype}{a.shape} and {b.dtype}{b.shape}"
    if a.shape != b.shape:
        raise RequestError(f"pictures of different shapes cannot be compared ({described}): crop or convert one")
    if a.dtype != b.dtype or a.dtype.kind not in "uif":
        raise RequestError(f"pictures must share one integer or float dtype ({described}): convert one")
    if a.size == 0:
        raise RequestError(f"empty pictures cannot be compared ({described})")


def as_planes(picture: npt.NDArray[np.uint8]) -> list[npt.NDArray[np.uint8]]:
    """The channels of a uint8 picture, shape (H, W) or (H, W, C), as C views of shape (H, W).

    Raises:
        RequestError: the array has another dtype or number of dimensions.
    """
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3):
        raise RequestError(f"need a uint8 picture (H, W) or (H, W, C), not {picture.dtype}{picture.shape}: convert it")
    return [picture] if picture.ndim == 2 else [picture[..., channel] for channel in range(picture.shape[2])]
