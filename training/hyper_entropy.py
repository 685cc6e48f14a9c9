"""Completes the integer entropy model of a trained hyperprior codec: classes, tables and offsets, counted on latents.

The linear forms come from training. One model serves all qualities: pictures come at many of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.hyper_context import MEAN_STEPS, NEAR, OFFSET_UNIT, HyperContext, Planes, Prior, Sites
from ..bitstream.linear_forms import ONE, LinearForms
from ..bitstream.tables import FREQUENCY_TOTAL, TableSet, normalise
from ..bitstream.walk import Step, Walk, prior_steps

SPREAD_CLASSES = 64
RANGE = 127
"""Distances from the predicted integer beyond this are escaped."""

_PRIOR_COUNTS = 4.0
_RARE = 0.5 / FREQUENCY_TOTAL
_ACTIVITIES = 512

# The synthesis has learnt from rounded latents and makes part of the correction itself: all of it costs 0.1 dB.
_OFFSET_SHARE = 0.5

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One picture at one quality.

    Attributes:
        exact: float32 (channels, h, w) latents before rounding, in quantisation steps.
        latents: int32 (channels, h, w) after it.
        prior: what the hyperprior says about them.
    """

    exact: npt.NDArray[np.float32]
    latents: Planes
    prior: Prior


def fit(samples: Sequence[Sample], bounds: Sequence[int], forms: LinearForms) -> HyperContext:
    """Fits what has not been trained.

    Args:
        samples: training pictures at all qualities.
        bounds: channels at which groups begin, ending with the number of channels.
        forms: the linear forms.
    """
    model = HyperContext(
        bounds=np.array(bounds, np.int64),
        activity=np.rint(ONE * np.log1p(np.arange(_ACTIVITIES))).astype(np.int64),
        forms=forms,
        thresholds=np.empty(0, np.int64),
        tables=_uniform(MEAN_STEPS),
        offsets=_no_offsets(MEAN_STEPS),
    )
    thresholds = _thresholds(model, samples)
    count = (len(thresholds) + 1) * MEAN_STEPS
    model = replace(model, thresholds=thresholds, tables=_uniform(count), offsets=_no_offsets(count))
    tables, offsets = _count(model, samples, visit)
    return replace(model, tables=tables, offsets=offsets)


def fit_alone(model: HyperContext, samples: Sequence[Sample]) -> HyperContext:
    """The model with the tables and offsets of the fast profile: what is left there has longer tails."""
    tables, offsets = _count(model, samples, visit_alone)
    return replace(model, tables=tables, offsets=offsets)


def visit(model: HyperContext, sample: Sample) -> Iterator[tuple[Step, Sites]]:
    """Every step of a picture in the context profile, with the values coded in it."""
    walk = Walk(model, sample.prior)
    sites = sample.prior.lattice.sites(sample.latents)
    for step in walk.steps(range(len(model.groups()))):
        values = sites[step.place]
        yield step, values
        walk.learn(step, values)


def visit_alone(model: HyperContext, sample: Sample) -> Iterator[tuple[Step, Sites]]:
    """Every step of a picture in the fast profile, with the values coded in it."""
    sites = sample.prior.lattice.sites(sample.latents)
    return ((step, sites[step.place]) for step in prior_steps(model, sample.prior))


def _no_offsets(count: int) -> npt.NDArray[np.int64]:
    return np.zeros((count, 2 * NEAR + 1), np.int64)


def _uniform(count: int) -> TableSet:
    return TableSet.from_counts(np.ones((count, 2 * RANGE + 2), np.int64), -RANGE)


def _thresholds(model: HyperContext, samples: Sequence[Sample]) -> npt.NDArray[np.int64]:
    """Class limits evenly spaced in the logarithm of the width, over the range that occurs."""
    chosen = samples[:: max(1, len(samples) // 40)]
    spreads = np.concatenate([step.spread.ravel() for s in chosen for step, _ in visit(model, s)]) / ONE
    low, high = np.logaddexp(0.0, np.quantile(spreads, (0.001, 0.9999)))
    widths = np.geomspace(low, max(high, 1.1 * low), SPREAD_CLASSES - 1)
    limits = np.rint(ONE * np.log(np.expm1(widths))).astype(np.int64)
    return np.unique(limits)


def _count(
    model: HyperContext,
    samples: Sequence[Sample],
    steps_of: Callable[[HyperContext, Sample], Iterator[tuple[Step, Sites]]],
) -> tuple[TableSet, npt.NDArray[np.int64]]:
    """Tables from the distances that occur, offsets from where in their cells the unrounded latents lay."""
    counts = np.zeros((len(model.tables), 2 * RANGE + 2))
    near_counts, near_sums = (np.zeros(model.offsets.shape) for _ in range(2))
    for sample in samples:
        exact = sample.prior.lattice.sites(sample.exact)
        for step, values in steps_of(model, sample):
            bases, indexes = step.contexts()
            distances = values - bases
            entries = np.where(np.abs(distances) <= RANGE, distances + RANGE, 2 * RANGE + 1)
            counts += _histogram(indexes, entries, counts.shape)
            cells = np.clip(distances, -NEAR, NEAR) + NEAR
            near_counts += _histogram(indexes, cells, near_counts.shape)
            errors = exact[step.place] - values
            near_sums += _histogram(indexes, cells, near_sums.shape, errors)
    offsets = _OFFSET_SHARE * np.clip(near_sums / (near_counts + _PRIOR_COUNTS), -1.0, 1.0) * OFFSET_UNIT
    classes = counts.reshape(-1, MEAN_STEPS, counts.shape[1])
    smooth = np.concatenate([_smoothed(c) for c in classes])
    tables = np.stack([_table(row) for row in counts + _PRIOR_COUNTS * smooth])
    return TableSet(tables, -RANGE), np.rint(offsets).astype(np.int64)


def _table(counts: Floats) -> npt.NDArray[np.int32]:
    """Frequencies of a table, the escape behind its last distance; rare distances at either end are escaped.

    Every entry has a frequency of 1 or more. Where one symbol has nearly all of the probability, a wide table would
    take more from it than it costs: half of all latents have such tables.

    Args:
        counts: (2 * RANGE + 2,) the last those of the escape.
    """
    distances = counts[:-1]
    common = np.flatnonzero(distances >= _RARE * counts.sum())
    first, last = min(common[0], RANGE - 1), max(common[-1], RANGE + 1)
    escaped = counts[-1] + distances[:first].sum() + distances[last + 1 :].sum()
    kept = np.append(distances[first : last + 1], escaped)
    table = np.zeros(len(counts), np.int32)
    table[first : last + 2] = normalise(np.rint(kept * 1024).astype(np.int64))
    return table


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
