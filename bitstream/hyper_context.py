"""The entropy model of latents under a hyperprior: which table codes each latent.

Latents are coded in steps: groups of channels, and within a group the two halves of a checkerboard, so that the second
half sees all four neighbours of its own channel. All latents of a step are independent of each other given what is
decoded, so a step is a few array operations.

Every latent has a predicted value and a predicted spread. The hyperprior gives both; in the context profile two integer
linear forms refine them. Their features are of two kinds: *shared* ones, the same for all channels of the step (earlier
channels, sums over many of them, the quality), and *own* ones, a few for each channel (its neighbours, its hyperprior).
The value's integer part is subtracted, its fractional part and the class of the spread choose one of a set of shared
tables.

Everything is integer; float64 only carries integers far below 2^53 through matrix products, and `HyperContext` refuses
weights that could leave that range. FORMAT.md §7, "Hyperprior", is normative.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from .ans import AnsDecoder, AnsEncoder
from .context import adjacent_sum, diagonal_sum, require, split_weights
from .escape import decode_with_escapes, encode_with_escapes
from .tables import TableSet

PHASES = 2
MEAN_STEPS = 4
"""Resolution of the predicted value: fractions of one quantisation step."""

WEIGHT_BITS = 12
"""Fractional bits of the integer weights."""

ONE = 16
"""Value of the constant feature; unit of predicted values, spreads and activities."""

REACH = 48
"""How many earlier channels are features one by one; those before them only take part in sums."""

OWN_FEATURES = (2, 4)
"""Own features in the first and in the second phase: predicted value and spread; then neighbours' values and activities."""

LARGEST = 1 << 14
"""Latents lie within -LARGEST..LARGEST - 1."""

NEAR = 2
OFFSET_UNIT = 64

_QUALITY_FEATURES = 3
_SUM_FEATURES = 2
_ACTIVITY_LIMIT = 1 << 12
_MEAN_LIMIT = LARGEST * ONE

Planes = npt.NDArray[np.int32]
Exact = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What the hyperprior says about every latent.

    Attributes:
        mean: int32 (channels, h, w) predicted values in 1/16 of a quantisation step.
        spread: int32 (channels, h, w) predicted spreads: 16 times the expected root of the distance from the value.
    """

    mean: Planes
    spread: Planes


@dataclass(frozen=True)
class Weights:
    """One linear form of every step, in 1/4096.

    Attributes:
        shared: for each step (group-major, then phase) (shared features, group channels).
        own: for each step (own features, group channels).
    """

    shared: tuple[Exact, ...]
    own: tuple[Exact, ...]


@dataclass(frozen=True)
class HyperContext:
    """Everything the two directions share; integers only.

    Attributes:
        bounds: (groups + 1,) channels at which groups begin, ending with the number of channels.
        activity: (n,) activity of each magnitude, in 1/16; larger magnitudes count as n - 1.
        mean: weights of the value.
        spread: weights of the spread.
        thresholds: (classes - 1,) ascending limits between spread classes, in 1/16.
        tables: classes * MEAN_STEPS tables of value minus predicted integer, the last entry the escape.
        offsets: (tables, 2 * NEAR + 1) where within its quantisation cell a latent lies on average, in 1/64 of a step, by
            its table and its distance from the predicted integer, clipped to -NEAR..NEAR.
    """

    bounds: npt.NDArray[np.int64]
    activity: npt.NDArray[np.int64]
    mean: Weights
    spread: Weights
    thresholds: npt.NDArray[np.int64]
    tables: TableSet
    offsets: npt.NDArray[np.int64]

    def __post_init__(self) -> None:
        """Checks every shape and range, so that coding cannot fail or lose exactness later.

        Raises:
            FormatError: the arrays contradict each other.
        """
        require(self.bounds.ndim == 1 and len(self.bounds) > 1 and self.bounds[0] == 0, "group bounds")
        require(bool((np.diff(self.bounds) > 0).all()), "group bounds")
        require(self.activity.ndim == 1 and self.activity.size > 1, "activity")
        require(bool(((self.activity >= 0) & (self.activity < _ACTIVITY_LIMIT)).all()), "activity")
        require(self.thresholds.ndim == 1 and bool((np.diff(self.thresholds) >= 0).all()), "thresholds")
        require(len(self.tables) == MEAN_STEPS * (len(self.thresholds) + 1), "table count")
        require(self.offsets.shape == (len(self.tables), 2 * NEAR + 1), "offsets")
        require(bool((np.abs(self.offsets) <= OFFSET_UNIT).all()), "offsets")
        largest = max(_MEAN_LIMIT, 4 * LARGEST, self.channels * 12 * _ACTIVITY_LIMIT)
        for weights in (self.mean, self.spread):
            require([w.shape for w in weights.shared] == shared_shapes(self.bounds), "weight shapes")
            require([w.shape for w in weights.own] == own_shapes(self.bounds), "weight shapes")
            for both in zip(weights.shared, weights.own, strict=True):
                sums = sum(np.abs(w).sum(axis=0) for w in both)
                require(float(np.max(sums)) * largest < 2**52, "weight range")

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
            weights = [
                Weights(
                    split_weights(arrays[f"context_{form}_shared"], shared_shapes(bounds)),
                    split_weights(arrays[f"context_{form}_own"], own_shapes(bounds)),
                )
                for form in ("mean", "spread")
            ]
            return cls(
                bounds=bounds,
                activity=arrays["context_activity"].astype(np.int64),
                mean=weights[0],
                spread=weights[1],
                thresholds=arrays["context_thresholds"].astype(np.int64),
                tables=TableSet(arrays["context_tables"].astype(np.int32), int(arrays["context_minimum"])),
                offsets=arrays["context_offsets"].astype(np.int64),
            )
        except (KeyError, ValueError, TypeError, IndexError) as error:
            raise FormatError(f"the model's context tables are damaged ({error}): reinstall the model") from error

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The model as named arrays of small integer types, for an .npz file."""
        flat: dict[str, npt.NDArray[Any]] = {}
        for form, weights in (("mean", self.mean), ("spread", self.spread)):
            flat[f"context_{form}_shared"] = _narrow(np.concatenate([w.ravel() for w in weights.shared]))
            flat[f"context_{form}_own"] = _narrow(np.concatenate([w.ravel() for w in weights.own]))
        return {
            "context_bounds": self.bounds.astype(np.uint16),
            "context_activity": self.activity.astype(np.int16),
            **flat,
            "context_thresholds": self.thresholds.astype(np.int32),
            "context_tables": self.tables.frequencies.astype(np.uint16),
            "context_minimum": np.array(self.tables.minimum, np.int16),
            "context_offsets": self.offsets.astype(np.int8),
        }

    def contexts(
        self, mean: npt.NDArray[np.int64], spread: npt.NDArray[np.int64]
    ) -> tuple[Planes, npt.NDArray[np.int64]]:
        """Predicted integer and table index of each latent, from predicted value and spread in 1/16."""
        limit = MEAN_STEPS * (LARGEST - 1)
        quarters = np.clip(mean * MEAN_STEPS // ONE, -limit, limit) + MEAN_STEPS // 2
        bases = quarters // MEAN_STEPS
        classes = np.searchsorted(self.thresholds, spread, side="right")
        return bases.astype(np.int32), classes * MEAN_STEPS + (quarters - MEAN_STEPS * bases)

    def centroids(self, values: Planes, bases: Planes, indexes: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """The mean of what was quantised to each value: float32 of the same shape, in quantisation steps."""
        near = np.clip(values - bases, -NEAR, NEAR) + NEAR
        units: npt.NDArray[np.float32] = (values * OFFSET_UNIT + self.offsets[indexes, near]).astype(np.float32)
        return units / np.float32(OFFSET_UNIT)


def shared_shapes(bounds: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Shape (shared features, group channels) of each step's weights."""
    groups = pairwise(bounds.tolist())
    return [(_shared_count(start, phase), stop - start) for start, stop in groups for phase in range(PHASES)]


def own_shapes(bounds: npt.NDArray[np.int64]) -> list[tuple[int, int]]:
    """Shape (own features, group channels) of each step's weights."""
    return [(count, stop - start) for start, stop in pairwise(bounds.tolist()) for count in OWN_FEATURES]


def _shared_count(start: int, phase: int) -> int:
    return _QUALITY_FEATURES + 3 * min(start, REACH) + (_SUM_FEATURES if start else 0) + phase


@dataclass(frozen=True)
class Step:
    """One group in one phase.

    Attributes:
        model: the entropy model.
        number: index of the step's weights.
        channels: the group's channels.
        positions: flat positions (n,) of the phase.
        shared: (shared features, n) integers.
        own: (own features, group channels, n) integers.
    """

    model: HyperContext
    number: int
    channels: slice
    positions: npt.NDArray[np.intp]
    shared: Exact
    own: Exact

    def contexts(self) -> tuple[Planes, npt.NDArray[np.int64]]:
        """Predicted integer and table index of each latent of the step, both (group channels, n)."""
        return self.model.contexts(self.form(self.model.mean), self.form(self.model.spread))

    def form(self, weights: Weights) -> npt.NDArray[np.int64]:
        """Value of a linear form for each latent, in 1/16, (group channels, n)."""
        total = weights.shared[self.number].T @ self.shared
        for feature, weight in zip(self.own, weights.own[self.number], strict=True):
            total += weight[:, None] * feature
        return total.astype(np.int64) >> WEIGHT_BITS


@dataclass(frozen=True)
class PriorStep:
    """One group, all positions at once, with the hyperprior alone.

    Attributes:
        model: the entropy model.
        channels: the group's channels.
        positions: all flat positions.
        prior: what the hyperprior says about the group's latents.
    """

    model: HyperContext
    channels: slice
    positions: slice
    prior: Prior

    def contexts(self) -> tuple[Planes, npt.NDArray[np.int64]]:
        """Predicted integer and table index of each latent, both (group channels, n)."""
        mean, spread = (p.reshape(len(p), -1).astype(np.int64) for p in (self.prior.mean, self.prior.spread))
        return self.model.contexts(mean, spread)


def prior_steps(model: HyperContext, prior: Prior) -> list[PriorStep]:
    """One step for each group of the profile without context."""
    spans = [slice(start, stop) for start, stop in model.groups()]
    return [PriorStep(model, span, slice(None), Prior(prior.mean[span], prior.spread[span])) for span in spans]


class Walk:
    """Goes through the steps of one picture and keeps what later steps need.

    The loop is: take a step, code its latents, `settle` or `learn` their values, take the next.

    Args:
        model: the entropy model.
        prior: of the whole stripe.
        quality: position on the quality scale, 0 to 16.
    """

    def __init__(self, model: HyperContext, prior: Prior, quality: int) -> None:
        self._model = model
        self._prior = prior
        channels, *self._shape = prior.mean.shape
        area = prior.mean[0].size
        self._phases = checkerboard(*self._shape)
        self._constant = np.array([ONE, quality, quality * quality], np.float64)[:, None]
        self._values = np.zeros((channels, area), np.int32)
        self._centroids = np.zeros((channels, area), np.float32)
        self._activities = np.zeros((channels, area), np.int32)
        self._around = np.zeros((channels, area), np.int32)
        self._sums = np.zeros((_SUM_FEATURES, area), np.int64)
        self._learnt = 0

    @property
    def latents(self) -> Planes:
        """What has been learnt, int32 (channels, h, w); zero elsewhere."""
        return self._values.reshape(-1, *self._shape)

    @property
    def centroids(self) -> npt.NDArray[np.float32]:
        """What the learnt values stand for, float32 (channels, h, w), see `HyperContext.centroids`; zero elsewhere."""
        return self._centroids.reshape(-1, *self._shape)

    def steps(self, groups: range) -> Iterator[Step]:
        """The steps of some groups in coding order; each needs the values of those before it (`learn`)."""
        bounds = self._model.groups()
        for group in groups:
            start, stop = bounds[group]
            for phase, positions in enumerate(self._phases):
                shared = self._shared(start, stop, phase, positions)
                own = self._own(start, stop, phase, positions)
                yield Step(self._model, PHASES * group + phase, slice(start, stop), positions, shared, own)
            self._finish(start, stop)

    def learn(self, step: Step, values: Planes) -> None:
        """Records the values (group channels, n) of a step."""
        self._values[step.channels, step.positions] = values
        self._activities[step.channels, step.positions] = self._activity(values)

    def settle(self, step: Step, values: Planes, bases: Planes, indexes: npt.NDArray[np.int64]) -> None:
        """Records the values (group channels, n) of a step, and by its contexts what they stand for."""
        self.learn(step, values)
        self._centroids[step.channels, step.positions] = self._model.centroids(values, bases, indexes)

    def _activity(self, values: Planes) -> Planes:
        table = self._model.activity.astype(np.int32)
        return table[np.minimum(np.abs(values), len(table) - 1)]

    def _shared(self, start: int, stop: int, phase: int, positions: npt.NDArray[np.intp]) -> Exact:
        near = slice(max(0, start - REACH), start)
        rows: list[npt.NDArray[Any]] = [
            np.broadcast_to(self._constant, (_QUALITY_FEATURES, positions.size)),
            self._values[near, positions],
            self._activities[near, positions],
            self._around[near, positions],
        ]
        if start:
            rows.append(self._sums[:, positions])
        if phase:
            total = self._activities[start:stop].sum(axis=0).reshape(1, *self._shape)
            rows.append(adjacent_sum(total).reshape(1, -1)[:, positions])
        return np.concatenate(rows).astype(np.float64)

    def _own(self, start: int, stop: int, phase: int, positions: npt.NDArray[np.intp]) -> Exact:
        prior = [p[start:stop].reshape(stop - start, -1)[:, positions] for p in (self._prior.mean, self._prior.spread)]
        if phase:
            planes = (self._values[start:stop], self._activities[start:stop])
            prior += [adjacent_sum(p.reshape(-1, *self._shape)).reshape(len(p), -1)[:, positions] for p in planes]
        return np.stack(prior).astype(np.float64)

    def _finish(self, start: int, stop: int) -> None:
        activities = self._activities[start:stop].reshape(-1, *self._shape)
        around = 2 * adjacent_sum(activities) + diagonal_sum(activities)
        self._around[start:stop] = around.reshape(stop - start, -1)
        self._sums[0] += self._activities[start:stop].sum(axis=0)
        self._sums[1] += self._around[start:stop].sum(axis=0)


@dataclass(frozen=True)
class Chosen:
    """The values of one step as they are to be coded.

    Attributes:
        values: int32 (group channels, n).
        bases: int32 (group channels, n) predicted integers.
        indexes: (group channels, n) tables.
    """

    values: Planes
    bases: Planes
    indexes: npt.NDArray[np.int64]


Chooser = Callable[[Step | PriorStep, Planes, npt.NDArray[np.int64]], Planes]
"""Picks the values (group channels, n) of a step, given its predicted integers and its table indexes."""


def choose(step: Step | PriorStep, chooser: Chooser) -> Chosen:
    """Lets a chooser decide the values of one step."""
    bases, indexes = step.contexts()
    return Chosen(chooser(step, bases, indexes), bases, indexes)


def choose_all(walk: Walk, groups: range, chooser: Chooser) -> list[list[Chosen]]:
    """Lets a chooser decide every value in coding order.

    Returns:
        For each group the steps to hand to `encode`.
    """
    decided: dict[int, list[Chosen]] = {group: [] for group in groups}
    for step in walk.steps(groups):
        chosen = choose(step, chooser)
        decided[step.number // PHASES].append(chosen)
        walk.settle(step, chosen.values, chosen.bases, chosen.indexes)
    return list(decided.values())


def encode(steps: Iterable[Chosen], tables: TableSet, encoder: AnsEncoder) -> None:
    """Queues decided values in coding order."""
    for chosen in steps:
        encode_with_escapes(encoder, (chosen.values - chosen.bases).ravel(), chosen.indexes.ravel(), tables)


def decode(walk: Walk, groups: range, decoder: AnsDecoder) -> None:
    """Decodes the values of some groups; the walk holds the result.

    Raises:
        FormatError: the data gives values that no encoder writes.
    """
    for step in walk.steps(groups):
        bases, indexes = step.contexts()
        values = decode_with_escapes(decoder, indexes.ravel(), step.model.tables).reshape(bases.shape) + bases
        check_range(values)
        walk.settle(step, values, bases, indexes)


def check_range(values: Planes) -> None:
    """Refuses latents beyond -LARGEST..LARGEST - 1.

    Raises:
        FormatError: there are such.
    """
    if values.size and (values.min() < -LARGEST or values.max() >= LARGEST):
        raise FormatError("latents decode to values out of range: get an undamaged copy of the file")


def checkerboard(height: int, width: int) -> list[npt.NDArray[np.intp]]:
    """Flat positions of the two phases, each in raster order: row and column add up to an even, then to an odd number.

    >>> [p.tolist() for p in checkerboard(2, 3)]
    [[0, 2, 4], [1, 3, 5]]
    """
    odd = np.indices((height, width)).sum(axis=0) % 2
    return [np.flatnonzero(odd == phase) for phase in range(PHASES)]


def _narrow(values: Exact) -> npt.NDArray[Any]:
    small = np.iinfo(np.int16)
    fits = values.size == 0 or (values.min() >= small.min and values.max() <= small.max)
    return values.astype(np.int16 if fits else np.int32)
