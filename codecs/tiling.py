"""Runs a transform over a large picture in overlapping tiles, with the same result as in one piece.

Every tile is processed with a halo at least as wide as the network's receptive field, and the halo's output is thrown
away. Memory then depends on the tile, not on the picture.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..models.runtime import Network
from .base import Progress

Quantiser = Callable[[npt.NDArray[Any]], npt.NDArray[np.int8]]
"""Latents in, integers of the codebook out."""

WHOLE_PIXELS = 1536 * 1536
"""Pixels up to which a picture runs in one piece."""

TILE_PIXELS = 1152
"""Side of a tile in pixels, without its halo."""


@dataclass(frozen=True)
class Span:
    """A stretch of latent positions along one axis: the tile itself and the tile with its halo."""

    start: int
    stop: int
    outer_start: int
    outer_stop: int

    def outer(self, scale: int = 1) -> slice:
        """The tile with halo, in positions times `scale`."""
        return slice(self.outer_start * scale, self.outer_stop * scale)

    def core(self, scale: int = 1) -> slice:
        """The tile without halo, in positions times `scale`."""
        return slice(self.start * scale, self.stop * scale)

    def inner(self, scale: int = 1) -> slice:
        """The tile without halo, counted from the start of the halo."""
        return slice((self.start - self.outer_start) * scale, (self.stop - self.outer_start) * scale)


def analyse(
    network: Network, pixels: npt.NDArray[np.uint8], channels: int, stride: int, halo: int, progress: Progress
) -> npt.NDArray[np.float32]:
    """Runs an analysis network.

    Args:
        network: uint8 (1, h, w, 3) to latents (1, channels, h/stride, w/stride).
        pixels: uint8 (h, w, 3), sides multiples of the stride.
        channels: latent channels.
        stride: pixels per latent position.
        halo: receptive field in latent positions.
        progress: told after every tile.

    Returns:
        float32 (channels, h/stride, w/stride).

    Raises:
        ModelError: the network gives another number of channels.
    """
    latents = np.empty((channels, pixels.shape[0] // stride, pixels.shape[1] // stride), np.float32)
    for place, tile in _analysed_tiles(network, pixels, channels, stride, halo, progress):
        latents[place] = tile
    return latents


def analyse_to_symbols(
    network: Network,
    pixels: npt.NDArray[np.uint8],
    channels: int,
    stride: int,
    halo: int,
    progress: Progress,
    quantise: Quantiser,
) -> npt.NDArray[np.int8]:
    """Like `analyse`, but each tile is quantised at once, so that a large picture takes a quarter of the memory.

    Args:
        network: as for `analyse`.
        pixels: as for `analyse`.
        channels: as for `analyse`.
        stride: as for `analyse`.
        halo: as for `analyse`.
        progress: as for `analyse`.
        quantise: applied to every tile.

    Returns:
        int8 (channels, h/stride, w/stride).

    Raises:
        ModelError: the network gives another number of channels.
    """
    symbols = np.empty((channels, pixels.shape[0] // stride, pixels.shape[1] // stride), np.int8)
    for place, tile in _analysed_tiles(network, pixels, channels, stride, halo, progress):
        symbols[place] = quantise(tile)
    return symbols


def synthesise(
    network: Network, symbols: npt.NDArray[Any], step: float, stride: int, halo: int, progress: Progress
) -> npt.NDArray[np.uint8]:
    """Runs a synthesis network; the mirror of `analyse_to_symbols`.

    Args:
        network: float32 (1, channels, h, w) to uint8 (1, h * stride, w * stride, 3).
        symbols: int8 or float32 (channels, h, w).
        step: what the symbols are multiplied by.
        stride: as for `analyse`.
        halo: as for `analyse`.
        progress: told after every tile.

    Returns:
        uint8 (h * stride, w * stride, 3).
    """
    _, height, width = symbols.shape
    pixels = np.empty((height * stride, width * stride, 3), np.uint8)
    places = list(tiles(height, width, halo, stride))
    for done, (y, x) in enumerate(places, 1):
        latents = np.multiply(symbols[None, :, y.outer(), x.outer()], step, dtype=np.float32, order="C")
        result = network(latents)
        pixels[y.core(stride), x.core(stride)] = result[0][y.inner(stride), x.inner(stride)]
        progress(done, len(places))
    return pixels


def _analysed_tiles(
    network: Network, pixels: npt.NDArray[np.uint8], channels: int, stride: int, halo: int, progress: Progress
) -> Iterator[tuple[tuple[slice, ...], npt.NDArray[Any]]]:
    """Where each tile's latents belong, and what the network gives for them."""
    places = list(tiles(pixels.shape[0] // stride, pixels.shape[1] // stride, halo, stride))
    for done, (y, x) in enumerate(places, 1):
        result = network(np.ascontiguousarray(pixels[y.outer(stride), x.outer(stride)])[None])
        if result.shape[1] != channels:
            raise ModelError(f"the encoder gives {result.shape[1]} channels, not {channels}: reinstall the model")
        yield (slice(None), y.core(), x.core()), result[0][:, y.inner(), x.inner()]
        progress(done, len(places))


def tiles(
    height: int, width: int, halo: int, stride: int, whole: int | None = None, side: int | None = None
) -> Iterator[tuple[Span, Span]]:
    """Cuts so many latent positions into tiles.

    Args:
        height: latent rows.
        width: latent columns.
        halo: latent positions around each tile.
        stride: pixels per latent position.
        whole: pixels up to which it stays one piece, None for `WHOLE_PIXELS`.
        side: longest side of a tile in pixels, without its halo, None for `TILE_PIXELS`.

    Yields:
        Rows and columns of every tile.
    """
    if height * width * stride**2 <= (WHOLE_PIXELS if whole is None else whole):
        yield Span(0, height, 0, height), Span(0, width, 0, width)
        return
    side = TILE_PIXELS if side is None else side
    for y in _spans(height, halo, stride, side):
        for x in _spans(width, halo, stride, side):
            yield y, x


def _spans(length: int, halo: int, stride: int, side: int) -> list[Span]:
    """Tiles of nearly equal length, none over `side` pixels."""
    count = -(-length * stride // side)
    edges = [length * k // count for k in range(count + 1)]
    return [Span(start, stop, max(0, start - halo), min(length, stop + halo)) for start, stop in pairwise(edges)]
