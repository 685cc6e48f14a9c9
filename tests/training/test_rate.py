"""The rate of training: a code that a decoder could follow, and of the right length."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

pytestmark = pytest.mark.train
Floats = npt.NDArray[np.float32]

keras: Any = pytest.importorskip("keras")

from nicodec.training import rate as module

to_numpy = keras.ops.convert_to_numpy

CHANNELS, HEIGHT, WIDTH = 3, 5, 6


@pytest.fixture
def rate() -> Any:
    layer = module.ContextRate(CHANNELS)
    layer.build((None, None, None, CHANNELS))
    return layer


@pytest.fixture
def random_rate(rate: Any) -> Any:
    """The layer with all weights different from zero, also those that a decoder could not use."""
    rng = np.random.default_rng(1)
    rate.set_weights([rng.normal(0, 0.1, weight.shape) for weight in rate.weights])
    return rate


@pytest.fixture
def latents() -> Floats:
    return np.random.default_rng(2).integers(-4, 5, (1, HEIGHT, WIDTH, CHANNELS)).astype(np.float32)


def sigmoid(x: Any) -> Any:
    return 1.0 / (1.0 + np.exp(-x))


def logistic_bits(distance: Any, scale: Any) -> Any:
    """Minus log2 of the probability that a logistic variable rounds to a value at that distance from its mean."""
    return -np.log2(sigmoid((distance + 0.5) / scale) - sigmoid((distance - 0.5) / scale))


def test_independent_start_is_a_discretised_logistic(rate: Any) -> None:
    deviations = np.array([0.5, 2.0, 7.0])
    rate.start(deviations)
    latents = np.random.default_rng(3).normal(0, deviations, (4, HEIGHT, WIDTH, CHANNELS)).round().astype(np.float32)
    expected = logistic_bits(latents.astype(np.float64), deviations * np.sqrt(3) / np.pi).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(to_numpy(rate(latents)), expected, rtol=1e-4)


def test_probabilities_sum_to_one(rate: Any) -> None:
    """At a single position, over all values of one channel while the others stay the same."""
    rate.start(np.array([0.3, 2.0, 4.0]))
    others = np.zeros((1, 1, 1, CHANNELS), np.float32)
    price = float(to_numpy(rate(others))[0])
    for channel, scale in enumerate(np.array([0.3, 2.0, 4.0]) * np.sqrt(3) / np.pi):
        latents = np.repeat(others, 81, axis=0)
        latents[:, 0, 0, channel] = np.arange(-40, 41)
        relative = np.exp2(price - to_numpy(rate(latents)).astype(np.float64)).sum()
        assert relative * np.exp2(-logistic_bits(0.0, scale)) == pytest.approx(1.0, abs=1e-3)


def test_unlikely_latents_have_a_bounded_price(rate: Any) -> None:
    rate.start(np.full(CHANNELS, 0.1))
    bits = float(to_numpy(rate(np.full((1, 1, 1, CHANNELS), 16, np.float32)))[0])
    assert bits == pytest.approx(CHANNELS * -np.log2(1e-6), rel=1e-3)


def predictions(rate: Any, latents: Floats, monkeypatch: pytest.MonkeyPatch) -> tuple[Floats, Floats]:
    """Mean and scale under which the layer codes every latent."""
    seen: list[tuple[Floats, Floats]] = []
    bits = module.logistic_bits

    def spy(distance: Any, scale: Any) -> Any:
        seen.append((latents - to_numpy(distance), to_numpy(scale)))
        return bits(distance, scale)

    monkeypatch.setattr(module, "logistic_bits", spy)
    rate(latents)
    monkeypatch.setattr(module, "logistic_bits", bits)
    return seen[0]


def test_a_latent_is_predicted_from_earlier_ones_only(
    random_rate: Any, latents: Floats, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Earlier are positions before in raster order, and at the same position channels before."""
    before = predictions(random_rate, latents, monkeypatch)
    for place in np.ndindex(HEIGHT, WIDTH, CHANNELS):
        changed = latents.copy()
        changed[0][place] += 3
        after = predictions(random_rate, changed, monkeypatch)
        first = np.ravel_multi_index(place, (HEIGHT, WIDTH, CHANNELS)) + 1
        for old, new in zip(before, after, strict=True):
            np.testing.assert_allclose(new.ravel()[:first], old.ravel()[:first], atol=1e-5)


def test_surroundings_matter(random_rate: Any, latents: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    before = predictions(random_rate, latents, monkeypatch)
    changed = latents.copy()
    changed[0, 2, 2, 0] += 3
    after = predictions(random_rate, changed, monkeypatch)
    for old, new in zip(before, after, strict=True):
        moved = np.abs(new - old)[0] > 1e-4
        assert moved[2, 3, 0]
        assert moved[3, 2, 0]
        assert moved[2, 2, 1]
        assert moved[2, 2, 2]


def test_bits_are_those_of_the_predictions(random_rate: Any, latents: Floats, monkeypatch: pytest.MonkeyPatch) -> None:
    mean, scale = predictions(random_rate, latents, monkeypatch)
    exact = logistic_bits((latents - mean).astype(np.float64), scale.astype(np.float64))
    expected = np.minimum(exact, -np.log2(1e-6)).sum()
    assert float(to_numpy(random_rate(latents))[0]) == pytest.approx(expected, rel=1e-3)


def test_gradients_are_finite(random_rate: Any, differentiate: Callable[..., tuple[float, list[Floats]]]) -> None:
    """Of the latents and of the layer's own weights."""

    def total(latents: Any, *weights: Any) -> Any:
        bits, _ = random_rate.stateless_call(list(weights), [], latents)
        return keras.ops.sum(bits)

    for value in (-16.0, 0.0, 16.0):
        latents = np.full((1, HEIGHT, WIDTH, CHANNELS), value, np.float32)
        _, gradients = differentiate(total, latents, *random_rate.get_weights())
        assert [gradient.shape for gradient in gradients[1:]] == [weight.shape for weight in random_rate.weights]
        for gradient in gradients:
            assert np.isfinite(gradient).all()
