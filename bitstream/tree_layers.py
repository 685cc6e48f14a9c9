"""Layers of binary codes that are decisions about coefficients; see `tree_context`."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .code_context import PHASES, Codes
from .code_trees import Cells, CodeTrees
from .layer_coder import LayerCoder, Sites, Step
from .tree_context import TreeContext

# Features are made of as many coefficients at once as have so many values, so that memory stays small.
_BLOCK = 1 << 22

_EDGE = 2
"""What a magnitude counts at a position with a common edge; with a common corner it counts once."""

_Planes = npt.NDArray[np.uint8]


class Known:
    """What is known of the coefficients of one picture while its layers are coded.

    Args:
        trees: which coefficient each code is about.
        magnitudes: of every cell.
        height: positions from top to bottom.
        width: positions from left to right.

    Attributes:
        cells: uint8 (coefficients, height x width).
    """

    def __init__(self, trees: CodeTrees, magnitudes: npt.NDArray[np.uint8], height: int, width: int) -> None:
        self.cells: Cells = trees.roots(height * width)
        self._magnitudes = magnitudes
        self._shape = height, width

    def advance(self, about: npt.NDArray[np.int64], sites: Sites, codes: Codes) -> None:
        """Takes note of codes (coefficients, sites) of some coefficients, each named once."""
        place = np.ix_(about, sites)
        self.cells[place] = 2 * self.cells[place] + codes

    def features(self, used: npt.NDArray[np.int64], sites: Sites) -> npt.NDArray[np.float64]:
        """Magnitudes of some coefficients, then their sums over the positions around, (sites, 2 x used)."""
        own = np.empty((len(used), self.cells.shape[1]), np.uint8)
        for row, coefficient in enumerate(used.tolist()):
            self._magnitudes[coefficient].take(self.cells[coefficient], out=own[row])
        around = surroundings(own.reshape(len(used), *self._shape)).reshape(own.shape)
        return np.concatenate([own[:, sites], around[:, sites]]).T.astype(np.float64)


def surroundings(planes: _Planes) -> npt.NDArray[np.uint16]:
    """Sums of the eight values around each position of (n, h, w), those with a common edge twice; zero outside."""
    padded = np.pad(planes.astype(np.uint16), ((0, 0), (1, 1), (1, 1)))
    beside = padded[:, :, :-2] + padded[:, :, 2:]
    columns = _EDGE * padded[:, :, 1:-1] + beside  # three rows together: corners once, the middle of a row twice
    found: npt.NDArray[np.uint16] = columns[:, :-2] + columns[:, 2:] + _EDGE * beside[:, 1:-1]
    return found


class TreeLayerCoder(LayerCoder):
    """See `LayerCoder`.

    Args:
        model: the entropy model.
        height: positions from top to bottom.
        width: positions from left to right.
    """

    def __init__(self, model: TreeContext, height: int, width: int) -> None:
        super().__init__(model.channels, model.tables, height, width)
        self._model = model
        self._known = Known(model.trees, model.magnitudes, height, width)
        self._classes: npt.NDArray[np.uint8] = np.empty((0, 0), np.uint8)

    def _open(self) -> None:
        """There is nothing to forget."""

    def _steps(self) -> Iterator[Step]:
        for phase in range(PHASES):
            self._classes = self._class_of_sums(phase)
            for channels in self._model.trees.rounds(self._layer):
                yield Step(channels, phase)

    def _indexes(self, step: Step) -> npt.NDArray[np.uint8]:
        model, layer = self._model, self._layer
        sites = self._sites[step.phase]
        indexes = np.empty((len(sites), len(step.channels)), np.uint8)
        for column, channel in enumerate(step.channels.tolist()):
            depth = int(model.trees.split_depths[layer, channel])
            cells = self._known.cells[model.trees.plan[layer, channel]].take(sites).astype(np.intp) - (1 << depth)
            contexts = model.contexts[model.start(layer, channel, step.phase) :]
            indexes[:, column] = contexts.take(cells * model.classes + self._classes[channel])
        return indexes

    def _learn(self, step: Step, codes: Codes) -> None:
        self._known.advance(self._model.trees.plan[self._layer, step.channels], self._sites[step.phase], codes.T)

    def _class_of_sums(self, phase: int) -> npt.NDArray[np.uint8]:
        """The class of every channel at every position of a phase, (channels, positions)."""
        model, sites = self._model, self._sites[phase]
        weights = model.weights[self._layer, phase].astype(np.float64)
        used = np.flatnonzero(weights.any(axis=(0, 1)))
        # In float64 sums of integers are exact in any order: 2 x 512 products of at most 128 x 12 x 255.
        sums = np.zeros((len(sites), len(weights)))
        at_once = max(1, _BLOCK // max(1, self._known.cells.shape[1]))
        for start in range(0, len(used), at_once):
            some = used[start : start + at_once]
            sums += self._known.features(some, sites) @ weights[:, :, some].reshape(len(weights), -1).T
        classes = np.empty(sums.T.shape, np.uint8)
        for channel, bounds in enumerate(model.bounds[self._layer, phase]):
            classes[channel] = np.searchsorted(bounds, sums[:, channel], side="right")
        return classes
