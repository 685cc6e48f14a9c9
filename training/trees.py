"""Grows the decision trees of the embedded codec: which coefficient each code is about, and where it splits their cells.

One code after the other is given to the coefficient where splitting the cells lowers squared error, plus a price of the bits
that it costs, the most; every cell is split where that is best for it, or not at all. The price falls from layer to layer.
This is greedy tree-structured vector quantisation of single coefficients (E. A. Riskin, R. M. Gray, "A Greedy Tree Growing
Algorithm for the Design of Variable Rate Vector Quantizers", IEEE Trans. Signal Processing, 1991).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..bitstream.code_trees import CELLS, MAX_DEPTH, ROOT, Cells, CodeTrees
from ..codecs.cells import NEVER, CellTables

# Cells with fewer samples are not split.
_LEAST = 60
_QUANTILES = 33
_EVEN = 65
_ACTIVITIES = 8
_FIRST_ACTIVE = 3
_EPSILON = 1e-6

Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


def grow(samples: Floats, weights: Doubles, shares: Doubles, prices: Sequence[float], channels: int) -> CellTables:
    """Trees for some samples; cells without any have the numbers of their parent.

    Args:
        samples: (n, coefficients).
        weights: (coefficients,), what a squared error of each counts.
        shares: (n,), what the errors of each sample count beside those of others, 1 on average.
        prices: of a bit, for each layer.
        channels: codes of a layer.
    """
    classes = activities(samples)
    growing = [_Growing(column, shares, classes, weight) for column, weight in zip(samples.T, weights, strict=True)]
    plan = np.empty((len(prices), channels), np.int64)
    for layer, price in enumerate(prices):
        gains = np.array([tree.gain(price) for tree in growing])
        for channel in range(channels):
            best = int(np.argmax(gains))
            growing[best].split(price)
            gains[best] = growing[best].gain(price)
            plan[layer, channel] = best
    trees = CodeTrees(len(growing), plan)
    thresholds = np.stack([tree.thresholds for tree in growing])
    unknown = np.zeros_like(thresholds)
    cells = CellTables(trees, thresholds, unknown, unknown).find(samples.T)
    return CellTables(trees, thresholds, *_moments(trees, cells, samples))


def activities(samples: Floats) -> Counts:
    """How active each block (n, coefficients) is, in a few classes of equal size: neighbours will tell its coder as much."""
    rest = samples[:, _FIRST_ACTIVE:] if samples.shape[1] > _FIRST_ACTIVE else samples
    activity = np.abs(rest / (rest.std(axis=0) + _EPSILON)).mean(axis=1)
    bounds = np.quantile(activity, np.linspace(0, 1, _ACTIVITIES + 1)[1:-1])
    classes: Counts = np.digitize(activity, bounds).astype(np.int64)
    return classes


def _moments(trees: CodeTrees, cells: Cells, samples: Floats) -> tuple[Floats, Floats]:
    """Means and deviations of the samples (n, coefficients) in each cell, given the last cells (coefficients, n)."""
    sums = np.zeros((3, trees.coefficients, CELLS))
    for coefficient, (cell, values, depth) in enumerate(zip(cells, samples.T, trees.depths[-1].tolist(), strict=True)):
        powers = np.stack([np.ones(len(values)), values, np.square(values, dtype=np.float64)])
        for up in range(depth + 1):
            for kind, power in enumerate(powers):
                sums[kind, coefficient] += np.bincount(cell >> np.uint8(up), power, minlength=CELLS)
    count, total, squares = sums
    means = total / np.maximum(count, 1)
    deviations = np.sqrt(np.maximum(squares / np.maximum(count, 1) - means**2, 0))
    for cell in range(2 * ROOT, CELLS):
        empty = count[:, cell] == 0
        means[empty, cell], deviations[empty, cell] = means[empty, cell // 2], deviations[empty, cell // 2]
    return means.astype(np.float32), deviations.astype(np.float32)


class _Growing:
    """The tree of one coefficient while it grows.

    Attributes:
        thresholds: float32 (CELLS,).
    """

    def __init__(self, samples: Floats, shares: Doubles, classes: Counts, weight: float) -> None:
        order = np.argsort(samples)
        self._samples, self._weight, self._depth = samples[order], weight, 0
        share, values = shares[order], samples[order].astype(np.float64)
        self._sums = np.pad(np.cumsum([share, share * values, share * values**2], axis=1), ((0, 0), (1, 0)))
        indicators = classes[order] == np.arange(_ACTIVITIES)[:, None]
        self._counts = np.pad(np.cumsum(indicators, axis=1), ((0, 0), (1, 0)))
        self._cells = {ROOT: (0, len(samples))}
        self._options: dict[tuple[int, int], tuple[Counts, Doubles, Doubles]] = {}
        self.thresholds = np.full(CELLS, NEVER, np.float32)

    def gain(self, price: float) -> float:
        """What one more code about this coefficient gains."""
        if self._depth == MAX_DEPTH:
            return -1.0
        return sum(self._best(*cell, price)[0] for cell in self._cells.values())

    def split(self, price: float) -> None:
        """Gives the coefficient one more code."""
        cells: dict[int, tuple[int, int]] = {}
        for number, (start, stop) in self._cells.items():
            gained, middle = self._best(start, stop, price)
            if gained > 0:
                self.thresholds[number] = (self._samples[middle - 1] + self._samples[middle]) / 2
                cells |= {2 * number: (start, middle), 2 * number + 1: (middle, stop)}
            else:
                cells[2 * number] = start, stop
        self._cells, self._depth = cells, self._depth + 1

    def _best(self, start: int, stop: int, price: float) -> tuple[float, int]:
        """What splitting a cell of sorted samples gains at most, 0 if nothing, and where."""
        if stop - start < _LEAST:
            return 0.0, start
        if (start, stop) not in self._options:
            self._options[start, stop] = self._splits(start, stop)
        middles, lowered, bits = self._options[start, stop]
        if not len(middles):
            return 0.0, start
        gains = lowered - price * bits
        best = int(np.argmax(gains))
        return max(0.0, float(gains[best])), int(middles[best])

    def _splits(self, start: int, stop: int) -> tuple[Counts, Doubles, Doubles]:
        """Places to split a cell, by how much each lowers the weighted squared error of a sample, and the bits it costs."""
        values = self._samples[start:stop]
        even = start + np.searchsorted(values, np.linspace(values[0], values[-1], _EVEN + 1)[1:-1])
        middles = np.unique(np.concatenate([np.linspace(start, stop, _QUANTILES + 1)[1:-1].astype(np.int64), even]))
        middles = middles[(middles > start) & (middles < stop)]
        lowered = self._error(start, stop) - self._error(start, middles) - self._error(middles, stop)
        below = self._counts[:, middles] - self._counts[:, [start]]
        whole = self._counts[:, [stop]] - self._counts[:, [start]]
        share = np.clip(below / np.maximum(whole, 1), _EPSILON, 1 - _EPSILON)
        bits = -(whole * (share * np.log2(share) + (1 - share) * np.log2(1 - share))).sum(axis=0)
        count = len(self._samples)
        return middles, self._weight * lowered / count, bits / count

    def _error(self, start: int | Counts, stop: int | Counts) -> Doubles:
        """Sum of squared deviations of a range of samples from their mean, each as much as it counts."""
        count, total, squares = (sums[stop] - sums[start] for sums in self._sums)
        error: Doubles = squares - total**2 / np.maximum(count, _EPSILON)
        return error
