"""Runs the original residual GRU from its frozen graph: whole pictures, and all iterations up to the one that is wanted.

The graph has no memories to carry from one part of a picture to the next or from one level to the next. So there are no
tiles, large pictures are refused, and a picture that arrives level by level is restored from the start each time.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from ..bitstream.code_context import Codes
from ..errors import RequestError
from ..models.runtime import UnrolledNetwork
from .base import Progress, no_progress
from .recurrence import signed
from .samples import STRIDE, Floats, Pixels

MOST_PIXELS = 1536 * 1536
"""Of a picture: the published graph takes kilobytes of memory for each."""


class Unrolled:
    """The engine of a graph; see `engine.Engine`.

    Args:
        network: the graph.
    """

    def __init__(self, network: UnrolledNetwork) -> None:
        self._network = network

    def analyse(self, pixels: Pixels, levels: int, progress: Progress = no_progress) -> Codes:
        """See `Engine.analyse`."""
        height, width, _ = pixels.shape
        _require_whole(height // STRIDE, width // STRIDE)
        codes = self._network.analyse(pixels, levels)
        progress(levels, levels)
        # The sign of zero is zero, for which files have no code: it becomes -1, as in the original's own files.
        return np.ascontiguousarray(codes > 0).view(np.uint8)

    def synthesise(
        self, codes: Sequence[Codes], levels: Sequence[int], progress: Progress = no_progress
    ) -> list[Pixels]:
        """See `Engine.synthesise`."""
        _, height, width = codes[0].shape
        _require_whole(height, width)
        count = levels[-1] + 1
        restored = self._network.synthesise(signed(np.stack(codes[:count])), levels)
        progress(count, count)
        return [_to_pixels(picture) for picture in restored]

    def synthesise_arriving(self, codes: Iterable[Codes]) -> Iterator[Pixels]:
        """See `Engine.synthesise_arriving`."""
        arrived: list[Codes] = []
        for level, layer in enumerate(codes):
            arrived.append(layer)
            yield self.synthesise(arrived, [level])[0]


def _require_whole(height: int, width: int) -> None:
    """Refuses pictures, of so many code positions, that a graph needs too much memory for.

    Raises:
        RequestError: it is one.
    """
    if height * width * STRIDE**2 > MOST_PIXELS:
        raise RequestError(
            f"a picture of {width * STRIDE}x{height * STRIDE} is too large for a graph model, which cannot run in tiles: "
            f"use one of at most {MOST_PIXELS} pixels, or encode it with residual-gru"
        )


def _to_pixels(picture: Floats) -> Pixels:
    """Samples as bytes, clipped, halves rounded up as the original does."""
    samples: Floats = np.clip(picture + np.float32(0.5), 0, 255)
    return samples.astype(np.uint8)
