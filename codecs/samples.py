"""Samples as the networks of codecs of levels take and give them."""

import numpy as np
import numpy.typing as npt

from .level_header import STRIDE_LOG2

STRIDE = 1 << STRIDE_LOG2
"""Pixels per code position along each axis."""

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]


def to_floats(pixels: Pixels) -> Floats:
    """uint8 (h, w, 3) to float32 (1, 3, h, w), samples 0..1 less one half."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)[None]
    planes /= np.float32(255)
    planes -= np.float32(0.5)
    return planes


def to_pixels(picture: Floats) -> Pixels:
    """The reverse of `to_floats`, clipped, halves rounded up as the original does."""
    samples = picture[0] * np.float32(255)
    samples += np.float32(128)  # 127.5, and 0.5 to round
    np.clip(samples, 0, 255, out=samples)
    return np.ascontiguousarray(samples.astype(np.uint8).transpose(1, 2, 0))
