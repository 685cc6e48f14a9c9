"""Training losses: the numbers of the metrics, and gradients that never blow up."""

# pyright: reportPrivateUsage=false

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.metrics import ssim

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

pytestmark = pytest.mark.train
Floats = npt.NDArray[np.float32]
Differentiate = Callable[..., tuple[float, list[Floats]]]

keras: Any = pytest.importorskip("keras")

from nicodec.training import losses


def batch_of(pixels: npt.NDArray[np.uint8]) -> Floats:
    return pixels.astype(np.float32)[None] / 255.0


@pytest.mark.parametrize("sigma", [1.0, 10.0, 60.0])
def test_ms_ssim_is_that_of_the_metrics(samples: "Samples", sigma: float) -> None:
    photo = samples.photo(192, 256)
    other = samples.noisy(photo, sigma)
    found = float(losses.ms_ssim(batch_of(photo), batch_of(other)))
    assert found == pytest.approx(ssim.ms_ssim(photo, other), abs=2e-4)


def test_ms_ssim_of_equal_pictures_is_one(samples: "Samples") -> None:
    for side in (32, 48, 176):
        photo = batch_of(samples.photo(side, side))
        assert float(losses.ms_ssim(photo, photo)) == pytest.approx(1.0, abs=1e-5)


def test_ms_ssim_is_the_mean_over_the_batch(samples: "Samples") -> None:
    photo = samples.photo(64, 64)
    pairs = [(photo, samples.noisy(photo, sigma)) for sigma in (5.0, 50.0)]
    single = [float(losses.ms_ssim(batch_of(a), batch_of(b))) for a, b in pairs]
    a, b = (np.concatenate([batch_of(picture) for picture in side]) for side in zip(*pairs, strict=True))
    assert float(losses.ms_ssim(a, b)) == pytest.approx(np.mean(single), abs=1e-6)


def test_small_crops_use_the_scales_that_fit() -> None:
    assert losses._exponents(176) == list(losses.WEIGHTS)
    for side, scales in [(175, 4), (88, 4), (64, 3), (32, 2), (22, 2)]:
        exponents = losses._exponents(side)
        assert len(exponents) == scales
        assert sum(exponents) == pytest.approx(sum(losses.WEIGHTS))


def test_mean_squared_error_is_on_the_8_bit_scale() -> None:
    a, b = np.zeros((1, 2, 2, 3), np.float32), np.full((1, 2, 2, 3), 2 / 255, np.float32)
    assert float(losses.mean_squared_error(a, b)) == pytest.approx(4.0, rel=1e-5)


def test_the_colour_channels_take_turns(samples: "Samples") -> None:
    pixels = samples.noise(5, 4, 6, 3).astype(np.float32)
    for step in range(4):
        chosen = losses.one_colour_each(keras.ops.convert_to_tensor(pixels), losses.colours_in_turn(step, 5))
        expected = [pixels[k, :, :, (k + step) % 3, None] for k in range(5)]
        np.testing.assert_array_equal(keras.ops.convert_to_numpy(chosen), expected)


def pairs_with_awkward_gradients(samples: "Samples") -> dict[str, tuple[Floats, Floats]]:
    photo, flat = batch_of(samples.photo(64, 64)), np.full((1, 64, 64, 3), 0.5, np.float32)
    return {
        "noisy": (photo, batch_of(samples.noisy(samples.photo(64, 64), 20))),
        "equal": (photo, photo),
        "flat": (flat, flat),
        "black": (0 * flat, 0 * flat),
        "negative": (photo, 1.0 - photo),
        "photo and flat": (photo, flat),
        "out of range": (photo, 3.0 * photo - 1.0),
    }


@pytest.mark.parametrize("name", ["noisy", "equal", "flat", "black", "negative", "photo and flat", "out of range"])
def test_gradients_are_finite(differentiate: Differentiate, samples: "Samples", name: str) -> None:
    for loss in (losses.ms_ssim, losses.mean_squared_error):
        value, gradients = differentiate(loss, *pairs_with_awkward_gradients(samples)[name])
        assert np.isfinite(value)
        for gradient in gradients:
            assert np.isfinite(gradient).all()


def test_the_gradient_leads_to_the_original(differentiate: Differentiate, samples: "Samples") -> None:
    photo = batch_of(samples.photo(64, 64))
    restored = batch_of(samples.noisy(samples.photo(64, 64), 20))
    values: list[float] = []
    for _ in range(5):
        value, (_, gradient) = differentiate(losses.ms_ssim, photo, restored)
        values.append(value)
        restored = restored + 2.0 * gradient
    assert values == sorted(values)
    assert values[-1] > values[0] + 0.005
