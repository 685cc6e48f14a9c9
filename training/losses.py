"""Distortion measures as training losses, in `keras.ops` and float32."""

from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..models.keras_ops import ops

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the five MS-SSIM scales: Wang, Simoncelli, Bovik 2003, section 3.2."""

_SIZE, _SIGMA, _C1, _C2 = 11, 1.5, 0.01**2, 0.03**2


def mean_squared_error(a: Any, b: Any) -> Any:
    """Mean squared error on the 0..255 scale of images in [0, 1]."""
    return ops.mean(ops.square(a - b)) * 255.0**2


def colours_in_turn(step: int, count: int) -> npt.NDArray[np.int32]:
    """The colour channel that each of `count` images is compared in at a step, (count,); all three take turns.

    MS-SSIM pools the three channels. Taking one per crop sees all of them over three steps at a third of the cost; luma
    alone would leave chroma errors unseen that lower the metric in red and blue.
    """
    return ((np.arange(count) + step) % 3).astype(np.int32)


def one_colour_each(pixels: Any, colours: Any) -> Any:
    """One colour channel of every image.

    Args:
        pixels: (n, h, w, 3).
        colours: integers (n,), from `colours_in_turn`.

    Returns:
        (n, h, w, 1).
    """
    chosen = ops.one_hot(colours, 3, dtype="float32")
    return ops.sum(pixels * chosen[:, None, None, :], axis=-1, keepdims=True)


def ms_ssim(a: Any, b: Any) -> Any:
    """Mean of `ms_ssim_of_each` over a batch."""
    return ops.mean(ms_ssim_of_each(a, b))


def ms_ssim_of_each(a: Any, b: Any) -> Any:
    """MS-SSIM of each image of a batch, differentiable.

    Wang, Simoncelli, Bovik 2003. The Gaussian window is applied as two products with banded matrices: on a CPU that is
    several times faster than depthwise convolutions. Contrast terms are clamped to a small positive number because
    their fractional powers have no gradient at or below zero. Crops too small for the window at all five scales use
    the scales that fit, with their exponents scaled up to the same sum.

    Args:
        a: images (n, h, w, c) in [0, 1]; h and w fixed, at least 22 and multiples of 16.
        b: the same shape.

    Returns:
        (n,), 1 for equal images.
    """
    result = 1.0
    exponents = _exponents(min(a.shape[1:3]))
    for scale, weight in enumerate(exponents):
        luminance, contrast = _ssim_terms(a, b)
        last = scale == len(exponents) - 1
        term = ops.mean(luminance * contrast if last else contrast, axis=(1, 2, 3))
        result = result * ops.power(ops.maximum(term, 1e-4), weight)
        if not last:
            a, b = (ops.average_pool(x, 2, 2, data_format="channels_last") for x in (a, b))
    return result


def _exponents(side: int) -> list[float]:
    fitting = [w for scale, w in enumerate(WEIGHTS) if side >> scale >= _SIZE]
    return [w * sum(WEIGHTS) / sum(fitting) for w in fitting]


def _ssim_terms(a: Any, b: Any) -> tuple[Any, Any]:
    planes = ops.concatenate([a, b, a * a + b * b, a * b], axis=-1)
    blurred = _blur(ops.transpose(planes, (0, 3, 1, 2)))
    mean_a, mean_b, squares, product = ops.split(blurred, 4, axis=1)
    mean_product, mean_squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    luminance = (2.0 * mean_product + _C1) / (mean_squares + _C1)
    contrast = (2.0 * (product - mean_product) + _C2) / (squares - mean_squares + _C2)
    return luminance, contrast


def _blur(planes: Any) -> Any:
    height, width = planes.shape[2:]
    rows, columns = ops.convert_to_tensor(_band(height)), ops.convert_to_tensor(_band(width))
    return ops.matmul(rows, ops.matmul(planes, ops.transpose(columns)))


@lru_cache
def _band(size: int) -> npt.NDArray[np.float32]:
    """Matrix (size - 10, size) whose rows hold the normalised Gaussian window at each valid position."""
    offsets = np.arange(_SIZE) - _SIZE // 2
    window = np.exp(-0.5 * (offsets / _SIGMA) ** 2)
    window /= window.sum()
    band = np.zeros((size - _SIZE + 1, size), np.float32)
    for row in range(len(band)):
        band[row, row : row + _SIZE] = window
    return band
