"""Fits the integer entropy model of a hyperprior codec to the latents of a trained one: solved and counted.

Ridge regressions refine value and spread of every latent from its decoded surroundings; classes of predicted spread
share counted tables. One fit serves all qualities: pictures come at many of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.hyper_context import (
    MEAN_STEPS,
    NEAR,
    OFFSET_UNIT,
    ONE,
    WEIGHT_BITS,
    HyperContext,
    Planes,
    Prior,
    Step,
    Walk,
    Weights,
    own_shapes,
    shared_shapes,
)
from ..bitstream.tables import TableSet

SPREAD_CLASSES = 64
RANGE = 127
"""Distances from the predicted integer beyond this are escaped."""

_RIDGE = 1e-3
_PRIOR_COUNTS = 4.0
_ACTIVITIES = 64

Floats = npt.NDArray[np.float64]
Target = Callable[[Step, Planes], Floats]


@dataclass(frozen=True)
class Sample:
    """One picture at one quality.

    Attributes:
        exact: float32 (channels, h, w) latents before rounding, in quantisation steps.
        latents: int32 (channels, h, w) after it.
        prior: what the hyperprior says about them.
        quality: position on the quality scale, 0 to 16.
    """

    exact: npt.NDArray[np.float32]
    latents: Planes
    prior: Prior
    quality: int


def fit(samples: Sequence[Sample], bounds: Sequence[int]) -> HyperContext:
    """Fits the whole model.

    Args:
        samples: training pictures at all qualities.
        bounds: channels at which groups begin, ending with the number of channels.
    """
    model = _blank(np.array(bounds, np.int64))
    model = replace(model, mean=_solve(model, samples, _values))
    model = replace(model, spread=_solve(model, samples, _spread_targets))
    thresholds = _thresholds(model, samples)
    count = SPREAD_CLASSES * MEAN_STEPS
    model = replace(model, thresholds=thresholds, tables=_uniform(count), offsets=_no_offsets(count))
    tables, offsets = _count(model, samples)
    return replace(model, tables=tables, offsets=offsets)


def visit(model: HyperContext, sample: Sample) -> Iterator[tuple[Step, Planes]]:
    """Every step of a picture with the values coded in it."""
    walk = Walk(model, sample.prior, sample.quality)
    flat = sample.latents.reshape(len(sample.latents), -1)
    for step in walk.steps(range(len(model.groups()))):
        values = flat[step.channels][:, step.positions]
        yield step, values
        walk.learn(step, values)


def ideal_bits(model: HyperContext, sample: Sample) -> tuple[float, float]:
    """Code length in bits of all latents with context, and under the hyperprior alone."""
    full = sum(_bits(model, values, *step.contexts()) for step, values in visit(model, sample))
    alone = model.contexts(sample.prior.mean.astype(np.int64), sample.prior.spread.astype(np.int64))
    return full, _bits(model, sample.latents, *alone)


def _bits(model: HyperContext, values: Planes, bases: Planes, indexes: npt.NDArray[np.int64]) -> float:
    distances = np.clip(values - bases, model.tables.minimum, model.tables.maximum)
    return model.tables.bits(distances.ravel(), indexes.ravel())


def _blank(bounds: npt.NDArray[np.int64]) -> HyperContext:
    zeros = Weights(
        tuple(np.zeros(shape) for shape in shared_shapes(bounds)),
        tuple(np.zeros(shape) for shape in own_shapes(bounds)),
    )
    return HyperContext(
        bounds=bounds,
        activity=np.rint(ONE * np.sqrt(np.arange(_ACTIVITIES))).astype(np.int64),
        mean=zeros,
        spread=zeros,
        thresholds=np.empty(0, np.int64),
        tables=_uniform(MEAN_STEPS),
        offsets=_no_offsets(MEAN_STEPS),
    )


def _no_offsets(count: int) -> npt.NDArray[np.int64]:
    return np.zeros((count, 2 * NEAR + 1), np.int64)


def _uniform(count: int) -> TableSet:
    return TableSet.from_counts(np.ones((count, 2 * RANGE + 2), np.int64), -RANGE)


def _values(step: Step, values: Planes) -> Floats:
    """Target of the first regression, in the units of the features."""
    del step
    return values.astype(np.float64) * ONE


def _spread_targets(step: Step, values: Planes) -> Floats:
    """Target of the second: root of the distance from the predicted value, less dominated by rare large values."""
    return ONE * np.sqrt(np.abs(values - step.form(step.model.mean) / ONE))


def _solve(model: HyperContext, samples: Sequence[Sample], target: Target) -> Weights:
    """Ridge regression of one target on the features of every step, rounded to the integer weights."""
    sums = [_Sums(shared[0], own) for shared, own in zip(*(_shapes(model)), strict=True)]
    for sample in samples:
        for step, values in visit(model, sample):
            sums[step.number].add(step.shared, step.own, target(step, values))
    solved = [s.solve() for s in sums]
    return Weights(tuple(shared for shared, _ in solved), tuple(own for _, own in solved))


def _shapes(model: HyperContext) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    return shared_shapes(model.bounds), own_shapes(model.bounds)


class _Sums:
    """Normal equations of one step: the channels share most features, each has a few of its own."""

    def __init__(self, shared: int, own: tuple[int, int]) -> None:
        count, channels = own
        self._shared = np.zeros((shared, shared))
        self._cross = np.zeros((channels, shared, count))
        self._own = np.zeros((channels, count, count))
        self._shared_target = np.zeros((shared, channels))
        self._own_target = np.zeros((channels, count))

    def add(self, shared: Floats, own: Floats, target: Floats) -> None:
        self._shared += shared @ shared.T
        by_channel = own.transpose(1, 0, 2)
        self._cross += shared @ by_channel.transpose(0, 2, 1)
        self._own += by_channel @ by_channel.transpose(0, 2, 1)
        self._shared_target += shared @ target.T
        self._own_target += (by_channel @ target[:, :, None])[..., 0]

    def solve(self) -> tuple[Floats, Floats]:
        shared, count = len(self._shared), self._own.shape[1]
        weights = np.empty((len(self._own), shared + count))
        squares = np.empty((shared + count, shared + count))
        for channel in range(len(self._own)):
            squares[:shared, :shared] = self._shared
            squares[:shared, shared:] = self._cross[channel]
            squares[shared:, :shared] = self._cross[channel].T
            squares[shared:, shared:] = self._own[channel]
            products = np.concatenate([self._shared_target[:, channel], self._own_target[channel]])
            weights[channel] = _ridge(squares, products)
        return weights[:, :shared].T.copy(), weights[:, shared:].T.copy()


def _ridge(squares: Floats, products: Floats) -> Floats:
    scale = np.sqrt(np.diag(squares)) + 1.0
    normalised = squares / np.outer(scale, scale) + _RIDGE * np.eye(len(squares))
    weights = np.linalg.solve(normalised, products / scale) / scale
    rounded: Floats = np.rint(weights * (1 << WEIGHT_BITS)) + 0.0
    return rounded


def _thresholds(model: HyperContext, samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
    """Class limits evenly spaced in the logarithm of the spread, over the range that occurs."""
    chosen = samples[:: max(1, len(samples) // 40)]
    spreads = np.concatenate([step.form(model.spread).ravel() for s in chosen for step, _ in visit(model, s)])
    low, high = max(0.25, np.quantile(spreads, 0.05)), np.quantile(spreads, 0.99995)
    limits = np.unique(np.rint(np.geomspace(low, max(high, low + SPREAD_CLASSES), 4 * SPREAD_CLASSES)).astype(np.int64))
    if len(limits) > SPREAD_CLASSES - 1:
        limits = limits[np.linspace(0, len(limits) - 1, SPREAD_CLASSES - 1).astype(int)]
    while len(limits) < SPREAD_CLASSES - 1:  # a narrow range: append classes above that stay empty
        limits = np.append(limits, limits[-1] + 1)
    return limits


def _count(model: HyperContext, samples: Sequence[Sample]) -> tuple[TableSet, npt.NDArray[np.int64]]:
    """Tables from the distances that occur, offsets from where in their cells the unrounded latents lay."""
    counts = np.zeros((len(model.tables), 2 * RANGE + 2))
    near_counts, near_sums = (np.zeros(model.offsets.shape) for _ in range(2))
    for sample in samples:
        exact = sample.exact.reshape(len(sample.exact), -1)
        for step, values in visit(model, sample):
            bases, indexes = step.contexts()
            distances = values - bases
            entries = np.where(np.abs(distances) <= RANGE, distances + RANGE, 2 * RANGE + 1)
            counts += _histogram(indexes, entries, counts.shape)
            cells = np.clip(distances, -NEAR, NEAR) + NEAR
            near_counts += _histogram(indexes, cells, near_counts.shape)
            errors = exact[step.channels][:, step.positions] - values
            near_sums += _histogram(indexes, cells, near_sums.shape, errors)
    offsets = np.clip(near_sums / (near_counts + _PRIOR_COUNTS), -1.0, 1.0) * OFFSET_UNIT
    classes = counts.reshape(-1, MEAN_STEPS, counts.shape[1])
    smooth = np.concatenate([_smoothed(c) for c in classes])
    tables = TableSet.from_counts(np.rint((counts + _PRIOR_COUNTS * smooth) * 1024).astype(np.int64), -RANGE)
    return tables, np.rint(offsets).astype(np.int64)


def _histogram(
    rows: npt.NDArray[Any], columns: npt.NDArray[Any], shape: tuple[int, ...], weights: npt.NDArray[Any] | None = None
) -> Floats:
    flat = (rows * shape[1] + columns).ravel()
    summed = np.bincount(flat, None if weights is None else weights.ravel(), shape[0] * shape[1])
    return summed.reshape(shape).astype(np.float64)


def _smoothed(counts: Floats) -> Floats:
    """For each mean phase of one class, the shares of a Laplace-like distribution as wide as the class is."""
    distance = np.arange(-RANGE, RANGE + 1)
    centres = (np.arange(MEAN_STEPS) - MEAN_STEPS // 2) / MEAN_STEPS
    away = np.abs(distance[None, :] - centres[:, None])
    width = (counts[:, :-1] * away).sum() / max(1.0, counts[:, :-1].sum()) + 0.02
    shares = np.exp(-away / width) + 1e-5 / (1.0 + away)
    shares = np.concatenate([shares, np.full((MEAN_STEPS, 1), 1e-5)], axis=1)
    result: Floats = shares / shares.sum(axis=1, keepdims=True)
    return result
