"""The entropy model under a hyperprior: what is coded comes back, whatever the prior says, and weights are checked."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream import walk as walking
from nicodec.bitstream.ans import AnsDecoder, AnsEncoder
from nicodec.bitstream.hyper_context import LARGEST, MEAN_STEPS, NEAR, OFFSET_UNIT, HyperContext, Prior
from nicodec.bitstream.lattice import PHASES
from nicodec.bitstream.linear_forms import (
    ONE,
    SPREAD_FEATURES,
    VALUE_FEATURES,
    WEIGHT_BITS,
    LinearForms,
    earlier_shapes,
)
from nicodec.bitstream.tables import TableSet
from nicodec.bitstream.walk import Step, Walk
from nicodec.errors import FormatError

BOUNDS = np.array([0, 1, 3, 8], np.int64)
CHANNELS = 8
CLASSES = 5


def random_forms(rng: np.random.Generator) -> LinearForms:
    def weights(kinds: int) -> tuple[npt.NDArray[np.float64], ...]:
        return tuple(rng.integers(-5000, 5000, shape).astype(np.float64) for shape in earlier_shapes(BOUNDS, kinds))

    own = (rng.integers(-15000, 15000, (PHASES, n, CHANNELS)).astype(float) for n in (VALUE_FEATURES, SPREAD_FEATURES))
    return LinearForms(weights(1), weights(2), *own)


def random_model(seed: int) -> HyperContext:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 500, (CLASSES * MEAN_STEPS, 12))
    return HyperContext(
        bounds=BOUNDS,
        activity=np.rint(ONE * np.log1p(np.arange(9))).astype(np.int64),
        forms=random_forms(rng),
        thresholds=np.array([-20, 5, 9, 40], np.int64),
        tables=TableSet.from_counts(counts, -5),
        offsets=rng.integers(-32, 33, (CLASSES * MEAN_STEPS, 2 * NEAR + 1)),
    )


def random_prior(rng: np.random.Generator, shape: tuple[int, int, int]) -> Prior:
    features = np.concatenate([rng.integers(-80, 80, shape), rng.integers(-60, 60, shape)]).astype(np.int32)
    return Prior.of_planes(features, np.zeros(len(features), np.int32))


def coded(model: HyperContext, latents: npt.NDArray[np.int32], prior: Prior, *spans: range) -> list[bytes]:
    """Codes latents as they are; returns one stream for each span of groups."""
    sites = prior.lattice.sites(latents)

    def as_they_are(step: Step, bases: Any, indexes: Any) -> npt.NDArray[np.int32]:
        del bases, indexes
        return sites[step.place]

    walk = Walk(model, prior)
    streams: list[bytes] = []
    for groups in spans:
        encoder = AnsEncoder()
        for steps in walking.choose_all(walk, groups, as_they_are):
            walking.encode(steps, model.tables, encoder)
        streams.append(encoder.finish())
    return streams


def decoded(walk: Walk, groups: range, decoder: AnsDecoder) -> None:
    for step in walk.steps(groups):
        walk.learn(step, walking.decode_step(step, decoder).values)


def round_trip(model: HyperContext, latents: npt.NDArray[np.int32], prior: Prior) -> Any:
    """Codes the groups in two streams, as a file does."""
    streams = coded(model, latents, prior, range(2), range(2, 3))
    walk = Walk(model, prior)
    for groups, stream in zip((range(2), range(2, 3)), streams, strict=True):
        decoder = AnsDecoder(stream)
        decoded(walk, groups, decoder)
        decoder.finish()
    return prior.lattice.planes(walk.latents)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 6, 900]))
def test_latents_come_back(seed: int, height: int, width: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    latents = np.rint(rng.laplace(0, size, (8, height, width))).astype(np.int32)
    prior = random_prior(rng, latents.shape)
    assert np.array_equal(round_trip(random_model(seed % 7), latents, prior), latents)


@pytest.mark.parametrize("value", [-LARGEST, 0, LARGEST - 1])
def test_extreme_latents_come_back(value: int) -> None:
    latents = np.full((8, 3, 4), value, np.int32)
    prior = random_prior(np.random.default_rng(1), latents.shape)
    assert np.array_equal(round_trip(random_model(1), latents, prior), latents)


def test_a_good_prior_saves_bits() -> None:
    rng = np.random.default_rng(4)
    latents = rng.integers(-400, 400, (8, 6, 6)).astype(np.int32)
    forms = random_forms(rng)
    own = np.zeros_like(forms.own_value)
    own[:, 0] = 1 << WEIGHT_BITS
    values = tuple(np.zeros_like(w) for w in forms.values)
    model = replace(random_model(2), forms=replace(forms, values=values, own_value=own))

    def size(mean: npt.NDArray[np.int32]) -> int:
        prior = Prior.of_planes(np.concatenate([mean, np.full_like(mean, 10)]), np.zeros(16, np.int32))
        return len(coded(model, latents, prior, range(3))[0])

    assert size(latents * ONE) < 0.5 * size(np.zeros_like(latents))


def test_what_stands_for_a_value_lies_near_it() -> None:
    model = random_model(4)
    values = np.arange(-9, 9, dtype=np.int32)
    found = model.centroids(values, np.zeros_like(values), np.arange(18, dtype=np.int32) % len(model.tables))
    assert np.abs(found - values).max() <= 32 / OFFSET_UNIT
    assert np.abs(found - values).max() > 0


def test_predicted_values_are_split_into_integer_and_fraction() -> None:
    model = random_model(3)
    mean = np.arange(-3 * ONE, 3 * ONE, dtype=np.int32)
    bases, indexes = model.contexts(mean, np.full_like(mean, 6))
    fractions = indexes - 2 * MEAN_STEPS  # 6 lies in class 2
    assert fractions.min() == 0
    assert fractions.max() == MEAN_STEPS - 1
    predicted = bases + (fractions - MEAN_STEPS // 2) / MEAN_STEPS
    assert np.all((mean / ONE - predicted >= 0) & (mean / ONE - predicted < 1 / MEAN_STEPS))


@given(st.lists(st.integers(-300, 300), max_size=6), st.lists(st.integers(-(2**21), 2**21), min_size=1, max_size=40))
def test_spreads_are_sorted_into_classes(limits: list[int], spreads: list[int]) -> None:
    thresholds = np.array(sorted(limits), np.int64)
    tables = MEAN_STEPS * (len(limits) + 1)
    model = replace(
        random_model(1),
        thresholds=thresholds,
        tables=TableSet.from_counts(np.ones((tables, 12), np.int64), -5),
        offsets=np.zeros((tables, 2 * NEAR + 1), np.int64),
    )
    _, indexes = model.contexts(np.zeros(len(spreads), np.int32), np.array(spreads, np.int32))
    assert (indexes // MEAN_STEPS).tolist() == [sum(limit <= spread for limit in limits) for spread in spreads]


def test_arrays_restore_the_model() -> None:
    model = random_model(5)
    arrays = model.to_arrays()
    assert arrays["context_values"].dtype == np.int16
    again = HyperContext.from_arrays(arrays)
    latents = np.random.default_rng(5).integers(-9, 9, (8, 4, 5)).astype(np.int32)
    prior = random_prior(np.random.default_rng(6), latents.shape)
    assert coded(again, latents, prior, range(3)) == coded(model, latents, prior, range(3))


@pytest.mark.parametrize("name", list(random_model(0).to_arrays()))
def test_a_missing_array_is_refused(name: str) -> None:
    arrays = random_model(0).to_arrays()
    del arrays[name]
    with pytest.raises(FormatError, match="reinstall"):
        HyperContext.from_arrays(arrays)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("context_bounds", np.array([0, 3, 3, 8], np.uint16)),
        ("context_bounds", np.array([1, 8], np.uint16)),
        ("context_values", np.zeros(4, np.int16)),
        ("context_activities", np.zeros(10**6, np.float32)),
        ("context_own_value", np.zeros((PHASES, 2, CHANNELS), np.int16)),
        ("context_own_spread", np.zeros((1, SPREAD_FEATURES, CHANNELS), np.int16)),
        ("context_thresholds", np.array([4, 3, 2, 1], np.int32)),
        ("context_thresholds", np.array([1, 2], np.int32)),
        ("context_thresholds", np.array([1, 2, 3, 1 << 30], np.int32)),
        ("context_activity", np.array([0, 1 << 13], np.int16)),
        ("context_activity", np.array([0], np.int16)),
        ("context_offsets", np.zeros((20, 4), np.int8)),
        ("context_offsets", np.full((20, 5), 65, np.int8)),
    ],
)
def test_contradictions_are_refused(name: str, value: npt.NDArray[Any]) -> None:
    with pytest.raises(FormatError, match="reinstall"):
        HyperContext.from_arrays({**random_model(0).to_arrays(), name: value})


def test_weights_beyond_exact_arithmetic_are_refused() -> None:
    model = random_model(0)
    values = tuple(np.full_like(w, 2.0**40) for w in model.forms.values)
    with pytest.raises(FormatError, match="weight range"):
        replace(model, forms=replace(model.forms, values=values))


def test_damaged_data_is_an_error_or_decodes_within_range() -> None:
    model = random_model(8)
    rng = np.random.default_rng(8)
    latents = rng.integers(-30, 30, (8, 5, 5)).astype(np.int32)
    prior = random_prior(rng, latents.shape)
    (data,) = coded(model, latents, prior, range(3))
    for k in range(len(data)):
        damaged = data[:k] + bytes([data[k] ^ 0x55]) + data[k + 1 :]
        walk = Walk(model, prior)
        try:
            decoded(walk, range(3), AnsDecoder(damaged))
        except FormatError:
            continue
        assert walk.latents.min() >= -LARGEST
        assert walk.latents.max() < LARGEST
