"""The context model of latent planes: which table codes each latent, from integers that are decoded already.

Latents are coded in steps. Channels form groups; the positions of a group are coded in three lattice phases (even rows
and columns; odd rows and columns; the rest), so that most latents have decoded neighbours of their own channel. All
latents of one step are independent of each other given the earlier steps, so a step is a few array operations.

For every latent two integer linear forms of its context are evaluated: a prediction of its value and a prediction of
its spread. The value's integer part is subtracted, its fractional part and the class of the spread choose one of a set
of shared tables. Nothing here is a float that could round: float64 only carries integers far below 2^53 through the
matrix product, and `ContextModel` refuses weights that could leave that range.

FORMAT.md §7, is normative.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from .ans import AnsDecoder, AnsEncoder
from .tables import TableSet

PHASES = 3
MEAN_STEPS = 4
"""Resolution of the predicted mean: fractions of one quantisation step."""

WEIGHT_BITS = 12
"""Fractional bits of the integer weights."""

ONE = 16
"""Value of the constant feature, and the scale of the activity look-up."""

Planes = npt.NDArray[np.int32]
Exact = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ContextModel:
    """Everything the two directions share; integers only.

    Attributes:
        minimum: smallest latent value.
        maximum: largest latent value.
        order: (channels,) the channel coded at each rank.
        bounds: (groups + 1,) ranks at which groups begin, ending with the number of channels.
        activity: (largest magnitude + 1,) activity of each magnitude, in 1/16.
        mean_weights: for each step (group-major, then phase), (features, group channels) weights of the value.
        spread_weights: the same for the spread.
        thresholds: (classes - 1,) ascending limits between spread classes.
        tables: classes * MEAN_STEPS tables of value minus predicted integer.
    """

    minimum: int
    maximum: int
    order: npt.NDArray[np.int64]
    bounds: npt.NDArray[np.int64]
    activity: npt.NDArray[np.int64]
    mean_weights: tuple[Exact, ...]
    spread_weights: tuple[Exact, ...]
    thresholds: npt.NDArray[np.int64]
    tables: TableSet

    def __post_init__(self) -> None:
        """Checks every shape and range, so that coding cannot fail or lose exactness later.

        Raises:
            FormatError: the arrays contradict each other.
        """
        largest = max(-self.minimum, self.maximum)
        require(np.array_equal(np.sort(self.order), np.arange(self.channels)), "channel order")
        require(self.bounds[0] == 0 and self.bounds[-1] == self.channels, "group bounds")
        require(bool((np.diff(self.bounds) > 0).all()), "group bounds")
        require(self.activity.shape == (largest + 1,) and bool((np.abs(self.activity) < 1 << 12).all()), "activity")
        require(self.thresholds.ndim == 1 and bool((np.diff(self.thresholds) >= 0).all()), "thresholds")
        require(len(self.tables) == MEAN_STEPS * (len(self.thresholds) + 1), "table count")
        span = self.maximum - self.minimum
        require(self.tables.minimum == -span and self.tables.maximum == span, "table range")
        shapes = weight_shapes(self.bounds)
        bound = max(largest, int(np.abs(self.activity).max()), ONE) * 12
        for weights in (self.mean_weights, self.spread_weights):
            require([w.shape for w in weights] == shapes, "weight shapes")
            require(all(np.abs(w).sum(axis=0).max() * bound < 2**52 for w in weights), "weight range")

    @property
    def channels(self) -> int:
        """Number of latent channels."""
        return len(self.order)

    def groups(self) -> list[tuple[int, int]]:
        """First and last-plus-one rank of every group."""
        return list(pairwise(self.bounds.tolist()))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "ContextModel":
        """Reads a model from the arrays that `to_arrays` made.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        try:
            bounds = arrays["context_bounds"].astype(np.int64)
            minimum, maximum = (int(v) for v in arrays["codebook"])
            shapes = weight_shapes(bounds)
            return cls(
                minimum=minimum,
                maximum=maximum,
                order=arrays["context_order"].astype(np.int64),
                bounds=bounds,
                activity=arrays["context_activity"].astype(np.int64),
                mean_weights=split_weights(arrays["context_mean_weights"], shapes),
                spread_weights=split_weights(arrays["context_spread_weights"], shapes),
                thresholds=arrays["context_thresholds"].astype(np.int64),
                tables=TableSet(arrays["context_tables"].astype(np.int32), minimum - maximum),
            )
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise FormatError(f"the model's context tables are damaged ({error}): reinstall the model") from error

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The model as named arrays of the smallest integer types, for an .npz file."""
        return {
            "codebook": np.array([self.minimum, self.maximum], np.int16),
            "context_order": self.order.astype(np.uint16),
            "context_bounds": self.bounds.astype(np.uint16),
            "context_activity": self.activity.astype(np.int16),
            "context_mean_weights": np.concatenate([w.ravel() for w in self.mean_weights]).astype(np.int32),
            "context_spread_weights": np.concatenate([w.ravel() for w in self.spread_weights]).astype(np.int32),
            "context_thresholds": self.thresholds.astype(np.int32),
            "context_tables": self.tables.frequencies.astype(np.uint16),
        }


def weight_shapes(bounds: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Shape (features, group channels) of each step's weights, for the ranks at which groups begin and end."""
    return [(feature_count(a, b, phase), b - a) for a, b in pairwise(bounds.tolist()) for phase in range(PHASES)]


def feature_count(start: int, stop: int, phase: int) -> int:
    """Number of context features of the group of ranks start..stop-1 in one phase."""
    return 1 + 3 * start + (2 * (stop - start) if phase else 0)


def encode(model: ContextModel, latents: Planes, encoder: AnsEncoder) -> None:
    """Queues all latents in coding order.

    Args:
        model: the context model.
        latents: int32 (channels, h, w) within the codebook.
        encoder: the stream to append to.
    """
    walk = Walk(model, latents.shape[1], latents.shape[2])
    for step in walk.steps():
        values = latents[walk.channels_of(step)].reshape(len(step.ranks), -1)[:, step.positions]
        bases, indexes = step.contexts()
        encoder.append_grouped((values - bases).ravel(), indexes.ravel(), model.tables)
        walk.learn(step, values)


def decode(model: ContextModel, height: int, width: int, decoder: AnsDecoder) -> Planes:
    """Decodes what `encode` queued.

    Returns:
        int32 (channels, height, width).

    Raises:
        FormatError: the data gives values outside the codebook, so it is damaged.
    """
    walk = Walk(model, height, width)
    latents = np.empty((model.channels, height * width), np.int32)
    for step in walk.steps():
        bases, indexes = step.contexts()
        values = decoder.take_grouped(indexes.ravel(), model.tables).reshape(bases.shape) + bases
        if values.size and (values.min() < model.minimum or values.max() > model.maximum):
            raise FormatError("latents decode to values outside the codebook: get an undamaged copy of the file")
        latents[np.ix_(walk.channels_of(step), step.positions)] = values
        walk.learn(step, values)
    return latents.reshape(-1, height, width)


def ideal_bits(model: ContextModel, latents: Planes) -> float:
    """Code length in bits of all latents, int32 (channels, h, w), if every symbol cost exactly what its table says."""
    walk = Walk(model, latents.shape[1], latents.shape[2])
    bits = 0.0
    for step in walk.steps():
        values = latents[walk.channels_of(step)].reshape(len(step.ranks), -1)[:, step.positions]
        bases, indexes = step.contexts()
        bits += model.tables.bits((values - bases).ravel(), indexes.ravel())
        walk.learn(step, values)
    return bits


@dataclass(frozen=True)
class Step:
    """One group in one phase.

    Attributes:
        model: the context model.
        number: index of the step's weights.
        ranks: ranks of the group's channels.
        positions: flat positions (n,) of the phase.
        features: (features, n) integers.
    """

    model: ContextModel
    number: int
    ranks: range
    positions: npt.NDArray[np.intp]
    features: Exact

    def contexts(self) -> tuple[Planes, npt.NDArray[np.int64]]:
        """Predicted integer and table index of each latent of the step, both (group channels, n)."""
        mean = self._linear(self.model.mean_weights)
        spread = self._linear(self.model.spread_weights)
        low, high = MEAN_STEPS * self.model.minimum, MEAN_STEPS * self.model.maximum
        quarters = np.clip((mean * MEAN_STEPS) >> (WEIGHT_BITS + 4), low, high)
        bases = (quarters + MEAN_STEPS // 2) // MEAN_STEPS
        fraction = quarters + MEAN_STEPS // 2 - MEAN_STEPS * bases
        classes = np.searchsorted(self.model.thresholds, spread >> WEIGHT_BITS, side="right")
        return bases.astype(np.int32), classes * MEAN_STEPS + fraction

    def _linear(self, weights: tuple[Exact, ...]) -> npt.NDArray[np.int64]:
        return (weights[self.number].T @ self.features).astype(np.int64)


class Walk:
    """Goes through the steps of one picture and keeps the features that later steps need.

    The loop is: take a step, code its latents, `learn` their values, take the next.
    """

    def __init__(self, model: ContextModel, height: int, width: int) -> None:
        self._model = model
        self._shape = (height, width)
        self._phases = phase_positions(height, width)
        area = height * width
        self._features = np.empty((1 + 3 * model.channels, area), np.float64)
        self._features[0] = ONE
        self._planes = np.zeros((int(np.diff(model.bounds).max()), area), np.int32)

    def channels_of(self, step: Step) -> npt.NDArray[np.int64]:
        """Channel numbers of a step's group."""
        return self._model.order[step.ranks.start : step.ranks.stop]

    def steps(self) -> Iterator[Step]:
        """All steps in coding order; each needs the values of those before it (`learn`)."""
        for group, (start, stop) in enumerate(self._model.groups()):
            planes = self._planes[: stop - start]
            planes[:] = 0
            known = self._features[: 1 + 3 * start]
            for phase, positions in enumerate(self._phases):
                features = known[:, positions]
                if phase:
                    features = np.concatenate([features, self._own_neighbours(planes, phase, positions)])
                yield Step(self._model, PHASES * group + phase, range(start, stop), positions, features)
            if stop < self._model.channels:
                self._finish_group(planes, start, stop)

    def learn(self, step: Step, values: Planes) -> None:
        """Records the values (group channels, n) of a step."""
        self._planes[: len(step.ranks), step.positions] = values

    def _own_neighbours(self, planes: Planes, phase: int, positions: npt.NDArray[np.intp]) -> Exact:
        both = np.concatenate([planes, self._activity(planes)]).reshape(-1, *self._shape)
        sums = diagonal_sum(both) if phase == 1 else adjacent_sum(both)
        return sums.reshape(len(both), -1)[:, positions].astype(np.float64)

    def _finish_group(self, planes: Planes, start: int, stop: int) -> None:
        count = stop - start
        activity = self._activity(planes)
        around = activity.reshape(-1, *self._shape)
        around = 2 * adjacent_sum(around) + diagonal_sum(around)
        rows = self._features[1 + 3 * start : 1 + 3 * stop]
        rows[:count], rows[count : 2 * count], rows[2 * count :] = planes, activity, around.reshape(count, -1)

    def _activity(self, planes: Planes) -> Planes:
        return self._model.activity.astype(np.int32)[np.abs(planes)]


def phase_positions(height: int, width: int) -> list[npt.NDArray[np.intp]]:
    """Flat positions of the three lattice phases, each in raster order.

    >>> [p.tolist() for p in phase_positions(2, 3)]
    [[0, 2], [4], [1, 3, 5]]
    """
    rows, columns = np.indices((height, width)) % 2
    return [np.flatnonzero(mask) for mask in ((rows + columns) == 0, (rows * columns) == 1, (rows + columns) == 1)]


def adjacent_sum(planes: Planes) -> Planes:
    """Sum of the four neighbours that share an edge, zero outside; (n, h, w) in and out."""
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    return padded[:, :-2, 1:-1] + padded[:, 2:, 1:-1] + padded[:, 1:-1, :-2] + padded[:, 1:-1, 2:]


def diagonal_sum(planes: Planes) -> Planes:
    """Sum of the four neighbours that share a corner, zero outside; (n, h, w) in and out."""
    padded = np.pad(planes, ((0, 0), (1, 1), (1, 1)))
    return padded[:, :-2, :-2] + padded[:, :-2, 2:] + padded[:, 2:, :-2] + padded[:, 2:, 2:]


def split_weights(flat: npt.NDArray[Any], shapes: list[tuple[int, int]]) -> tuple[Exact, ...]:
    """Matrices of the given shapes from an array that holds them end to end.

    Raises:
        FormatError: the array is not of that size, or not of integers.
    """
    ends = np.cumsum([rows * columns for rows, columns in shapes])
    require(flat.ndim == 1 and flat.size == ends[-1], "weight count")
    require(np.issubdtype(flat.dtype, np.integer), "weight type")
    parts = np.split(flat.astype(np.float64), ends[:-1])
    return tuple(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True))


def require(condition: bool | np.bool_, what: str) -> None:
    """Raises `FormatError` about a model's context tables unless a condition holds."""
    if not condition:
        raise FormatError(f"the model's context tables are damaged ({what}): reinstall the model")
