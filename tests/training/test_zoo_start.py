"""Starting a run from the shipped weights of a model."""

# pyright: reportPrivateUsage=false

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import ModelError, ModelMismatchError, RequestError
from nicodec.metrics.psnr import psnr
from nicodec.models import zoo

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples
    from nicodec.training.config import L3icConfig

pytestmark = pytest.mark.train
Start = Callable[..., Any]


@pytest.fixture(scope="module", autouse=True)
def _needs_keras() -> None:
    pytest.importorskip("keras")
    pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def model() -> zoo.Model:
    return zoo.find("l3ic-16c")


@pytest.fixture(scope="module")
def crops(samples: "Samples") -> npt.NDArray[np.uint8]:
    return samples.photo(256, 128).reshape(2, 128, 128, 3)


@pytest.fixture
def started(config: "L3icConfig", crops: npt.NDArray[np.uint8]) -> Start:
    """Makes a codec with that many channels and starts it from a model."""

    def start(model: zoo.Model, channels: int = 16, **changes: Any) -> Any:
        from nicodec.training.trainer import build_codec
        from nicodec.training.zoo_start import start_from_model

        own = replace(config, channels=channels, **changes)
        codec = build_codec(own)
        start_from_model(codec, own, model, crops)
        return codec

    return start


def shipped_weights(model: zoo.Model) -> list[list[npt.NDArray[np.float32]]]:
    """Of analysis and synthesis, as the ONNX files have them."""
    from nicodec.models import keras_weights, l3ic

    transforms: list[Any] = [l3ic.analysis(16), l3ic.synthesis(16)]
    for name, transform in zip(("encoder.onnx", "decoder.onnx"), transforms, strict=True):
        keras_weights.load_from_onnx(model.path(name), transform)
    return [transform.get_weights() for transform in transforms]


def run_codec(codec: Any, crops: npt.NDArray[np.uint8]) -> tuple[float, float]:
    """PSNR, and bits per pixel as the rate layer sees them."""
    from nicodec.models.keras_ops import no_gradients, ops

    with no_gradients():
        restored, bits = (ops.convert_to_numpy(value) for value in codec(crops))
    rounded = np.rint(restored * 255.0).astype(np.uint8)
    return psnr(crops.reshape(256, 128, 3), rounded.reshape(256, 128, 3)), float(bits.sum()) / (256 * 128)


def test_equal_width_takes_the_transforms_as_they_are(
    started: Start, model: zoo.Model, crops: npt.NDArray[np.uint8]
) -> None:
    codec = started(model)
    for transform, expected in zip((codec.analysis, codec.synthesis), shipped_weights(model), strict=True):
        for found, weight in zip(transform.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(found, weight)
    quality, bpp = run_codec(codec, crops)
    assert quality > 26
    assert 0.3 < bpp < 1.5


def test_the_rate_starts_from_the_spread_of_the_latents(
    started: Start, model: zoo.Model, crops: npt.NDArray[np.uint8]
) -> None:
    from nicodec.models.keras_ops import no_gradients, ops
    from nicodec.training.rate import ContextRate

    codec = started(model)
    with no_gradients():
        latents = ops.convert_to_numpy(codec.quantise(crops / np.float32(255)))
    expected = ContextRate(16)
    expected.build((None, 16, 16, 16))
    expected.start(np.sqrt((latents.astype(np.float64) ** 2).mean(axis=(0, 1, 2))))
    for found, weight in zip(codec.rate.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(found, weight, rtol=1e-6, atol=1e-7)


def test_fewer_channels_keep_most_of_the_picture(
    started: Start, model: zoo.Model, crops: npt.NDArray[np.uint8]
) -> None:
    quality, bpp = run_codec(started(model, 8), crops)
    all_of_it, all_bpp = run_codec(started(model), crops)
    assert all_of_it > quality > 20
    assert bpp < all_bpp


def test_a_coarser_step_than_the_cards_makes_coarser_latents(started: Start, model: zoo.Model) -> None:
    scale = started(model, klt_step=90.0).analysis.get_layer("latent_scale").get_weights()[0]
    before = shipped_weights(model)[0][-1]
    assert before.shape == scale.shape
    np.testing.assert_allclose((scale / before).min(), 0.5, rtol=1e-6)


@pytest.mark.parametrize(
    ("training", "step"), [({"klt_step": 22.5}, 22.5), ({"klt_step": 0}, 45.0), ({}, 45.0), ("unknown", 45.0)]
)
def test_a_card_that_does_not_tell_the_step_has_that_of_the_run(
    config: "L3icConfig", model: zoo.Model, training: Any, step: float
) -> None:
    from nicodec.training.zoo_start import _klt_step

    told = replace(model, card={**model.card, "training": training})
    assert _klt_step(told, replace(config, klt_step=45.0)) == step


def test_more_channels_than_the_model_has_are_refused(started: Start, model: zoo.Model) -> None:
    with pytest.raises(RequestError, match="32 channels cannot start from 16: start from a model with as many or more"):
        started(model, 32)


def test_other_architectures_and_damaged_weights_are_refused(started: Start, model: zoo.Model, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot start from l3ic-16c: it is no model of l3ic"):
        started(replace(model, card={**model.card, "architecture": {"family": "other", "channels": 16}}))
    folder = shutil.copytree(model.folder, tmp_path / "l3ic-16c" / "1")
    (folder / "decoder.onnx").write_bytes(b"damaged")
    with pytest.raises(ModelMismatchError, match="damaged"):
        started(replace(model, folder=folder))


def test_a_start_is_a_run_or_a_folder_of_a_model_or_its_name(
    model: zoo.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nicodec.training.zoo_start import find_start

    assert find_start("l3ic-16c") == model
    folder = shutil.copytree(model.folder, tmp_path / "l3ic-16c" / "7")
    found = find_start(folder)
    assert isinstance(found, zoo.Model)
    assert (found.id, found.revision, found.folder) == ("l3ic-16c", 7, folder)
    monkeypatch.chdir(tmp_path)
    assert find_start("l3ic-16c") == model
    (tmp_path / "l3ic-16c" / "checkpoint.npz").write_bytes(b"")
    assert find_start("l3ic-16c") == Path("l3ic-16c")
    (folder / "card.json").write_text("{}")
    with pytest.raises(ModelError, match=r"card\.json"):
        find_start(folder)
    (tmp_path / "empty").mkdir()
    for name in ("empty", "l3ic-17c"):
        with pytest.raises(RequestError, match=f"cannot start from {name}: .*checkpoint.*Installed are ") as caught:
            find_start(name)
        assert "\n" not in str(caught.value)


def test_a_run_starts_from_a_model_and_continues_without_it(
    config: "L3icConfig", pictures: Path, model: zoo.Model, tmp_path: Path
) -> None:
    from nicodec.training.loop import train
    from nicodec.training.run_folder import load_average

    run, short = tmp_path / "run", replace(config, steps=1, warmup=0)
    train(short, pictures, run, start=model.id)
    codec, _, _ = load_average(run)  # at step 1, the average has not moved yet
    for transform, expected in zip((codec.analysis, codec.synthesis), shipped_weights(model), strict=True):
        for found, weight in zip(transform.get_weights(), expected, strict=True):
            np.testing.assert_array_equal(found, weight)
    assert train(replace(short, steps=2), pictures, run, start="gone").step == 2
    assert json.loads((run / "config.json").read_text())["steps"] == 2
    with pytest.raises(RequestError, match="cannot start from gone"):
        train(short, pictures, tmp_path / "other", start="gone")
    assert not (tmp_path / "other").exists()
