"""Decision trees: which coefficient each binary code of a layered file is about, and what is known of it after that.

What is known of a coefficient is a cell, a node of its tree. Cell 1 is the root, where nothing is known; a code of 0 goes on
from cell n to 2n, one of 1 to 2n + 1. Which coefficient a code is about depends on its layer and channel alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from .code_context import MAX_CHANNELS, Codes
from .layer_coder import UNKNOWN

ROOT = 1
MAX_DEPTH = 7
"""The most codes about one coefficient."""

CELLS = 2 << MAX_DEPTH
"""Numbers of cells are less; no cell has the number 0."""

MAX_COEFFICIENTS = 512

Cells = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class CodeTrees:
    """The plan of all codes.

    Attributes:
        coefficients: how many there are.
        plan: int64 (layers, channels), the coefficient that each code is about.
    """

    coefficients: int
    plan: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Checks the plan.

        Raises:
            FormatError: it names coefficients that do not exist, or one too often.
        """
        if self.plan.ndim != 2 or not self.plan.size or not 1 <= self.coefficients <= MAX_COEFFICIENTS:
            raise FormatError("the model's plan is of the wrong shape: reinstall the model")
        if self.channels > MAX_CHANNELS or self.plan.size > self.coefficients * MAX_DEPTH:
            raise FormatError("the model's plan is too long: reinstall the model")
        if self.plan.min() < 0 or self.plan.max() >= self.coefficients or self.depths[-1].max() > MAX_DEPTH:
            raise FormatError("the model's plan is damaged: reinstall the model")

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.plan)

    @property
    def channels(self) -> int:
        """Codes of a layer for each position."""
        return int(self.plan.shape[1])

    @cached_property
    def depths(self) -> npt.NDArray[np.int64]:
        """Codes about each coefficient before each layer, and after the last, (layers + 1, coefficients)."""
        counts = [np.bincount(row, minlength=self.coefficients) for row in self.plan]
        return np.concatenate([np.zeros((1, self.coefficients), np.int64), np.cumsum(counts, axis=0)])

    @cached_property
    def split_depths(self) -> npt.NDArray[np.int64]:
        """Codes about the same coefficient before each code, (layers, channels)."""
        found = np.take_along_axis(self.depths[:-1], self.plan, axis=1)
        for layer in range(self.layers):
            for number, channels in enumerate(self.rounds(layer)):
                found[layer, channels] += number
        return found

    def rounds(self, layer: int) -> list[npt.NDArray[np.int64]]:
        """The channels of a layer, ascending, in rounds: one has those that are the nth about their coefficient."""
        _, inverse = np.unique(self.plan[layer], return_inverse=True)
        nth = np.array([np.count_nonzero(inverse[:channel] == inverse[channel]) for channel in range(self.channels)])
        return [np.flatnonzero(nth == number) for number in range(int(nth.max()) + 1)]

    def roots(self, *positions: int) -> Cells:
        """The cells before the first layer, (coefficients, *positions)."""
        return np.full((self.coefficients, *positions), ROOT, np.uint8)

    def advance(self, cells: Cells, layer: int, codes: Codes) -> None:
        """Goes on from cells, in place, as the codes of a layer say.

        Args:
            cells: uint8 (coefficients, ...).
            layer: of the codes.
            codes: uint8 (channels, ...) of 0, 1 and `UNKNOWN`; the latter leaves a cell as it is, and of one coefficient
                nothing is known behind it.
        """
        for channels in self.rounds(layer):
            about, found = self.plan[layer, channels], codes[channels]
            cells[about] = np.where(found == UNKNOWN, cells[about], 2 * cells[about] + found)

    def codes(self, cells: Cells, layer: int) -> Codes:
        """The codes of a layer that lead to some cells.

        Args:
            cells: uint8 (coefficients, ...) after the last layer.
            layer: whose codes.

        Returns:
            uint8 (channels, ...), 0 or 1.
        """
        about = self.plan[layer]
        behind = self.depths[-1][about] - self.split_depths[layer] - 1
        found: Codes = np.stack([cells[c] >> np.uint8(n) & np.uint8(1) for c, n in zip(about, behind, strict=True)])
        return found
