"""Fitting the coder's tables: they are valid, they pay off, and odd data does not break them."""

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.bitstream import planes
from nicodec.bitstream.context import ContextModel, ideal_bits
from nicodec.bitstream.planes import LatentTables
from nicodec.training import entropy

Planes = npt.NDArray[np.int32]
CODEBOOK = (-15, 16)


def smooth_latents(seed: int, channels: int = 5, height: int = 24, width: int = 28) -> Planes:
    """Planes with neighbours alike and channels that repeat each other, as a network's latents are."""
    rng = np.random.default_rng(seed)
    field = rng.normal(0, 1, (height, width)).cumsum(axis=0).cumsum(axis=1)
    field = 5 * (field - field.mean()) / field.std()
    scales = 0.7 ** np.arange(channels)
    noise = rng.normal(0, 0.4, (channels, height, width))
    latents: Planes = np.clip(np.rint(scales[:, None, None] * field + noise), *CODEBOOK).astype(np.int32)
    return latents


@pytest.fixture(scope="module")
def training_set() -> list[Planes]:
    return [smooth_latents(seed) for seed in range(4)]


@pytest.fixture(scope="module")
def model(training_set: list[Planes]) -> ContextModel:
    return entropy.fit_context(training_set, CODEBOOK)


def independent_bits(latents: Planes) -> float:
    """Entropy of each channel's own histogram."""
    bits = 0.0
    for plane in latents:
        counts = np.unique(plane, return_counts=True)[1]
        bits -= float((counts * np.log2(counts / counts.sum())).sum())
    return bits


def test_context_pays_off_on_other_pictures(model: ContextModel) -> None:
    unseen = smooth_latents(99)
    assert ideal_bits(model, unseen) < 0.8 * independent_bits(unseen)


def test_prediction_finds_a_channel_that_repeats_another() -> None:
    pictures = [np.repeat(smooth_latents(seed, channels=1), 2, axis=0) for seed in range(4)]
    model = entropy.fit_context(pictures, CODEBOOK)
    alone = entropy.fit_context([picture[:1] for picture in pictures], CODEBOOK)
    assert ideal_bits(model, pictures[0]) < 1.15 * ideal_bits(alone, pictures[0][:1])


def test_channels_come_by_falling_entropy(training_set: list[Planes], model: ContextModel) -> None:
    assert model.order.tolist() == [0, 1, 2, 3, 4]
    reversed_model = entropy.fit_context([latents[::-1] for latents in training_set], CODEBOOK)
    assert reversed_model.order.tolist() == [4, 3, 2, 1, 0]


def test_weights_and_limits_are_integers(model: ContextModel) -> None:
    for weights in (*model.mean_weights, *model.spread_weights):
        np.testing.assert_array_equal(weights, np.rint(weights))
    assert len(model.thresholds) == entropy.SPREAD_CLASSES - 1
    assert (np.diff(model.thresholds) > 0).all()


def test_the_fit_is_deterministic(training_set: list[Planes], model: ContextModel) -> None:
    again = entropy.fit_context(training_set, CODEBOOK)
    for name, array in again.to_arrays().items():
        np.testing.assert_array_equal(array, model.to_arrays()[name])


def test_shared_tables_are_better_than_one(training_set: list[Planes]) -> None:
    shared = entropy.fit_shared_tables(training_set, CODEBOOK)
    assert len(shared) == entropy.SHARED_TABLES
    assert (shared.minimum, shared.maximum) == CODEBOOK
    unseen = smooth_latents(98)
    best = sum(min(table.bits(plane.ravel()) for table in shared) for plane in unseen)
    everything = np.concatenate([latents.ravel() for latents in training_set])
    counts = np.bincount(everything + 15, minlength=32)
    single = type(shared).from_counts(counts[None], -15)[0].bits(unseen.ravel())
    assert best < 0.9 * single
    assert best < 1.1 * independent_bits(unseen)


def test_arrays_are_what_the_codec_reads(training_set: list[Planes], model: ContextModel) -> None:
    shared = entropy.fit_shared_tables(training_set, CODEBOOK)
    tables = LatentTables.from_arrays(entropy.to_arrays(model, shared))
    latents = smooth_latents(97, height=9, width=7)
    payload = planes.encode_stripe(latents, tables.context)
    np.testing.assert_array_equal(planes.decode_stripe(payload, tables.context, 9, 7), latents)
    assert 8 * len(payload) < 1.01 * ideal_bits(model, latents) + 64
    for plane in latents:
        np.testing.assert_array_equal(
            planes.decode_channel(planes.encode_channel(plane, tables.shared), tables.shared, 9, 7), plane
        )


@pytest.mark.parametrize(
    "latents",
    [
        np.zeros((3, 8, 8), np.int32),
        np.full((2, 1, 1), 16, np.int32),
        np.full((1, 5, 1), -15, np.int32),
        np.random.default_rng(1).integers(-15, 17, (3, 1, 9), np.int32),
    ],
    ids=["constant", "single", "one channel", "noise"],
)
def test_odd_training_data_gives_models_that_code_everything(latents: Planes) -> None:
    model = entropy.fit_context([latents], CODEBOOK)
    shared = entropy.fit_shared_tables([latents], CODEBOOK)
    assert len(shared) == entropy.SHARED_TABLES
    other = np.random.default_rng(2).integers(-15, 17, (len(latents), 6, 7), np.int32)
    for content in (other, np.full_like(other, -15), np.full_like(other, 16)):
        np.testing.assert_array_equal(planes.decode_stripe(planes.encode_stripe(content, model), model, 6, 7), content)
