"""The entropy model of codes that are decisions about coefficients (`code_trees`): which table codes each of them.

What is known of a coefficient at a position is its cell; every cell has a magnitude. How large a coefficient must be
expected to be is a weighted sum of the magnitudes of all coefficients at the position and at the eight around it, as far as
they are known. That sum falls into one of a few classes, and class and cell together name a table.

Everything is integer. FORMAT.md §7, "Decisions", is normative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from .code_context import MAX_TABLES, PHASES
from .code_trees import CELLS, CodeTrees
from .context import require
from .tables import FREQUENCY_TOTAL, TableSet
from .typed_arrays import typed

MAX_CLASSES = 64

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TreeContext:
    """Everything the two directions share; integers only.

    Attributes:
        trees: which coefficient each code is about.
        magnitudes: uint8 (coefficients, CELLS).
        weights: int8 (layers, PHASES, channels, 2, coefficients) of magnitudes at the position, and of those around it.
        bounds: int64 (layers, PHASES, channels, classes - 1): the class of a sum is how many of them it reaches.
        contexts: uint8 (n,), the table of each class of each cell: for each layer, channel and phase in this order, the
            cells in which the coefficient can be by then, ascending; see `start`.
        ones: int32 (tables,) frequency of 1 in each table.
    """

    trees: CodeTrees
    magnitudes: npt.NDArray[np.uint8]
    weights: npt.NDArray[np.int8]
    bounds: Integers
    contexts: npt.NDArray[np.uint8]
    ones: npt.NDArray[np.int32]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return self.trees.layers

    @property
    def channels(self) -> int:
        """Codes of a layer for each position."""
        return self.trees.channels

    @property
    def classes(self) -> int:
        """Number of classes of a sum."""
        return int(self.bounds.shape[-1]) + 1

    @cached_property
    def tables(self) -> TableSet:
        """The tables of the symbols 0 and 1."""
        return TableSet(np.stack([FREQUENCY_TOTAL - self.ones, self.ones], axis=1), 0)

    @cached_property
    def starts(self) -> Integers:
        """Where the contexts of each layer, channel and phase start, in this order; then their number."""
        sizes = np.repeat(self.classes << self.trees.split_depths, PHASES)
        return np.concatenate([[0], np.cumsum(sizes)])

    def start(self, layer: int, channel: int, phase: int) -> int:
        """Where the contexts of a code start: those of cell 2^d, for a code about a coefficient with d codes before it."""
        return int(self.starts[(layer * self.channels + channel) * PHASES + phase])

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an entropy.npz."""
        return {
            "plan": self.trees.plan.astype(np.uint16),
            "magnitudes": self.magnitudes,
            "weights": self.weights,
            "bounds": self.bounds.astype(np.int32),
            "contexts": self.contexts,
            "ones": self.ones.astype(np.uint16),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "TreeContext":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        kinds = (("plan", np.uint16, 2), ("magnitudes", np.uint8, 2), ("weights", np.int8, 5), ("bounds", np.int32, 4))
        plan, magnitudes, weights, bounds = (typed(arrays, *kind) for kind in kinds)
        contexts, ones = typed(arrays, "contexts", np.uint8, 1), typed(arrays, "ones", np.uint16, 1)
        require(magnitudes.shape[1] == CELLS, "magnitudes of the wrong shape")
        trees = CodeTrees(len(magnitudes), plan.astype(np.int64))
        model = cls(trees, magnitudes, weights, bounds.astype(np.int64), contexts, ones.astype(np.int32))
        model.check()
        return model

    def check(self) -> None:
        """Makes sure that the arrays fit each other.

        Raises:
            FormatError: they do not.
        """
        shape = (self.layers, PHASES, self.channels)
        require(self.weights.shape == (*shape, 2, self.trees.coefficients), "weights of the wrong shape")
        require(self.bounds.shape[:3] == shape, "bounds of the wrong shape")
        require(self.classes <= MAX_CLASSES, "too many classes")
        require((np.diff(self.bounds, axis=-1) >= 0).all(), "bounds that do not ascend")
        require(self.contexts.shape == (int(self.starts[-1]),), "tables of the wrong shape")
        require(len(self.ones) <= MAX_TABLES, "tables of the wrong shape")
        require(self.contexts.max(initial=0) < len(self.ones), "a table that does not exist")
        require(((self.ones > 0) & (self.ones < FREQUENCY_TOTAL)).all(), "an impossible table")
