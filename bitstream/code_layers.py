"""Layers of binary codes under a context of single codes; see `code_context`."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .code_context import BACK, CHANNEL, DOWN, MAX_BACK, NOTHING, PHASES, REACH, RIGHT, CodeContext, Codes
from .layer_coder import LayerCoder, Sites, Step

# Contexts are made for so many positions at once, so that memory stays small.
_BLOCK = 1 << 15


class CodeLayerCoder(LayerCoder):
    """See `LayerCoder`.

    Args:
        model: the entropy model.
        height: positions from top to bottom.
        width: positions from left to right.
    """

    def __init__(self, model: CodeContext, height: int, width: int) -> None:
        super().__init__(model.channels, model.tables, height, width)
        self._model = model
        padded = (MAX_BACK + 1, model.channels, height + 2 * REACH, width + 2 * REACH)
        self._known: Codes = np.zeros(padded, np.uint8)
        self._places = [self._padded(sites) for sites in self._sites]

    def _open(self) -> None:
        self._known[self._layer % (MAX_BACK + 1)] = 0

    def _steps(self) -> Iterator[Step]:
        for start, stop in self._model.groups():
            for phase in range(PHASES):
                yield Step(np.arange(start, stop), phase)

    def _learn(self, step: Step, codes: Codes) -> None:
        self._flat(self._layer)[np.ix_(step.channels, self._places[step.phase])] = codes.T

    def _indexes(self, step: Step) -> npt.NDArray[np.uint8]:
        seen = self._model.seen[self._layer, step.channels, step.phase].astype(np.int64)
        tables = self._model.contexts[self._layer, step.channels, step.phase]
        offsets, there = self._offsets(seen), seen[..., BACK] != NOTHING
        known, places = self._known.reshape(-1), self._places[step.phase]
        indexes = np.empty((len(places), len(tables)), np.uint8)
        for start in range(0, len(places), _BLOCK):
            block = places[start : start + _BLOCK]
            for channel, table in enumerate(tables):
                context = np.zeros(len(block), np.uint16)
                for bit in np.flatnonzero(there[channel]).tolist():
                    context |= known.take(block + offsets[channel, bit]).astype(np.uint16) << bit
                indexes[start : start + _BLOCK, channel] = table.take(context)
        return indexes

    def _offsets(self, seen: Sites) -> Sites:
        """Where the codes seen by each channel of the current layer are, from a position, (channels, n)."""
        _, channels, height, width = self._known.shape
        slots = (self._layer - seen[..., BACK]) % (MAX_BACK + 1)
        offsets: Sites = (slots * channels + seen[..., CHANNEL]) * height * width
        offsets += seen[..., DOWN] * width + seen[..., RIGHT]
        return offsets

    def _padded(self, sites: Sites) -> Sites:
        """Where positions are in a padded plane."""
        rows, columns = np.divmod(sites, self._shape[2])
        places: Sites = (rows + REACH) * self._known.shape[-1] + columns + REACH
        return places

    def _flat(self, layer: int) -> Codes:
        """A layer as padded planes, (channels, padded positions)."""
        planes: Codes = self._known[layer % (MAX_BACK + 1)].reshape(self._model.channels, -1)
        return planes
