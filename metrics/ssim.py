"""Structural similarity: SSIM and its multi-scale form, MS-SSIM.

Sources: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity"
(2004); Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment" (2003). MS-SSIM here
gives the values of `msssim.py` of TensorFlow's residual-GRU image compression models, in whose terms learned codecs
report it.
"""

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .operands import as_planes, require_same_kind

_PEAK = 255.0
_C1 = (0.01 * _PEAK) ** 2
_C2 = (0.03 * _PEAK) ** 2
_WINDOW_SIZE = 11
_WINDOW_SIGMA = 1.5
# As published: the weights add up to 0.9999.
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)

_Plane = npt.NDArray[np.float64]


class _Similarity(NamedTuple):
    """Means over one plane: SSIM, and its contrast-structure factor without the luminance factor."""

    ssim: float
    contrast_structure: float


def ssim(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Structural similarity with the 11x11 Gaussian window, sigma 1.5, of the paper.

    Computed in float64 at the positions where the window fits entirely ('valid'), each channel on its own, and averaged
    over positions and channels. On a picture less than 11 samples high or wide the window shrinks to fit, and
    its sigma in proportion.

    Args:
        a: uint8 (H, W) or (H, W, C), values 0..255.
        b: uint8 of the same shape.

    Returns:
        Similarity in -1..1; 1 for equal pictures.

    Raises:
        RequestError: shapes differ, the dtype is not uint8 or the pictures are empty.
    """
    require_same_kind(a, b)
    pairs = zip(as_planes(a), as_planes(b), strict=True)
    return _mean([_similarity(x.astype(np.float64), y.astype(np.float64)).ssim for x, y in pairs])


def ms_ssim(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Multi-scale structural similarity over five scales.

    The product of the mean contrast-structure terms of scales 1 to 4 and the mean SSIM of scale 5, each to the power of
    its published weight. The means pool the channels before the powers are taken. Each scale halves the one before
    with a 2x2 box filter; an odd last row or column is repeated. The window is that of `ssim`, so there is no smallest
    picture, but below 161 samples a side it shrinks at the coarser scales and values compare only with those of
    pictures of the same size.

    Args:
        a: uint8 (H, W) or (H, W, C), values 0..255.
        b: uint8 of the same shape.

    Returns:
        Similarity in 0..1; 1 for equal pictures. Where a mean is negative (pictures that are negatives of one another)
        the power is undefined, and the result is 0.

    Raises:
        RequestError: shapes differ, the dtype is not uint8 or the pictures are empty.
    """
    require_same_kind(a, b)
    scores = [_scale_scores(x, y) for x, y in zip(as_planes(a), as_planes(b), strict=True)]
    pooled = [_mean(list(scale)) for scale in zip(*scores, strict=True)]
    return math.prod(math.pow(max(score, 0.0), weight) for score, weight in zip(pooled, _SCALE_WEIGHTS, strict=True))


def _scale_scores(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> list[float]:
    """The number that each scale contributes for one plane: contrast-structure, at the coarsest scale SSIM."""
    x, y = a.astype(np.float64), b.astype(np.float64)
    scores: list[float] = []
    for _ in _SCALE_WEIGHTS[:-1]:
        scores.append(_similarity(x, y).contrast_structure)
        x, y = _halve(x), _halve(y)
    return [*scores, _similarity(x, y).ssim]


def _similarity(x: _Plane, y: _Plane) -> _Similarity:
    """Local means, variances and covariance under the window, combined as in equation 13 of the 2004 paper."""
    window = _gaussian_window(min(_WINDOW_SIZE, *x.shape))
    mean_x, mean_y = _filter(x, window), _filter(y, window)
    variances = _filter(x * x, window) - mean_x * mean_x + (_filter(y * y, window) - mean_y * mean_y)
    covariance = _filter(x * y, window) - mean_x * mean_y
    structure = (2.0 * covariance + _C2) / (variances + _C2)
    luminance = (2.0 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
    return _Similarity(float(np.mean(luminance * structure)), float(np.mean(structure)))


def _gaussian_window(size: int) -> _Plane:
    """A size x size Gaussian that sums to 1, its sigma scaled with its size."""
    offsets = np.arange(size) - (size - 1) / 2
    sigma = _WINDOW_SIGMA * size / _WINDOW_SIZE
    window: _Plane = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2.0 * sigma * sigma))
    window /= window.sum()
    return window


def _filter(plane: _Plane, window: _Plane) -> _Plane:
    # scipy.signal takes most of a second to import; only those who measure pay for it.
    from scipy.signal import fftconvolve

    filtered: _Plane = fftconvolve(plane, window, mode="valid")
    return filtered


def _halve(plane: _Plane) -> _Plane:
    """Means of 2x2 blocks; an odd last row or column counts twice, which is the box filter with reflection."""
    height, width = plane.shape
    even = np.pad(plane, ((0, height % 2), (0, width % 2)), mode="edge")
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4.0


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
