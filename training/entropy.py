"""Fits the coder's integer tables to the latents of a trained model: counted and solved, no gradient steps.

Two profiles are fitted. *Context*: ridge regressions predict value and spread of every latent from its decoded
surroundings, classes of predicted spread share counted tables. *Independent*: a small set of tables, clustered over the
per-channel histograms of all pictures, from which each channel of a file names the best.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.context import MEAN_STEPS, ONE, WEIGHT_BITS, ContextModel, Planes, Step, Walk, weight_shapes
from ..bitstream.tables import FREQUENCY_BITS, TableSet

SPREAD_CLASSES = 48
SHARED_TABLES = 64

_BOUNDS = (0, 1, 2, 3, 4, 8, 16, 32, 64)  # few wide groups: neighbours of all channels of a group inform each other
_RIDGE = 2e-3
_PRIOR_COUNTS = 2.0
_CLUSTER_ROUNDS = 12

Floats = npt.NDArray[np.float64]


def fit_context(latents: Sequence[Planes], codebook: tuple[int, int]) -> ContextModel:
    """Fits the context profile.

    Args:
        latents: int32 (channels, h, w) of each training picture.
        codebook: smallest and largest latent value.

    Returns:
        The model, integer throughout.
    """
    model = _blank(latents, codebook)
    model = replace(model, mean_weights=_solve(model, latents, _values))
    model = replace(model, spread_weights=_solve(model, latents, _spread_targets))
    model = replace(
        model, thresholds=_thresholds(model, latents), tables=_uniform(codebook, SPREAD_CLASSES * MEAN_STEPS)
    )
    return replace(model, tables=_count(model, latents))


def fit_shared_tables(latents: Sequence[Planes], codebook: tuple[int, int]) -> TableSet:
    """Clusters the per-channel histograms of all pictures into `SHARED_TABLES` tables.

    Lloyd's algorithm with code length as the distance, started from histograms evenly spaced by entropy.
    """
    counts = np.array([_histogram(plane, codebook) for picture in latents for plane in picture], np.float64)
    shares = (counts + 0.01) / (counts + 0.01).sum(axis=1, keepdims=True)
    by_entropy = np.argsort(-(shares * np.log2(shares)).sum(axis=1))
    chosen = by_entropy[np.linspace(0, len(counts) - 1, SHARED_TABLES).astype(int)]
    tables = _tables_of(counts[chosen], codebook[0])
    for _ in range(_CLUSTER_ROUNDS):
        nearest = (counts @ (FREQUENCY_BITS - np.log2(tables.frequencies)).T).argmin(axis=1)
        sums = np.array([counts[nearest == k].sum(axis=0) for k in range(SHARED_TABLES)])
        empty = sums.sum(axis=1) == 0
        sums[empty] = counts[chosen][empty]
        tables = _tables_of(sums, codebook[0])
    return tables


def to_arrays(model: ContextModel, shared: TableSet) -> dict[str, npt.NDArray[Any]]:
    """The content of a zoo entry's entropy.npz."""
    return {**model.to_arrays(), "shared_tables": shared.frequencies.astype(np.uint16)}


def _blank(latents: Sequence[Planes], codebook: tuple[int, int]) -> ContextModel:
    """A model with everything but weights, thresholds and counts; channels ordered by falling entropy."""
    channels = latents[0].shape[0]
    histograms = np.array([sum(_histogram(p[c], codebook) for p in latents) for c in range(channels)], np.float64)
    shares = histograms / histograms.sum(axis=1, keepdims=True)
    entropy = -(shares * np.log2(np.maximum(shares, 1e-12))).sum(axis=1)
    bounds = np.array([b for b in _BOUNDS if b < channels] + [channels])
    zeros = tuple(np.zeros(shape) for shape in weight_shapes(bounds))
    largest = max(-codebook[0], codebook[1])
    return ContextModel(
        minimum=codebook[0],
        maximum=codebook[1],
        order=np.argsort(-entropy, kind="stable"),
        bounds=bounds,
        activity=np.rint(ONE * np.sqrt(np.arange(largest + 1))).astype(np.int64),
        mean_weights=zeros,
        spread_weights=zeros,
        thresholds=np.empty(0, np.int64),
        tables=_uniform(codebook, MEAN_STEPS),
    )


def _uniform(codebook: tuple[int, int], count: int) -> TableSet:
    span = codebook[1] - codebook[0]
    return TableSet.from_counts(np.ones((count, 2 * span + 1), np.int64), -span)


def _walk(model: ContextModel, latents: Planes) -> Iterable[tuple[Step, Planes]]:
    walk = Walk(model, latents.shape[1], latents.shape[2])
    for step in walk.steps():
        values = latents[walk.channels_of(step)].reshape(len(step.ranks), -1)[:, step.positions]
        yield step, values
        walk.learn(step, values)


def _values(step: Step, values: Planes) -> Floats:
    """Target of the first regression, in the units of the features."""
    del step
    return values.astype(np.float64) * ONE


def _spread_targets(step: Step, values: Planes) -> Floats:
    """Target of the second: root of the distance from the predicted mean, less dominated by rare large values."""
    mean = step.model.mean_weights[step.number].T @ step.features / (ONE << WEIGHT_BITS)
    clipped = np.clip(mean, step.model.minimum, step.model.maximum)
    return ONE * np.sqrt(np.abs(values - clipped))


def _solve(model: ContextModel, latents: Sequence[Planes], target: Any) -> tuple[Floats, ...]:
    """Ridge regression of one target on the features of every step, rounded to the integer weights."""
    squares = [np.zeros((w.shape[0], w.shape[0])) for w in model.mean_weights]
    products = [np.zeros(w.shape) for w in model.mean_weights]
    for picture in latents:
        for step, values in _walk(model, picture):
            squares[step.number] += step.features @ step.features.T
            products[step.number] += step.features @ target(step, values).T
    return tuple(_ridge(a, b) for a, b in zip(squares, products, strict=True))


def _ridge(squares: Floats, products: Floats) -> Floats:
    scale = np.sqrt(np.diag(squares)) + 1.0
    normalised = squares / np.outer(scale, scale) + _RIDGE * np.eye(len(squares))
    weights = np.linalg.solve(normalised, products / scale[:, None]) / scale[:, None]
    rounded: Floats = np.rint(weights * (1 << WEIGHT_BITS)) + 0.0
    return rounded


def _spreads(model: ContextModel, latents: Sequence[Planes]) -> npt.NDArray[np.int64]:
    parts = [
        (model.spread_weights[step.number].T @ step.features).astype(np.int64).ravel() >> WEIGHT_BITS
        for picture in latents[:: max(1, len(latents) // 40)]
        for step, _ in _walk(model, picture)
    ]
    return np.concatenate(parts)


def _thresholds(model: ContextModel, latents: Sequence[Planes]) -> npt.NDArray[np.int64]:
    """Class limits: half of them split the latents evenly, half split the range of the predicted spread evenly."""
    spreads = _spreads(model, latents)
    half = SPREAD_CLASSES // 2
    even = np.quantile(spreads, np.linspace(0, 1, half + 2)[1:-1])
    low, high = np.quantile(spreads, [0.02, 0.9998])
    limits = np.unique(np.rint(np.concatenate([even, np.linspace(low, high, SPREAD_CLASSES - half)])).astype(np.int64))
    while len(limits) < SPREAD_CLASSES - 1:  # coinciding limits: append classes above that stay empty
        limits = np.append(limits, limits[-1] + 1)
    return limits[: SPREAD_CLASSES - 1]


def _count(model: ContextModel, latents: Sequence[Planes]) -> TableSet:
    span = model.maximum - model.minimum
    counts = np.zeros((len(model.tables), 2 * span + 1))
    for picture in latents:
        for step, values in _walk(model, picture):
            bases, indexes = step.contexts()
            flat = indexes.ravel() * counts.shape[1] + (values - bases).ravel() + span
            counts += np.bincount(flat, minlength=counts.size).reshape(counts.shape)
    classes = counts.reshape(-1, MEAN_STEPS, counts.shape[1]).sum(axis=1)
    prior = _smoothed(classes)
    return _tables_of(counts + _PRIOR_COUNTS * np.repeat(prior, MEAN_STEPS, axis=0), -span)


def _smoothed(counts: Floats) -> Floats:
    """Each row's share of counts, borrowing a little from all rows and from a wide symmetric tail."""
    distance = np.abs(np.arange(counts.shape[1]) - counts.shape[1] // 2)
    tail = 0.7**distance
    total = counts + 0.01 * counts.sum(axis=0) / max(1.0, counts.sum()) + 0.05 * tail / tail.sum()
    shares: Floats = total / total.sum(axis=1, keepdims=True)
    return shares


def _histogram(plane: Planes, codebook: tuple[int, int]) -> npt.NDArray[np.int64]:
    return np.bincount(plane.ravel() - codebook[0], minlength=codebook[1] - codebook[0] + 1)


def _tables_of(counts: Floats, minimum: int) -> TableSet:
    return TableSet.from_counts(np.rint(counts * 1024).astype(np.int64), minimum)
