"""Runs the two networks of the embedded codec, in overlapping tiles where a picture is large."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

import numpy as np

from ..bitstream.code_context import Codes
from ..bitstream.code_trees import Cells
from ..errors import ModelError
from ..models.runtime import FloatNetwork, load_float
from ..models.zoo import Model
from . import embedded_model
from .base import Progress, no_progress
from .cells import CellTables
from .samples import STRIDE, Floats, Pixels, to_floats, to_pixels
from .tiling import Span, tiles

WHOLE_PIXELS = 1 << 21
"""Pixels up to which a picture runs in one piece: a quarter of a kilobyte of memory for each."""

OUTER_PIXELS = 1024
"""Side of a tile in pixels, with its halo, which is at most half of it: see `embedded_model`."""


class EmbeddedEngine:
    """The engine of the embedded codec; see `engine.Engine`. Loads each network when it is first needed.

    Args:
        model: from the zoo.
        backend: inference runtime, see `models.runtime`.
        threads: threads of the networks, None for all processors.

    Raises:
        ModelError: the model's files are missing or damaged.
    """

    def __init__(self, model: Model, backend: str, threads: int | None) -> None:
        self._network = partial(load_float, model, backend=backend, threads=threads)
        self._model = embedded_model.load(model)

    def analyse(self, pixels: Pixels, levels: int, progress: Progress = no_progress) -> Codes:
        """See `Engine.analyse`."""
        encoder, tables = self._network("encoder"), self._model.tables
        height, width = (side // STRIDE for side in pixels.shape[:2])
        cells = tables.trees.roots(height, width)
        # Blocks are analysed each by itself.
        places = _tiles(height, width, 0)
        for done, (y, x) in enumerate(places):
            block = pixels[y.core(STRIDE), x.core(STRIDE)]
            shape = (len(cells), block.shape[0] // STRIDE, block.shape[1] // STRIDE)
            cells[:, y.core(), x.core()] = tables.find(_only(encoder(to_floats(block)), shape))
            progress(done + 1, len(places))
        codes = np.empty((levels, tables.trees.channels, height, width), np.uint8)
        for level in range(levels):
            codes[level] = tables.trees.codes(cells, level)
        return codes

    def synthesise(
        self, codes: Sequence[Codes], levels: Sequence[int], progress: Progress = no_progress
    ) -> list[Pixels]:
        """See `Engine.synthesise`."""
        restorer = self._restorer()
        cells = self._roots(codes[0])
        pictures: list[Pixels] = []
        for level, layer in enumerate(codes[: levels[-1] + 1]):
            self._model.context.trees.advance(cells, level, layer)
            if level in levels:
                pictures.append(restorer.restore(cells, _part(progress, len(pictures), len(levels))))
        return pictures

    def synthesise_arriving(self, codes: Iterable[Codes]) -> Iterator[Pixels]:
        """See `Engine.synthesise_arriving`."""
        restorer = self._restorer()
        cells: Cells | None = None
        for level, layer in enumerate(codes):
            cells = self._roots(layer) if cells is None else cells
            self._model.context.trees.advance(cells, level, layer)
            yield restorer.restore(cells)

    def _roots(self, layer: Codes) -> Cells:
        return self._model.context.trees.roots(*layer.shape[1:])

    def _restorer(self) -> "_Restorer":
        return _Restorer(self._network("decoder"), self._model.tables, self._model.halo)


class _Restorer:
    """Turns cells into pictures."""

    def __init__(self, decoder: FloatNetwork, tables: CellTables, halo: int) -> None:
        self._decoder, self._tables, self._halo = decoder, tables, halo

    def restore(self, cells: Cells, progress: Progress = no_progress) -> Pixels:
        """The picture (16 h, 16 w, 3) of cells (coefficients, h, w)."""
        _, height, width = cells.shape
        picture = np.empty((height * STRIDE, width * STRIDE, 3), np.uint8)
        places = _tiles(height, width, self._halo)
        for done, (y, x) in enumerate(places):
            restored = self._run(cells[:, y.outer(), x.outer()])
            pixels = to_pixels(restored[None, :, y.inner(STRIDE), x.inner(STRIDE)])
            picture[y.core(STRIDE), x.core(STRIDE)] = pixels
            progress(done + 1, len(places))
        return picture

    def _run(self, cells: Cells) -> Floats:
        """What the network makes of cells (coefficients, h, w): (3, 16 h, 16 w)."""
        restored = self._decoder(self._tables.means_of(cells)[None], self._tables.deviations_of(cells)[None])
        return _only(restored, (3, cells.shape[1] * STRIDE, cells.shape[2] * STRIDE))


def _only(results: Sequence[Floats], shape: tuple[int, ...]) -> Floats:
    """The only result of a network for one picture, without the axis of pictures.

    Raises:
        ModelError: there are more, or it has another shape.
    """
    shapes = [result.shape for result in results]
    if shapes != [(1, *shape)]:
        raise ModelError(f"a network gives {shapes} instead of {(1, *shape)}: reinstall the model")
    alone: Floats = results[0][0]
    return alone


def _part(progress: Progress, done: int, total: int) -> Progress:
    """The progress of one of several equal parts of a task."""
    return lambda step, steps: progress(done * steps + step, total * steps)


def _tiles(height: int, width: int, halo: int) -> list[tuple[Span, Span]]:
    return list(tiles(height, width, halo, STRIDE, WHOLE_PIXELS, OUTER_PIXELS - 2 * STRIDE * halo))
