"""Runs the pre- and post-processor of a sandwich over pictures of any size, in overlapping tiles where they are large.

Pictures are integers on both sides, and only tiles are ever floats: memory grows with the picture by its bytes alone. Inside,
samples are float32 (channels, h, w), 0..1 of their range less one half.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..models.runtime import FloatNetwork
from .base import Progress
from .sandwich_model import Net
from .tiling import Span, tiles

Pixels = npt.NDArray[np.uint8]
Whole = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
"""Samples of 8 or of 16 bits, over the whole range of either."""

Samples = npt.NDArray[np.float32]

_MARGIN = 8
"""Pixels beyond a tile that the interpolations reach, at either resolution."""


def before(network: FloatNetwork, net: Net, pixels: Whole, step: int, factor: int, progress: Progress) -> Any:
    """Runs the pre-processor, then makes its result smaller by bicubic interpolation.

    Args:
        network: from (1, 3 + 1, h, w) to (1, channels, h, w).
        net: what it needs.
        pixels: (h, w, 3), sides multiples of the factor.
        step: quantisation step, 1..255.
        factor: by how much the result is smaller, 1 or 2.
        progress: told after every tile.

    Returns:
        uint8 (h / factor, w / factor, channels).
    """
    height, width, _ = pixels.shape

    def run(y: Span, x: Span) -> Any:
        planes = to_samples(pixels[y.outer(), x.outer()])
        result = _run(network, net, planes, step)
        box = (x.inner().start, y.inner().start, x.inner().stop, y.inner().stop)
        return to_pixels(_resized(result, box, factor, Image.Resampling.BICUBIC), np.uint8)

    return _tiled(run, height, width, net, factor, progress)


def behind(
    network: FloatNetwork,
    net: Net,
    pixels: Pixels,
    step: int,
    factor: int,
    progress: Progress,
    kind: type[np.uint8] | type[np.uint16],
) -> Any:
    """Makes a picture larger by Lanczos interpolation, then runs the post-processor.

    Args:
        network: from (1, channels + 1, h, w) to (1, 3, h, w).
        net: what it needs.
        pixels: (h / factor, w / factor, channels).
        step: quantisation step, 1..255.
        factor: by how much the result is larger, 1 or 2.
        progress: told after every tile.
        kind: of the result.

    Returns:
        (h, w, 3) of that kind.
    """
    height, width, _ = pixels.shape

    def run(y: Span, x: Span) -> Any:
        planes = _enlarged(pixels, y, x, factor)
        result = _run(network, net, planes, step)
        return to_pixels(result[:, y.inner(), x.inner()], kind)

    return _tiled(run, factor * height, factor * width, net, 1, progress)


def _tiled(run: Callable[[Span, Span], Any], height: int, width: int, net: Net, factor: int, progress: Progress) -> Any:
    """Puts together what a function makes of every tile of so many pixels; results are smaller by a factor."""
    align = net.alignment * factor
    rows, columns = -(-height // align), -(-width // align)
    halo = -(-(net.halo + (_MARGIN if factor > 1 else 0)) // align)
    places = list(tiles(rows, columns, halo, align))
    result: Any = None
    for done, (y, x) in enumerate(places, 1):
        y, x = _in_pixels(y, align, height), _in_pixels(x, align, width)
        tile = run(y, x)
        if result is None:
            result = np.empty((height // factor, width // factor, tile.shape[2]), tile.dtype)
        result[y.start // factor : y.stop // factor, x.start // factor : x.stop // factor] = tile
        progress(done, len(places))
    return result


def _in_pixels(span: Span, align: int, length: int) -> Span:
    """A span of aligned positions in pixels, of which the last may be cut off by the end of the picture."""
    edges = (span.start, span.stop, span.outer_start, span.outer_stop)
    return Span(*(min(length, edge * align) for edge in edges))


def _run(network: FloatNetwork, net: Net, samples: Samples, step: int) -> Samples:
    """Runs a network on one tile (channels, h, w); its last row and column repeat up to the alignment."""
    _, height, width = samples.shape
    align = net.alignment
    padded = np.pad(samples, ((0, 0), (0, -height % align), (0, -width % align)), mode="edge")
    told = np.full((1, *padded.shape[1:]), condition(step), np.float32)
    (result,) = network(np.concatenate([padded, told])[None])
    return np.asarray(result[0][:, :height, :width])


def _enlarged(pixels: Pixels, y: Span, x: Span, factor: int) -> Samples:
    """The samples of a tile, with its halo, of a picture that is enlarged."""
    if factor == 1:
        return to_samples(pixels[y.outer(), x.outer()])
    height, width, _ = pixels.shape
    bounds = [
        (max(0, span.outer_start // factor - _MARGIN), min(length, -(-span.outer_stop // factor) + _MARGIN))
        for span, length in ((y, height), (x, width))
    ]
    (top, bottom), (left, right) = bounds
    samples = to_samples(pixels[top:bottom, left:right])
    box = (
        x.outer_start / factor - left,
        y.outer_start / factor - top,
        x.outer_stop / factor - left,
        y.outer_stop / factor - top,
    )
    return _resized(samples, box, 1 / factor, Image.Resampling.LANCZOS)


def _resized(
    samples: Samples, box: tuple[float, float, float, float], factor: float, method: Image.Resampling
) -> Samples:
    """A part of samples, smaller by a factor, by Pillow, whose filters see what is around the part."""
    left, top, right, bottom = box
    if factor == 1:
        return samples[:, int(top) : int(bottom), int(left) : int(right)]
    size = round((right - left) / factor), round((bottom - top) / factor)
    return np.stack([np.asarray(Image.fromarray(plane).resize(size, method, box=box)) for plane in samples])


def condition(step: int) -> float:
    """What the networks are told of a quantisation step: -0.5 for the finest, 0.5 for the coarsest.

    >>> condition(16)
    0.0
    """
    return math.log2(step) / 8.0 - 0.5


def to_samples(pixels: Whole) -> Samples:
    """Integers (h, w, channels) as samples."""
    peak = np.iinfo(pixels.dtype).max
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
    planes -= np.float32(peak / 2)
    planes /= np.float32(peak)
    return planes


def to_pixels(samples: Samples, kind: type[np.uint8] | type[np.uint16]) -> Any:
    """The reverse of `to_samples`, clipped, halves rounded up."""
    peak = np.iinfo(kind).max
    scaled = samples * np.float32(peak)
    scaled += np.float32(peak / 2 + 0.5)
    np.clip(scaled, 0, peak, out=scaled)
    return np.ascontiguousarray(scaled.astype(kind).transpose(1, 2, 0))
