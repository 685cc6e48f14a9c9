import math
import subprocess
import sys
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nicodec.errors import RequestError
from nicodec.metrics.ssim import ms_ssim, ssim

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Bytes = npt.NDArray[np.uint8]
Metric = Callable[[Bytes, Bytes], float]

_C1, _C2 = 6.5025, 58.5225
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_BOTH = pytest.mark.parametrize("metric", [ssim, ms_ssim])
_SHAPES = hnp.array_shapes(min_dims=2, max_dims=3, min_side=1, max_side=24).filter(lambda shape: shape[-1] < 5)
_PAIRS = _SHAPES.flatmap(lambda shape: st.tuples(hnp.arrays(np.uint8, shape), hnp.arrays(np.uint8, shape)))


def _luminance(a: float, b: float) -> float:
    return (2 * a * b + _C1) / (a * a + b * b + _C1)


@_BOTH
@given(picture=hnp.arrays(np.uint8, _SHAPES))
@settings(max_examples=30, deadline=None)
def test_equal_is_one(metric: Metric, picture: Bytes) -> None:
    assert metric(picture, picture.copy()) == 1.0


@_BOTH
@given(pair=_PAIRS)
@settings(max_examples=30, deadline=None)
def test_symmetric_and_in_range(metric: Metric, pair: tuple[Bytes, Bytes]) -> None:
    value = metric(*pair)
    assert metric(*reversed(pair)) == pytest.approx(value, abs=1e-9)
    assert (0.0 if metric is ms_ssim else -1.0) - 1e-9 <= value <= 1.0 + 1e-9


@_BOTH
def test_falls_with_noise(samples: "Samples", metric: Metric) -> None:
    photo = samples.photo(192, 176)
    values = [metric(photo, samples.noisy(photo, sigma)) for sigma in (1, 4, 10, 25, 60)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 0.95 > values[-1]


@pytest.mark.parametrize(("a", "b"), [(0, 255), (100, 110), (0, 1), (200, 50)])
@pytest.mark.parametrize("shape", [(16, 16), (1, 1), (40, 3), (30, 30, 3)])
def test_constant_pictures(a: int, b: int, shape: tuple[int, ...]) -> None:
    x, y = np.full(shape, a, np.uint8), np.full(shape, b, np.uint8)
    assert ssim(x, y) == pytest.approx(_luminance(a, b), abs=1e-9)
    assert ms_ssim(x, y) == pytest.approx(_luminance(a, b) ** _WEIGHTS[4], abs=1e-9)


def test_one_window_by_hand() -> None:
    # An 11x11 picture has one window position: plain weighted moments.
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 256, (2, 11, 11)).astype(np.uint8)
    offsets = np.arange(-5, 6)
    weights = np.exp(-(offsets[:, None] ** 2 + offsets**2) / 4.5)
    weights /= weights.sum()
    mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
    variances = (weights * (x - mean_x) ** 2).sum() + (weights * (y - mean_y) ** 2).sum()
    covariance = (weights * (x - mean_x) * (y - mean_y)).sum()
    expected = _luminance(mean_x, mean_y) * (2 * covariance + _C2) / (variances + _C2)
    assert ssim(x, y) == pytest.approx(expected, abs=1e-12)


def test_single_pixels_by_hand() -> None:
    # No structure at any scale: only the luminance of the last scale counts.
    x, y = np.array([[40]], np.uint8), np.array([[90]], np.uint8)
    assert ms_ssim(x, y) == pytest.approx(_luminance(40, 90) ** 0.1333)


def test_negative_pictures(samples: "Samples") -> None:
    photo = samples.gray_photo(176, 176)
    assert ssim(photo, 255 - photo) < 0.0
    assert ms_ssim(photo, 255 - photo) == 0.0


def test_channels_pool_before_the_powers(samples: "Samples") -> None:
    photo = samples.photo(180, 170)
    other = photo.copy()
    other[..., 0] = samples.noisy(photo[..., 0], 40)
    assert ssim(photo, other) == pytest.approx(np.mean([ssim(photo[..., c], other[..., c]) for c in range(3)]))
    worst = ms_ssim(photo[..., 0], other[..., 0])
    assert worst < ms_ssim(photo, other) < 1.0
    assert ms_ssim(photo, other) > (worst + 2.0) / 3.0 + 1e-5, "a mean of powers would lie below the power of a mean"


@pytest.mark.parametrize("shape", [(97, 131), (96, 130), (35, 16), (7, 50), (1, 9)])
def test_ms_ssim_equals_the_definition(samples: "Samples", shape: tuple[int, int]) -> None:
    """All scales recomputed with scipy's convolutions, as the definition words them, odd sizes included."""
    from scipy.ndimage import convolve
    from scipy.signal import convolve2d

    a = samples.gray_photo(*shape)
    b = samples.noisy(a, 12)
    x, y = a.astype(float), b.astype(float)
    expected = 1.0
    for scale, weight in enumerate(_WEIGHTS):
        size = min(11, *x.shape)
        grid = np.arange(size) - size // 2 + (0.5 if size % 2 == 0 else 0.0)
        window = np.exp(-(grid[:, None] ** 2 + grid**2) / (2 * (1.5 * size / 11) ** 2))
        window /= window.sum()
        mx, my, xx, yy, xy = (convolve2d(p, window, mode="valid") for p in (x, y, x * x, y * y, x * y))
        cs = (2 * (xy - mx * my) + _C2) / (xx - mx * mx + yy - my * my + _C2)
        luminance = (2 * mx * my + _C1) / (mx * mx + my * my + _C1)
        expected *= float(np.mean(cs * luminance if scale == 4 else cs)) ** weight
        box = np.full((2, 2), 0.25)
        x, y = (convolve(p, box, mode="reflect")[::2, ::2] for p in (x, y))
    assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-10)


def test_ssim_equals_skimage(samples: "Samples") -> None:
    """scikit-image filters over the border too, but takes its mean over the same positions as 'valid'."""
    similarity: Callable[..., float] = import_module("skimage.metrics").structural_similarity
    photo = samples.photo(70, 95)
    other = samples.noisy(photo, 15)
    options: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "win_size": 11}
    expected = similarity(photo, other, data_range=255, channel_axis=-1, **options)
    assert ssim(photo, other) == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("shape", [(192, 208), (177, 201)])
def test_ms_ssim_equals_tensorflow(samples: "Samples", shape: tuple[int, int]) -> None:
    """For one channel both definitions agree; TensorFlow takes powers per channel and computes in float32."""
    tensorflow = pytest.importorskip("tensorflow")
    photo = samples.gray_photo(*shape)
    for sigma in (3, 20):
        other = samples.noisy(photo, sigma)
        expected = tensorflow.image.ssim_multiscale(photo[None, ..., None], other[None, ..., None], max_val=255)
        assert ms_ssim(photo, other) == pytest.approx(float(expected[0]), abs=1e-4)


@_BOTH
@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), r"\(2, 3\).*\(3, 2\)"),
        (np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32), "uint8"),
        (np.zeros(5, np.uint8), np.zeros(5, np.uint8), r"\(5,\)"),
        (np.zeros((0, 3), np.uint8), np.zeros((0, 3), np.uint8), "empty"),
    ],
)
def test_bad_operands(metric: Metric, a: Bytes, b: Bytes, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        metric(a, b)


def test_import_is_light() -> None:
    code = "import sys, nicodec.metrics.ssim, nicodec.metrics.psnr; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert not math.isnan(ms_ssim(np.zeros((1, 1), np.uint8), np.full((1, 1), 255, np.uint8)))
