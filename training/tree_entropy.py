"""Fits the entropy model of decisions about coefficients: weights by ridge regression, classes and tables by counting."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..bitstream.code_context import PHASES, Codes
from ..bitstream.code_trees import Cells
from ..bitstream.layer_coder import sites_of
from ..bitstream.tree_context import TreeContext
from ..bitstream.tree_layers import Known
from ..codecs.cells import NEVER, CellTables
from .shares import frequencies, nearest

CLASSES = 12

_MAGNITUDE_SCALE = 64.0
_LARGEST = 127
_RIDGE = 1e-3
# Weight of the share of ones in a whole cell, in observations, where a class of it is rare.
_PRIOR = 4.0

Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


def fit(tables: CellTables, pictures: Sequence[Cells]) -> TreeContext:
    """The entropy model that suits some pictures.

    Args:
        tables: the cells.
        pictures: of each, the cells after the last layer, uint8 (coefficients, h, w).
    """
    fitting = _Fitting(tables, pictures)
    for layer in tqdm(range(tables.trees.layers), "contexts", disable=None):
        for phase in range(PHASES):
            fitting.fit_phase(layer, phase)
    return fitting.model()


class _Fitting:
    """The numbers of a model, phase after phase, as a coder learns them."""

    def __init__(self, tables: CellTables, pictures: Sequence[Cells]) -> None:
        trees = tables.trees
        shape = (trees.layers, PHASES, trees.channels)
        self._tables = tables
        self._magnitudes = np.rint(np.minimum(_MAGNITUDE_SCALE * np.sqrt(np.abs(tables.means)), 255)).astype(np.uint8)
        self._weights = np.zeros((*shape, 2, trees.coefficients), np.int8)
        self._bounds = np.zeros((*shape, CLASSES - 1), np.int64)
        self._shares: dict[tuple[int, int, int], Doubles] = {}
        self._pictures = [
            _Picture(Known(trees, self._magnitudes, *cells.shape[1:]), cells, tables) for cells in pictures
        ]

    def fit_phase(self, layer: int, phase: int) -> None:
        """Fits the sums of a phase and the tables of its codes, and takes note of the codes."""
        trees = self._tables.trees
        sums = self._fit_sums(layer, phase)
        codes = [picture.codes(layer, phase) for picture in self._pictures]
        joined = np.concatenate(codes, axis=1)
        for channels in trees.rounds(layer):
            for channel in channels.tolist():
                classes = np.searchsorted(self._bounds[layer, phase, channel], sums[:, channel], side="right")
                cells = np.concatenate([picture.cells(layer, phase, channel) for picture in self._pictures])
                shares = _shares(cells, classes, joined[channel], int(trees.split_depths[layer, channel]))
                self._shares[layer, channel, phase] = np.where(_never(self._tables, layer, channel), 0.0, shares)
            for picture, its_codes in zip(self._pictures, codes, strict=True):
                picture.advance(layer, phase, channels, its_codes[channels])

    def _fit_sums(self, layer: int, phase: int) -> Integers:
        """Fits weights and bounds of a phase; returns the sums, (positions, channels)."""
        used = np.flatnonzero(self._tables.trees.depths[layer + phase] > 0)
        features = np.concatenate([picture.known.features(used, picture.sites[phase]) for picture in self._pictures])
        found = _weights(features, np.concatenate([picture.expected(layer, phase) for picture in self._pictures]))
        self._weights[layer, phase][:, :, used] = found.reshape(len(found), 2, len(used))
        sums: Integers = (features @ found.T).astype(np.int64)
        self._bounds[layer, phase] = _quantiles(sums)
        return sums

    def model(self) -> TreeContext:
        """What was fitted."""
        trees = self._tables.trees
        order = np.ndindex(trees.layers, trees.channels, PHASES)
        shares = [self._shares[layer, channel, phase].ravel() for layer, channel, phase in order]
        contexts = nearest(np.concatenate(shares))
        model = TreeContext(trees, self._magnitudes, self._weights, self._bounds, contexts, frequencies())
        model.check()
        return model


@dataclass(frozen=True, eq=False)
class _Picture:
    """A training picture while its layers are known one after the other.

    Attributes:
        known: what is.
        final: cells after the last layer, (coefficients, h, w).
        tables: the trees.
    """

    known: Known
    final: Cells
    tables: CellTables

    @cached_property
    def sites(self) -> tuple[Integers, ...]:
        """Positions of each phase."""
        return sites_of(*self.final.shape[1:])

    def expected(self, layer: int, phase: int) -> Doubles:
        """What sums are to predict: root magnitudes of the coefficients of a layer's codes, (positions, channels)."""
        about = self.tables.trees.plan[layer]
        final = self.final.reshape(len(self.final), -1)[np.ix_(about, self.sites[phase])]
        means = np.take_along_axis(self.tables.means[about], final.astype(np.intp), axis=1)
        expected: Doubles = np.sqrt(np.abs(means, dtype=np.float64)).T
        return expected

    def codes(self, layer: int, phase: int) -> Codes:
        """The codes of a layer at the positions of a phase, (channels, positions)."""
        return self.tables.trees.codes(self.final, layer).reshape(self.tables.trees.channels, -1)[:, self.sites[phase]]

    def cells(self, layer: int, phase: int, channel: int) -> Integers:
        """What is known of the coefficient of a code at the positions of a phase."""
        cells: Integers = self.known.cells[self.tables.trees.plan[layer, channel], self.sites[phase]].astype(np.int64)
        return cells

    def advance(self, layer: int, phase: int, channels: Integers, codes: Codes) -> None:
        """Takes note of the codes (channels, positions) of some channels."""
        self.known.advance(self.tables.trees.plan[layer, channels], self.sites[phase], codes)


def _weights(features: Doubles, expected: Doubles) -> npt.NDArray[np.int8]:
    """Weights (channels, features) of a ridge regression, each row as large as 8 bits allow."""
    centred = features - features.mean(axis=0)
    products = centred.T @ centred
    products[np.diag_indices_from(products)] += _RIDGE * np.trace(products) / max(1, len(products)) + 1.0
    solved = np.linalg.solve(products, centred.T @ (expected - expected.mean(axis=0))).T
    scale = _LARGEST / np.maximum(np.abs(solved).max(axis=1, initial=0), 1e-30)
    weights: npt.NDArray[np.int8] = np.rint(solved * scale[:, None]).astype(np.int8)
    return weights


def _quantiles(sums: Integers) -> Integers:
    """Bounds (channels, CLASSES - 1) that put as many of the sums (positions, channels) into every class."""
    found: Integers = np.ceil(np.quantile(sums, np.linspace(0, 1, CLASSES + 1)[1:-1], axis=0)).astype(np.int64).T
    return found


def _shares(cells: Integers, classes: Integers, codes: Codes, depth: int) -> Doubles:
    """Share of ones in each class of each cell of some depth, (cells, CLASSES); those of rare ones are those of the cell."""
    first = 1 << depth
    place, size = (cells - first) * CLASSES + classes, first * CLASSES
    count = np.bincount(place, minlength=size).reshape(first, CLASSES)
    ones = np.bincount(place, weights=codes, minlength=size).reshape(first, CLASSES)
    whole = (ones.sum(axis=1) + 0.5) / (count.sum(axis=1) + 1.0)
    shares: Doubles = (ones + _PRIOR * whole[:, None]) / (count + _PRIOR)
    return shares


def _never(tables: CellTables, layer: int, channel: int) -> npt.NDArray[np.bool_]:
    """Whether a cell is never split by a code, (cells, 1)."""
    first = 1 << int(tables.trees.split_depths[layer, channel])
    return tables.thresholds[tables.trees.plan[layer, channel], first : 2 * first, None] >= NEVER
