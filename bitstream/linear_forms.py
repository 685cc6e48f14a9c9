"""Integer linear forms: how what is decoded refines the predicted value and spread of a latent.

Weights are in 1/65536. They count in float64, which holds the integers of all sums exactly; `LinearForms` refuses weights
that could leave that range.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from .context import require, split_weights
from .lattice import PHASES

WEIGHT_BITS = 16
"""Fractional bits of the weights."""

ONE = 16
"""Value of the constant feature; unit of predicted values, spreads and activities."""

ACTIVITY_LIMIT = 1 << 12

VALUE_FEATURES = 3
"""Own features of a value: the predicted value, the sum of the four neighbours' values, the constant."""

SPREAD_FEATURES = 4
"""Own features of a spread: the predicted spread, the four neighbours' activities, those of the whole group, the constant."""

Exact = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearForms:
    """The weights, integers in float64.

    Attributes:
        values: for each group (earlier channels, group channels), of the earlier channels' values in a value.
        activities: for each group (2 * earlier channels, group channels), of activities in place, then of those around,
            in a spread.
        own_value: (PHASES, VALUE_FEATURES, channels).
        own_spread: (PHASES, SPREAD_FEATURES, channels).
    """

    values: tuple[Exact, ...]
    activities: tuple[Exact, ...]
    own_value: Exact
    own_spread: Exact

    def check(self, bounds: npt.NDArray[np.int64]) -> None:
        """Checks shapes and that all sums are exact.

        Raises:
            FormatError: they are not.
        """
        channels = int(bounds[-1])
        require([w.shape for w in self.values] == earlier_shapes(bounds, 1), "weight shapes")
        require([w.shape for w in self.activities] == earlier_shapes(bounds, 2), "weight shapes")
        require(self.own_value.shape == (PHASES, VALUE_FEATURES, channels), "weight shapes")
        require(self.own_spread.shape == (PHASES, SPREAD_FEATURES, channels), "weight shapes")
        for earlier, own in ((self.values, self.own_value), (self.activities, self.own_spread)):
            sums = np.concatenate([np.abs(w).sum(axis=0) for w in earlier]) + np.abs(own).sum(axis=1).max(axis=0)
            require(float(sums.max()) * _largest_feature(channels) < 2**52, "weight range")

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], bounds: npt.NDArray[np.int64]) -> "LinearForms":
        """Reads what `to_arrays` made.

        Raises:
            KeyError: an array is missing.
            FormatError: an array has another size than the bounds say.
        """
        return cls(
            values=split_weights(arrays["context_values"], earlier_shapes(bounds, 1)),
            activities=split_weights(arrays["context_activities"], earlier_shapes(bounds, 2)),
            own_value=arrays["context_own_value"].astype(np.float64),
            own_spread=arrays["context_own_spread"].astype(np.float64),
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The weights as named arrays of small integer types."""
        return {
            "context_values": _narrow(np.concatenate([w.ravel() for w in self.values])),
            "context_activities": _narrow(np.concatenate([w.ravel() for w in self.activities])),
            "context_own_value": _narrow(self.own_value),
            "context_own_spread": _narrow(self.own_spread),
        }


def earlier_shapes(bounds: npt.NDArray[np.int64], kinds: int) -> list[tuple[int, int]]:
    """Shape (kinds * earlier channels, group channels) of each group's weights."""
    return [(kinds * start, stop - start) for start, stop in pairwise(bounds.tolist())]


def _largest_feature(channels: int) -> int:
    """Bound of all features: predictions lie within 2^21, latents within 2^14, activities within ACTIVITY_LIMIT."""
    return max(1 << 21, 12 * ACTIVITY_LIMIT, 4 * channels * ACTIVITY_LIMIT)


def _narrow(values: Exact) -> npt.NDArray[Any]:
    small = np.iinfo(np.int16)
    fits = values.size == 0 or (values.min() >= small.min and values.max() <= small.max)
    return values.astype(np.int16 if fits else np.int32)
