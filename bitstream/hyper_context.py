"""The entropy model of latents under a hyperprior: which table codes each latent.

The hyperprior predicts a value and a spread for every latent. In the context profile integer linear forms of what is
decoded refine both (`linear_forms`, `walk`). The value's integer part is subtracted, its fractional part and the class of
the spread choose one of a set of shared tables. A spread is what a softplus makes a width of, in 1/16: it may be negative.

Everything is integer. FORMAT.md §7, "Hyperprior", is normative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from .context import require
from .lattice import Lattice, lattice
from .linear_forms import ACTIVITY_LIMIT, ONE, LinearForms
from .tables import TableSet

MEAN_STEPS = 4
"""Resolution of the predicted value: fractions of one quantisation step."""

LARGEST = 1 << 14
"""Latents lie within -LARGEST..LARGEST - 1."""

NEAR = 2
OFFSET_UNIT = 64

_MEAN_STEPS_LOG2 = 2
_QUARTER_SHIFT = 2  # log2 of ONE / MEAN_STEPS

Planes = npt.NDArray[np.int32]
Sites = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Prior:
    """What the hyperprior says about every latent.

    Attributes:
        lattice: of the stripe.
        mean: int32 (sites, channels) predicted values in 1/16 of a quantisation step, in the order of the lattice.
        spread: int32 (sites, channels) predicted spreads in 1/16.
    """

    lattice: Lattice
    mean: Sites
    spread: Sites

    @classmethod
    def of_planes(cls, features: Planes, bias: npt.NDArray[np.int32]) -> "Prior":
        """The prior that the hyper-synthesis gives.

        Args:
            features: int32 (2 * channels, h, w), its output: values, then spreads.
            bias: int32 (2 * channels,) to add.
        """
        grid = lattice(*features.shape[1:])
        mean, spread = np.split(grid.sites(features) + bias, 2, axis=1)
        return cls(grid, mean, spread)


@dataclass(frozen=True)
class HyperContext:
    """Everything the two directions share; integers only.

    Attributes:
        bounds: (groups + 1,) channels at which groups begin, ending with the number of channels.
        activity: (n,) activity of each magnitude, in 1/16; larger magnitudes count as n - 1.
        forms: weights of the context.
        thresholds: (classes - 1,) ascending limits between spread classes, in 1/16.
        tables: classes * MEAN_STEPS tables of value minus predicted integer, the last entry the escape.
        offsets: (tables, 2 * NEAR + 1) where within its quantisation cell a latent lies on average, in 1/64 of a step, by
            its table and its distance from the predicted integer, clipped to -NEAR..NEAR.
    """

    bounds: npt.NDArray[np.int64]
    activity: npt.NDArray[np.int64]
    forms: LinearForms
    thresholds: npt.NDArray[np.int64]
    tables: TableSet
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Checks every shape and range, so that coding cannot fail or lose exactness later.

        Raises:
            FormatError: the arrays contradict each other.
        """
        require(self.bounds.ndim == 1 and 1 < len(self.bounds) <= 256 and self.bounds[0] == 0, "group bounds")
        require(bool((np.diff(self.bounds) > 0).all()), "group bounds")
        require(self.activity.ndim == 1 and self.activity.size > 1, "activity")
        require(bool(((self.activity >= 0) & (self.activity < ACTIVITY_LIMIT)).all()), "activity")
        require(self.thresholds.ndim == 1 and bool((np.diff(self.thresholds) >= 0).all()), "thresholds")
        require(bool((np.abs(self.thresholds) <= LARGEST * ONE).all()), "thresholds")
        require(len(self.tables) == MEAN_STEPS * (len(self.thresholds) + 1), "table count")
        require(self.offsets.shape == (len(self.tables), 2 * NEAR + 1), "offsets")
        require(bool((np.abs(self.offsets) <= OFFSET_UNIT).all()), "offsets")
        self.forms.check(self.bounds)

    @property
    def channels(self) -> int:
        """Number of latent channels."""
        return int(self.bounds[-1])

    def groups(self) -> list[tuple[int, int]]:
        """First and last-plus-one channel of every group."""
        return list(pairwise(self.bounds.tolist()))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "HyperContext":
        """Reads a model from the arrays that `to_arrays` made.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        try:
            bounds = arrays["context_bounds"].astype(np.int64)
            return cls(
                bounds=bounds,
                activity=arrays["context_activity"].astype(np.int64),
                forms=LinearForms.from_arrays(arrays, bounds),
                thresholds=arrays["context_thresholds"].astype(np.int64),
                tables=TableSet(arrays["context_tables"].astype(np.int32), int(arrays["context_minimum"])),
                offsets=arrays["context_offsets"].astype(np.int64),
            )
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise FormatError(f"the model's context tables are damaged ({error}): reinstall the model") from error

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The model as named arrays of small integer types, for an .npz file."""
        return {
            "context_bounds": self.bounds.astype(np.uint16),
            "context_activity": self.activity.astype(np.int16),
            **self.forms.to_arrays(),
            "context_thresholds": self.thresholds.astype(np.int32),
            "context_tables": self.tables.frequencies.astype(np.uint16),
            "context_minimum": np.array(self.tables.minimum, np.int16),
            "context_offsets": self.offsets.astype(np.int8),
        }

    def activities(self, values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Activity of each of some integers."""
        found: npt.NDArray[np.int64] = self.activity[np.minimum(np.abs(values), len(self.activity) - 1).astype(np.intp)]
        return found

    def contexts(self, mean: npt.NDArray[np.int32], spread: npt.NDArray[np.int32]) -> tuple[Sites, Sites]:
        """Predicted integer and table index of each latent, from predicted value and spread in 1/16; all int32."""
        limit = MEAN_STEPS * (LARGEST - 1)
        quarters = np.clip(mean >> _QUARTER_SHIFT, -limit, limit)
        quarters += MEAN_STEPS // 2
        lowest, first_tables = self._first_tables
        tables = first_tables.take(spread - lowest, mode="clip")
        tables += quarters & (MEAN_STEPS - 1)
        return quarters >> _MEAN_STEPS_LOG2, tables

    @cached_property
    def _first_tables(self) -> tuple[int, npt.NDArray[np.int32]]:
        """The lowest spread that is told apart from smaller ones, less one, and the first table of each spread from there up."""
        if not len(self.thresholds):
            return 0, np.zeros(1, np.int32)
        lowest = int(self.thresholds[0]) - 1
        spreads = np.arange(lowest, int(self.thresholds[-1]) + 1)
        return lowest, MEAN_STEPS * np.searchsorted(self.thresholds, spreads, side="right").astype(np.int32)

    def centroids(self, values: Sites, bases: Sites, indexes: Sites) -> npt.NDArray[np.float32]:
        """The mean of what was quantised to each value: float32 of the same shape, in quantisation steps."""
        near = np.clip(values - bases, -NEAR, NEAR)
        near += (2 * NEAR + 1) * indexes + NEAR
        centroids: npt.NDArray[np.float32] = self._steps_beside.take(near)
        centroids += values
        return centroids

    @cached_property
    def _steps_beside(self) -> npt.NDArray[np.float32]:
        """The offsets in quantisation steps, one after the other."""
        return (self.offsets.ravel() / OFFSET_UNIT).astype(np.float32)


def check_range(values: Sites) -> None:
    """Refuses latents beyond -LARGEST..LARGEST - 1.

    Raises:
        FormatError: there are such.
    """
    if values.size and (values.min() < -LARGEST or values.max() >= LARGEST):
        raise FormatError("latents decode to values out of range: get an undamaged copy of the file")
