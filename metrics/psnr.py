"""Peak signal-to-noise ratio."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from .operands import require_same_kind


def psnr(a: npt.NDArray[Any], b: npt.NDArray[Any], peak: float = 255.0) -> float:
    """Peak signal-to-noise ratio, 10 log10(peak² / MSE).

    The mean squared error pools all samples, so for RGB it is the mean over the three channels.

    Args:
        a: array of any shape, integer or float.
        b: array of the same shape and dtype.
        peak: the largest value a sample can have: 255 for 8 bits.

    Returns:
        Decibel; `inf` for equal arrays. Computed in float64.

    Raises:
        RequestError: shapes or dtypes differ, are not numeric, or the arrays are empty.
    """
    require_same_kind(a, b)
    error = np.subtract(a, b, dtype=np.float64)
    mse = float(np.mean(np.square(error, out=error)))
    return 10.0 * math.log10(peak * peak / mse) if mse else math.inf
