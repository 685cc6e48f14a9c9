"""The differentiable JPEG predicts the real one, and gradients pass through it."""

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

pytestmark = pytest.mark.train

pytest.importorskip("keras")

from nicodec.errors import RequestError
from nicodec.metrics.psnr import psnr
from nicodec.models.jpeg_proxy import EncodeDecodeIntra, JpegProxy
from nicodec.models.keras_ops import ops
from nicodec.models.libjpeg import jpeg, jpeg_bits
from nicodec.models.step_tables import FLAT, Tables, TableShape

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

to_numpy = ops.convert_to_numpy
STEPS = (4, 10, 20, 40, 80)
ONES = np.ones(64, np.float32)


def straight_through(x: Any) -> Any:
    return x + ops.stop_gradient(ops.round(x) - x)


def decoded(data: bytes) -> npt.NDArray[np.uint8]:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize(
    ("subsampled", "tables"), [(False, None), (True, None), (True, TableShape(slope=0.3, chroma=0.7).tables())]
)
def test_distortion_and_rate_are_those_of_libjpeg(subsampled: bool, tables: Tables | None, samples: "Samples") -> None:
    """Within 0.3 dB and a tenth of the bits, asked of 24 photos; `evaluation jpeg-proxy` reports those."""
    pixels = samples.photo(250, 373)
    layer = EncodeDecodeIntra(train_qstep=False, convert_to_yuv=True, downsample_chroma=subsampled, tables=tables)
    for step in STEPS:
        data = jpeg(pixels, step, FLAT if tables is None else tables, subsampled=subsampled)
        restored, bits = layer(pixels[None].astype(np.float32), input_qstep=float(step))
        found = to_numpy(restored)[0]
        assert found.min() >= 0.0
        assert found.max() <= 255.0
        assert psnr(pixels, np.rint(found).astype(np.uint8)) == pytest.approx(psnr(pixels, decoded(data)), abs=0.3)
        assert float(to_numpy(bits[0])) == pytest.approx(8 * len(data), rel=0.1)


def test_a_gray_channel_is_a_gray_file(samples: "Samples") -> None:
    pixels = samples.gray_photo(120, 88)
    data = jpeg(pixels, 15)
    restored, bits = EncodeDecodeIntra(qstep_init=15.0)(pixels[None, ..., None].astype(np.float32))
    # Coefficients half-way between two steps may go either way: the step's own noise is at 35 dB.
    assert psnr(np.rint(to_numpy(restored)[0, ..., 0]).astype(np.uint8), decoded(data)) > 42.0
    assert float(to_numpy(bits[0])) == pytest.approx(8 * len(data), rel=1e-3)


def test_gray_channels_have_the_table_of_luma(samples: "Samples") -> None:
    pixels, tables = samples.photo(64, 80), TableShape(slope=0.3, chroma=0.2).tables()
    restored, bits = EncodeDecodeIntra(train_qstep=False, tables=tables)(
        pixels[None].astype(np.float32), input_qstep=30.0
    )
    files = [jpeg(pixels[..., k], 30, tables) for k in range(3)]
    assert float(to_numpy(bits[0])) == pytest.approx(8 * sum(map(len, files)), rel=1e-3)
    for k, data in enumerate(files):
        assert psnr(np.rint(to_numpy(restored)[0, ..., k]).astype(np.uint8), decoded(data)) > 42.0


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])
def test_any_number_of_channels(channels: int, samples: "Samples") -> None:
    """Three at a time, each as if it were alone."""
    images = np.concatenate([samples.photo(40, 56 + k)[:, :56] for k in range(3)], axis=-1)[None, ..., :channels]
    layer = EncodeDecodeIntra(qstep_init=20.0)
    restored, bits = layer(images.astype(np.float32))
    assert restored.shape == images.shape
    alone = [layer(images[..., k : k + 1].astype(np.float32)) for k in range(channels)]
    for k, (one, _) in enumerate(alone):
        np.testing.assert_allclose(to_numpy(restored)[..., k : k + 1], to_numpy(one))
    assert float(to_numpy(bits[0])) == pytest.approx(sum(float(to_numpy(rate[0])) for _, rate in alone), rel=1e-3)


def test_chroma_of_other_colours_is_subsampled_too(samples: "Samples") -> None:
    """Without colour conversion, the second and third channel are gray files of half the size."""
    pixels = samples.photo(64, 64)
    _, bits = EncodeDecodeIntra(qstep_init=10.0, downsample_chroma=True)(pixels[None].astype(np.float32))
    halves = pixels.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    expected = 8 * len(jpeg(pixels[..., 0], 10)) + jpeg_bits(
        halves[None, ..., 1:].astype(np.float32), 10, apart=True, subsampled=False
    )
    assert float(to_numpy(bits[0])) == pytest.approx(float(expected[0]), rel=1e-3)


@pytest.mark.parametrize("convert", [False, True])
@pytest.mark.parametrize("by_file", [False, True])
def test_gradients_are_finite_and_pass_the_rounding(
    convert: bool, by_file: bool, samples: "Samples", differentiate: Callable[..., tuple[float, list[Any]]]
) -> None:
    images = samples.photo(37, 50)[None].astype(np.float32)
    layer = EncodeDecodeIntra(
        straight_through, by_file, train_qstep=False, convert_to_yuv=convert, downsample_chroma=convert
    )

    def loss(x: Any, step: Any) -> Any:
        restored, bits = layer(x, input_qstep=step)
        return ops.sum(ops.square(ops.subtract(restored, images))) + ops.sum(bits)

    _, (by_image, by_step) = differentiate(loss, images, np.float32(12.0))
    assert np.all(np.isfinite(by_image))
    assert np.mean(by_image != 0.0) > 0.9
    assert np.isfinite(by_step)
    assert by_step != 0.0


def test_the_gradient_of_the_distortion_is_that_of_the_image(
    samples: "Samples", differentiate: Callable[..., tuple[float, list[Any]]]
) -> None:
    """Rounding passed straight through, the transforms undo each other: what goes in comes out."""
    images = samples.photo(32, 32)[None, ..., :1].astype(np.float32) / 2.0 + 60.0
    weights = np.random.default_rng(1).standard_normal(images.shape).astype(np.float32)
    layer = EncodeDecodeIntra(straight_through, qstep_init=7.0)
    _, (gradient,) = differentiate(lambda x: ops.sum(ops.multiply(weights, layer(x)[0])), images)
    np.testing.assert_allclose(gradient, weights, atol=1e-4)


def test_a_larger_step_costs_less_and_restores_less(samples: "Samples") -> None:
    images = samples.photo(64, 64)[None].astype(np.float32)
    for by_file in (False, True):
        layer = EncodeDecodeIntra(use_jpeg_rate_model=by_file, train_qstep=False, convert_to_yuv=True)
        found = [layer(images, input_qstep=float(step)) for step in STEPS]
        rates = [float(to_numpy(bits[0])) for _, bits in found]
        errors = [float(to_numpy(ops.mean(ops.square(ops.subtract(restored, images))))) for restored, _ in found]
        assert rates == sorted(rates, reverse=True)
        assert errors == sorted(errors)


def test_the_gaussian_rate_is_the_entropy_of_noise() -> None:
    """A coefficient of deviation 20 in steps of 4 carries log2(20 / 4) + 2.05 bits."""
    noise = np.random.default_rng(1).normal(128.0, 20.0, (2, 256, 256, 1)).astype(np.float32)
    layer = EncodeDecodeIntra(use_jpeg_rate_model=False, qstep_init=4.0)
    _, bits = layer(noise)
    assert to_numpy(bits) / 256**2 == pytest.approx(np.log2(5.0) + 2.047, rel=0.01)
    _, none = layer(np.full((1, 64, 64, 1), 128.0, np.float32))
    assert float(to_numpy(none[0])) == 0.0


def test_steps_stay_positive() -> None:
    assert float(to_numpy(EncodeDecodeIntra(qstep_init=30.0).get_qstep())) == 30.0
    assert float(to_numpy(EncodeDecodeIntra(qstep_init=30.0, min_qstep=1.0).get_qstep())) == 31.0
    assert float(to_numpy(EncodeDecodeIntra(qstep_init=-300.0, min_qstep=1.0).get_qstep())) == pytest.approx(0.99)
    assert float(to_numpy(EncodeDecodeIntra(qstep_init=-300.0).get_qstep())) > 0.0
    assert len(EncodeDecodeIntra().trainable_variables) == 1
    assert not EncodeDecodeIntra(train_qstep=False).trainable_variables
    assert EncodeDecodeIntra(downsample_chroma=True).is_codec_proxy_420()


def test_samples_of_another_range(samples: "Samples") -> None:
    """Four times the samples and the step: four times the result, and the same file."""
    images = samples.photo(48, 48)[None].astype(np.float32)
    layer = EncodeDecodeIntra(train_qstep=False)
    usual, bits = layer(images, input_qstep=16.0)
    found, same_bits = layer(4.0 * images, input_qstep=64.0, image_max=1020.0)
    assert float(np.abs(to_numpy(found) / 4.0 - to_numpy(usual)).mean()) < 0.5
    assert float(to_numpy(same_bits[0])) == pytest.approx(float(to_numpy(bits[0])), rel=1e-3)


def test_differences_are_not_clipped() -> None:
    images = np.full((1, 16, 16, 1), -90.0, np.float32)
    layer = EncodeDecodeIntra(jpeg_clip_to_image_max=False, use_jpeg_rate_model=False)
    assert float(to_numpy(ops.max(layer(images)[0]))) == pytest.approx(-90.0, abs=0.5)


def test_what_cannot_be_coded_is_refused() -> None:
    with pytest.raises(RequestError, match="input_qstep"):
        EncodeDecodeIntra()(np.zeros((1, 8, 8, 3), np.float32), input_qstep=3.0)
    with pytest.raises(RequestError, match="shape"):
        EncodeDecodeIntra()(np.zeros((8, 8, 3), np.float32))
    with pytest.raises(RequestError, match="shape"):
        JpegProxy(False, ONES, ONES, False, True)(np.zeros((1, 8, 8, 1), np.float32))


def test_coefficients_of_a_proxy_with_tables(samples: "Samples") -> None:
    """A constant block has its mean alone; tables divide what is rounded; blocks may have other sizes."""
    luma, chroma = np.full((8, 8), 16.0), np.full(64, 40.0)
    image = np.full((1, 8, 16, 3), 130.0, np.float32)
    restored, coefficients = JpegProxy(False, luma, chroma, False, True)(image)
    assert [tuple(coefficients[name].shape) for name in "yuv"] == [(1, 1, 2, 64)] * 3
    assert to_numpy(coefficients["y"])[0, 0, 0].tolist() == [1.0] + [0.0] * 63
    assert to_numpy(coefficients["u"])[0, 0, 0].tolist() == [0.0] * 64
    assert to_numpy(restored)[0, 0, 0].tolist() == pytest.approx([130.0, 128.0, 128.0], abs=1e-4)
    photo = samples.photo(30, 41)[None].astype(np.float32)
    exact, _ = JpegProxy(False, np.ones(16), np.ones((4, 4)), True, True, dct_size=4)(photo, lambda c: c)
    np.testing.assert_allclose(to_numpy(exact), photo, atol=0.01)


def test_coefficients_are_those_of_libjpeg(samples: "Samples") -> None:
    """Row by row, vertical frequencies first: a picture that changes along x has them in the first row."""
    ramp = np.broadcast_to(np.linspace(0.0, 255.0, 8, dtype=np.float32)[None, None, :, None], (1, 8, 8, 3))
    _, coefficients = JpegProxy(False, ONES, ONES, False, True)(ramp)
    block = to_numpy(coefficients["y"])[0, 0, 0].reshape(8, 8)
    assert np.abs(block[0, 1:]).max() > 100.0
    assert np.abs(block[1:]).max() == 0.0


def test_noise_at_the_smallest_steps_has_a_rate() -> None:
    """Files that outgrow the buffer that Pillow sets aside are written in another way."""
    noise = np.random.default_rng(1).integers(0, 256, (1, 512, 512, 3)).astype(np.float32)
    _, bits = EncodeDecodeIntra(qstep_init=1.0, convert_to_yuv=True)(noise)
    assert 20.0 < float(to_numpy(bits[0])) / 512**2 < 40.0
