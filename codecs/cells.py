"""Where cells of coefficients begin and end, and what stands for a coefficient that is known up to its cell."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.code_trees import CELLS, Cells, CodeTrees
from ..bitstream.typed_arrays import typed
from ..errors import FormatError

NEVER = np.float32(np.finfo(np.float16).max)
"""The threshold of cells that are not split: their code is 0."""

Floats = npt.NDArray[np.float32]

_ARRAYS = ("thresholds", "means", "deviations")


@dataclass(frozen=True, eq=False)
class CellTables:
    """The numbers of all cells, in units of the deviation of their coefficient. In files they have half precision.

    Attributes:
        trees: which coefficient each code is about.
        thresholds: float32 (coefficients, CELLS), above which the code of a cell is 1. Only encoders need them.
        means: float32 (coefficients, CELLS) of the coefficients in a cell.
        deviations: float32 (coefficients, CELLS) from the mean.
    """

    trees: CodeTrees
    thresholds: Floats
    means: Floats
    deviations: Floats

    def find(self, values: Floats) -> Cells:
        """The cells of some coefficients after the last layer, both (coefficients, ...)."""
        flat = values.reshape(len(values), -1)
        cells = self.trees.roots(flat.shape[1]).astype(np.int64)
        deepest = self.trees.depths[-1]
        for depth in range(int(deepest.max())):
            above = np.take_along_axis(self.thresholds, cells, axis=1) < flat
            cells = np.where(depth < deepest[:, None], 2 * cells + above, cells)
        return cells.astype(np.uint8).reshape(values.shape)

    def means_of(self, cells: Cells) -> Floats:
        """The means of some cells, both (coefficients, ...)."""
        return _look_up(self.means, cells)

    def deviations_of(self, cells: Cells) -> Floats:
        """The deviations of some cells, both (coefficients, ...)."""
        return _look_up(self.deviations, cells)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays of an entropy.npz."""
        return {name: getattr(self, name).astype(np.float16) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, trees: CodeTrees, arrays: Mapping[str, npt.NDArray[Any]]) -> "CellTables":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or damaged.
        """
        found = [typed(arrays, name, np.float16, 2).astype(np.float32) for name in _ARRAYS]
        if not all(array.shape == (trees.coefficients, CELLS) and np.isfinite(array).all() for array in found):
            raise FormatError("the model's cells are damaged: reinstall the model")
        return cls(trees, *found)


def _look_up(table: Floats, cells: Cells) -> Floats:
    found: Floats = np.take_along_axis(table, cells.reshape(len(cells), -1).astype(np.intp), axis=1)
    return found.reshape(cells.shape)
