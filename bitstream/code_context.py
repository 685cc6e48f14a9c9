"""The entropy model of binary codes that come in layers: which of a few shared tables codes each of them.

A layer holds, for every position and channel, one binary code. Layers are coded one after the other; within a layer,
groups of channels; within a group, first the positions whose row and column add up to an even number, then the others.
Each code looks at a few codes that are known by then, which its layer, channel and phase choose: codes of earlier layers,
of earlier groups, or of the first phase. Together they are the number of a context, and the context names a table.

Everything is integer. FORMAT.md §7, "Binary codes", is normative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .context import require
from .tables import FREQUENCY_TOTAL, TableSet
from .typed_arrays import typed

PHASES = 2
REACH = 2
"""How far away, along each axis, a code may look."""

MAX_BACK = 3
"""How many layers back a code may look."""

MAX_SEEN = 12
MAX_CHANNELS = 128
MAX_TABLES = 256

NOTHING = -1
"""Layers back where there is nothing to look at: counts as 0."""

BACK, CHANNEL, DOWN, RIGHT = range(4)

Codes = npt.NDArray[np.uint8]
"""Binary codes, 0 or 1."""


@dataclass(frozen=True, eq=False)
class CodeContext:
    """Everything the two directions share; integers only.

    Attributes:
        bounds: (groups + 1,) channels at which groups begin, ending with the number of channels.
        seen: int16 (layers, channels, PHASES, n, 4) codes that each code looks at, the first the lowest bit of the
            context: layers back or `NOTHING`, channel, rows down, columns to the right.
        contexts: uint8 (layers, channels, PHASES, 2 ** n) the table of each context.
        ones: int32 (tables,) frequency of 1 in each table.
    """

    bounds: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int16]
    contexts: npt.NDArray[np.uint8]
    ones: npt.NDArray[np.int32]

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.seen)

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.seen.shape[1])

    @cached_property
    def tables(self) -> TableSet:
        """The tables of the symbols 0 and 1."""
        return TableSet(np.stack([FREQUENCY_TOTAL - self.ones, self.ones], axis=1), 0)

    def groups(self) -> list[tuple[int, int]]:
        """First and last-plus-one channel of each group."""
        return list(pairwise(self.bounds.tolist()))

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an entropy.npz."""
        return {
            "bounds": self.bounds.astype(np.uint16),
            "seen": self.seen.astype(np.int8),
            "contexts": self.contexts,
            "ones": self.ones.astype(np.uint16),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "CodeContext":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        kinds = (("bounds", np.uint16, 1), ("seen", np.int8, 5), ("contexts", np.uint8, 4), ("ones", np.uint16, 1))
        bounds, seen, contexts, ones = (typed(arrays, *kind) for kind in kinds)
        model = cls(bounds.astype(np.int64), seen.astype(np.int16), contexts, ones.astype(np.int32))
        model.check()
        return model

    def check(self) -> None:
        """Makes sure that every code looks only at what is known before it.

        Raises:
            FormatError: it does not, or the arrays contradict each other.
        """
        self._check_shapes()
        layer, channel, phase, _ = np.indices(self.seen.shape[:-1])
        back, other, down, right = np.moveaxis(self.seen.astype(np.int64), -1, 0)
        group = np.searchsorted(self.bounds[1:], np.arange(self.channels), side="right")
        beside = (group[other % self.channels] == group[channel]) & (phase == 1) & ((down + right) % 2 == 1)
        earlier = group[other % self.channels] < group[channel]
        for fine, what in (
            ((other >= 0) & (other < self.channels), "a context has a channel that does not exist"),
            (np.maximum(abs(down), abs(right)) <= REACH, "a context reaches too far"),
            ((back >= NOTHING) & (back <= np.minimum(layer, MAX_BACK)), "a context has a layer that does not exist"),
            ((back != 0) | earlier | beside, "a context is not known yet"),
        ):
            require(fine.all(), what)

    def _check_shapes(self) -> None:
        require(self.seen.ndim == 5 and self.seen.shape[-2] <= MAX_SEEN, "contexts of the wrong shape")
        require(self.seen.shape[2] == PHASES and self.seen.shape[-1] == RIGHT + 1, "contexts of the wrong shape")
        require(self.contexts.shape == (*self.seen.shape[:3], 1 << self.seen.shape[3]), "tables of the wrong shape")
        require(1 <= self.channels <= MAX_CHANNELS, "too many channels")
        require(self.bounds.ndim == 1 and len(self.bounds) > 1, "no groups of channels")
        require(self.bounds[0] == 0 and self.bounds[-1] == self.channels, "groups that miss channels")
        require((np.diff(self.bounds) > 0).all(), "an empty group")
        require(self.ones.ndim == 1 and len(self.ones) <= MAX_TABLES, "tables of the wrong shape")
        require(self.contexts.max(initial=0) < len(self.ones), "a table that does not exist")
        require(((self.ones > 0) & (self.ones < FREQUENCY_TOTAL)).all(), "an impossible table")
