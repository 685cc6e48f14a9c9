"""Runs the pre- and post-processor of a sandwich over pictures of any size, in overlapping tiles where they are large.

Samples are float32 (channels, h, w), 0..1 of their range less one half.
"""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..models.runtime import FloatNetwork
from .base import Progress
from .sandwich_model import Net
from .tiling import tiles

Samples = npt.NDArray[np.float32]


def process(network: FloatNetwork, net: Net, samples: Samples, step: int, progress: Progress) -> Samples:
    """Runs one of the networks.

    Args:
        network: from (1, channels + 1, h, w) to (1, outputs, h, w).
        net: what it needs.
        samples: (channels, h, w).
        step: quantisation step, 1..255.
        progress: told after every tile.

    Returns:
        (outputs, h, w).
    """
    _, height, width = samples.shape
    align = net.alignment
    padded = np.pad(samples, ((0, 0), (0, -height % align), (0, -width % align)), mode="edge")
    planes = np.concatenate([padded, np.full((1, *padded.shape[1:]), condition(step), np.float32)])
    rows, columns = (side // align for side in planes.shape[1:])
    places = list(tiles(rows, columns, net.halo // align, align))
    result: Samples | None = None
    for done, (y, x) in enumerate(places, 1):
        (tile,) = network(np.ascontiguousarray(planes[None, :, y.outer(align), x.outer(align)]))
        if result is None:
            result = np.empty((tile.shape[1], *planes.shape[1:]), np.float32)
        result[:, y.core(align), x.core(align)] = tile[0][:, y.inner(align), x.inner(align)]
        progress(done, len(places))
    assert result is not None
    return result[:, :height, :width]


def condition(step: int) -> float:
    """What the networks are told of a quantisation step: -0.5 for the finest, 0.5 for the coarsest.

    >>> condition(16)
    0.0
    """
    return math.log2(step) / 8.0 - 0.5


def resized(samples: Samples, height: int, width: int, method: Image.Resampling) -> Samples:
    """Samples of another size, by Pillow."""
    planes = [np.asarray(Image.fromarray(plane).resize((width, height), method)) for plane in samples]
    return np.stack(planes)


def to_samples(pixels: npt.NDArray[np.uint8]) -> Samples:
    """uint8 (h, w, channels) as samples."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
    planes -= np.float32(127.5)
    planes /= np.float32(255)
    return planes


def to_pixels(samples: Samples) -> npt.NDArray[np.uint8]:
    """The reverse of `to_samples`, clipped, halves rounded up."""
    scaled = samples * np.float32(255)
    scaled += np.float32(128)  # 127.5, and 0.5 to round
    np.clip(scaled, 0, 255, out=scaled)
    return np.ascontiguousarray(scaled.astype(np.uint8).transpose(1, 2, 0))
