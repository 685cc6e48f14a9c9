"""The residual GRU: its networks are the published ones, its binariser is unbiased, and it learns."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")

from nicodec.codecs import recurrence
from nicodec.errors import RequestError
from nicodec.models import residual_gru, zoo
from nicodec.models.backends import onnx_runtime
from nicodec.models.keras_ops import ops
from nicodec.models.layers import PatchConv2D
from nicodec.models.residual_gru import ITERATIONS, GruArchitecture
from nicodec.training import data, export, progressive_export, progressive_family
from nicodec.training.config import ProgressiveConfig, config_from_json, load_config
from nicodec.training.loop import train
from nicodec.training.progressive import LEVELS, binarised, build_codec, to_bytes
from nicodec.training.run_folder import compiled_codec, load_average

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

SMALL = GruArchitecture(width=1 / 32, codes=8)
CONFIG = ProgressiveConfig(
    model="residual-gru",
    architecture=SMALL,
    steps=4,
    batch=2,
    crop=32,
    candidates=2,
    warmup=1,
    validate_every=2,
    validation_pictures=1,
    learning_rate=3e-3,
)


def multiplications(model: Any) -> float:
    """Multiplications per pixel of all convolutions, of the recurrent ones without the linear paths: three in four."""
    total = 0.0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D):
            share = 0.75 if layer.name.startswith(("up", "down")) else 1.0
            total += share * float(np.prod(layer.kernel.shape)) / _stride(layer.name, model.name) ** 2
    return total


def _stride(layer: str, model: str) -> int:
    """Pixels per position of what a convolution gives."""
    strides = {"down1": 4, "down2": 8, "down3": 16, "up1": 16, "up2": 8, "up3": 4, "up4": 2, "codes": 16, "pixels": 1}
    strides["entry"] = 2 if model == "gru_encoder" else 16
    return strides[layer.split("_")[0]]


def test_the_published_width_has_the_published_cost() -> None:
    """139 and 403 thousand multiplications per pixel and iteration, counted for a GRU without linear paths."""
    published = GruArchitecture()
    assert multiplications(residual_gru.encoder(published)) == pytest.approx(139e3, rel=0.03)
    assert multiplications(residual_gru.decoder(published)) == pytest.approx(403e3, rel=0.03)
    assert [s.channels for s in residual_gru.encoder_states(published)] == [256, 512, 512]
    assert [s.channels for s in residual_gru.decoder_states(published)] == [512, 512, 256, 128]


@pytest.mark.parametrize("reconstruction", ["one_shot", "additive", "scaled"])
def test_every_iteration_gives_a_picture(reconstruction: Any, samples: "Samples") -> None:
    codec = build_codec(replace(CONFIG, architecture=replace(SMALL, reconstruction=reconstruction)))
    pixels = samples.photo(64, 96)[None].astype(np.float32) / 255.0 - 0.5
    pictures = codec.restore(pixels)
    assert [tuple(picture.shape) for picture in pictures] == [pixels.shape] * ITERATIONS
    assert len({float(ops.sum(picture)) for picture in pictures}) == ITERATIONS
    largest = [float(ops.max(ops.abs(picture))) for picture in pictures]
    assert largest[0] <= 0.5
    if reconstruction == "one_shot":
        assert max(largest) <= 0.5


def test_changes_add_up(samples: "Samples") -> None:
    """An additive decoder that always says nothing restores gray; one-shot says what the last iteration says."""
    codec = build_codec(CONFIG)
    pixel_layer = codec.decoder.get_layer("pixels")
    pixels = samples.photo(32, 32)[None].astype(np.float32) / 255.0 - 0.5
    pixel_layer.set_weights([np.zeros_like(pixel_layer.get_weights()[0])])
    assert all(float(ops.max(ops.abs(picture))) == 0.0 for picture in codec.restore(pixels))


def test_what_is_left_is_amplified(samples: "Samples") -> None:
    """The encoder sees it times the gain, and what the decoder says is divided by it."""
    codec = build_codec(replace(CONFIG, architecture=replace(SMALL, growth=3.0)))
    pixels = samples.photo(32, 32)[None].astype(np.float32) / 255.0 - 0.5
    coder, restorer = (
        [ops.zeros((1, 32 // state.stride, 32 // state.stride, state.channels)) for state in states]
        for states in (residual_gru.encoder_states(SMALL), residual_gru.decoder_states(SMALL))
    )
    picture = np.zeros_like(pixels)
    for iteration, found in enumerate(codec.restore(pixels, iterations=3)):
        codes, *coder = codec.encoder([ops.convert_to_tensor(3.0**iteration * (pixels - picture)), *coder])
        change, *restorer = codec.decoder([binarised(codes, None), *restorer])
        picture = picture + ops.convert_to_numpy(change) / 3.0**iteration
        np.testing.assert_allclose(ops.convert_to_numpy(found), picture, atol=1e-6)


def test_a_model_codes_as_it_was_trained(samples: "Samples", pictures: Path, tmp_path: Path) -> None:
    """The networks that ship, run by the codec, restore what the unrolled ones do."""
    codec = build_codec(CONFIG)
    progressive_export.write(codec, CONFIG, tmp_path, data.find_pictures(pictures)[:2])
    entry = zoo.Model(id="residual-gru", codec=3, number=1, hash=b"", revision=1, folder=tmp_path, card={})
    encoder, decoder = (onnx_runtime.load_float(entry, part, None) for part in ("encoder", "decoder"))
    shape = progressive_export.shape_of(SMALL)
    pixels = samples.photo(64, 96)
    codes = recurrence.analyse(recurrence.Networks(encoder, decoder, shape), pixels, ITERATIONS)
    pictures_of_levels = recurrence.synthesise(recurrence.Restorer(decoder, shape), list(codes), list(LEVELS))
    trained = codec.restore(pixels[None].astype(np.float32) / 255.0 - 0.5)
    for level, found in zip(LEVELS, pictures_of_levels, strict=True):
        assert np.abs(found.astype(int) - to_bytes(trained[level])[0]).max() <= 1


def test_the_binariser_draws_with_the_mean_of_the_codes(differentiate: Callable[..., tuple[float, list[Any]]]) -> None:
    noise = np.random.default_rng(1).random((4000, 3), np.float32)
    codes = np.broadcast_to(np.array([-0.9, 0.0, 0.5], np.float32), noise.shape)
    binary = ops.convert_to_numpy(binarised(ops.convert_to_tensor(codes), noise))
    assert set(np.unique(binary)) == {-1.0, 1.0}
    assert binary.mean(axis=0) == pytest.approx([-0.9, 0.0, 0.5], abs=0.05)
    signs = ops.convert_to_numpy(binarised(ops.convert_to_tensor(codes), None))
    assert signs[0].tolist() == [-1.0, -1.0, 1.0]
    _, (gradient,) = differentiate(lambda c: ops.sum(3.0 * binarised(c, noise)), np.array(codes))
    assert np.all(gradient == 3.0)


def test_gradients_of_patches_are_those_of_convolutions(
    differentiate: Callable[..., tuple[float, list[Any]]],
) -> None:
    rng = np.random.default_rng(1)
    maps, kernel = rng.standard_normal((2, 4, 4, 3)).astype(np.float32), rng.standard_normal((3, 3, 3, 6))
    layer = PatchConv2D(6, 3, 2, use_bias=False)
    layer.build(maps.shape)

    def by_patches(x: Any, k: Any) -> Any:
        return ops.sum(ops.square(layer.convolution_op(x, k)))

    def by_convolution(x: Any, k: Any) -> Any:
        return ops.sum(ops.square(ops.conv(x, k, strides=2, padding="same")))

    found, expected = (differentiate(f, maps, kernel.astype(np.float32)) for f in (by_patches, by_convolution))
    assert found[0] == pytest.approx(expected[0], rel=1e-4)
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


def test_the_hardest_crops_are_taken(samples: "Samples") -> None:
    flat = np.full((32, 32, 3), 90, np.uint8)
    ramp = np.repeat(np.arange(32, dtype=np.uint8)[:, None, None] * 3, 32, axis=1).repeat(3, axis=2)
    noise = np.random.default_rng(2).integers(0, 256, (32, 32, 3), np.uint8)
    photo = samples.photo(32, 32)
    crops = np.stack([flat, noise, ramp, photo])
    np.testing.assert_array_equal(progressive_family.hardest(crops, 2), crops[[1, 3]])
    np.testing.assert_array_equal(progressive_family.hardest(crops, 4), crops)


def test_samples_round_halves_up() -> None:
    values = np.array([-0.6, -0.5, 0.4 / 255 - 0.5, 0.6 / 255 - 0.5, 0.0, 0.5, 0.7])
    assert to_bytes(values).tolist() == [0, 0, 0, 1, 128, 255, 255]


def test_inputs_depend_on_the_step_alone(samples: "Samples") -> None:
    crops = np.stack([samples.photo(32, 32)] * 4)
    (first, noise, share), _ = progressive_family.inputs(CONFIG, 7, crops)
    (_, again, _), _ = progressive_family.inputs(CONFIG, 7, crops)
    (_, other, _), _ = progressive_family.inputs(CONFIG, 8, crops)
    assert share.tolist() == [pytest.approx(7 / CONFIG.softened)]
    assert first.shape == (2, 32, 32, 3)
    assert [part.shape for part in noise] == [(2, 2, 2, 8)] * ITERATIONS
    np.testing.assert_array_equal(noise, again)
    assert not np.array_equal(noise, other)


def test_it_learns(pictures: Path, tmp_path: Path) -> None:
    """Sixty steps on one batch take a third off the error."""
    packed = data.pack_crops(pictures, tmp_path / "crops.npy", 64)
    codec = compiled_codec(replace(CONFIG, steps=200, warmup=5))
    crops = data.sample_batch(packed, step=0, batch=4, size=32, seed=1)
    steps = [progressive_family.inputs(CONFIG, step, crops) for step in range(60)]
    values = [codec.train_on_batch(*inputs, return_dict=True) for inputs in steps]
    assert float(values[-1]["error_7"]) < 0.7 * float(values[0]["error_7"])


def test_a_run_resumes_and_starts_another(pictures: Path, tmp_path: Path) -> None:
    straight = train(CONFIG, pictures, tmp_path / "straight", validation=pictures)
    train(replace(CONFIG, steps=2), pictures, tmp_path / "halved", validation=pictures)
    log = (tmp_path / "straight" / "log.csv").read_text().splitlines()
    assert log[0].split(",")[2:] == list(progressive_family.columns(CONFIG))
    assert straight.step == 4
    codec = build_codec(CONFIG)
    progressive_family.start(codec, CONFIG, np.zeros((1, 64, 64, 3), np.uint8), tmp_path / "straight")
    for weight, average in zip(codec.trainable_variables, straight.average, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(weight), average)
    wider = replace(CONFIG, architecture=replace(SMALL, codes=16))
    with pytest.raises(RequestError, match="another architecture"):
        progressive_family.start(build_codec(wider), wider, np.zeros((1, 64, 64, 3), np.uint8), tmp_path / "straight")


def test_a_run_starts_from_a_model(pictures: Path, tmp_path: Path) -> None:
    train(CONFIG, pictures, tmp_path / "run")
    model = zoo.open_folder(export.export(tmp_path / "run", tmp_path / "zoo", pictures=pictures, samples=1))
    codec, trained = build_codec(replace(CONFIG, seed=5)), load_average(tmp_path / "run")[0]
    progressive_family.start(codec, CONFIG, np.zeros((1, 64, 64, 3), np.uint8), model)
    for weight, expected in zip(codec.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-3, atol=1e-6)
    wider = replace(CONFIG, architecture=replace(SMALL, codes=16))
    with pytest.raises(RequestError, match="same architecture"):
        progressive_family.start(build_codec(wider), wider, np.zeros((1, 64, 64, 3), np.uint8), model)


def test_measures_some_levels(pictures: Path) -> None:
    numbers = progressive_family.measure(build_codec(CONFIG), CONFIG, data.load_validation(pictures, 1, 64, 64))
    assert set(numbers) == {f"{name}_{level}" for level in LEVELS for name in ("psnr", "msssim")}


def test_the_configuration_survives_json() -> None:
    config = load_config("residual_gru")
    assert isinstance(config, ProgressiveConfig)
    assert config_from_json(config.to_json()) == config


def test_stages_follow_each_other(pictures: Path, tmp_path: Path) -> None:
    """A step may have more iterations than the one before, which TensorFlow traces anew."""
    staged = replace(CONFIG, unrolled=((0, 1), (2, 2)), validate_every=4, softened=2)
    assert [staged.iterations_at(step) for step in range(4)] == [1, 1, 2, 2]
    assert [staged.binary_at(step) for step in range(4)] == [0.0, 0.5, 1.0, 1.0]
    assert train(staged, pictures, tmp_path / "staged").step == 4


def test_another_length_has_stages_of_another_length() -> None:
    staged = replace(CONFIG, steps=100, unrolled=((0, 4), (40, 8), (60, 16)), softened=10)
    longer = staged.of_length(1000)
    assert (longer.steps, longer.unrolled, longer.softened) == (1000, ((0, 4), (400, 8), (600, 16)), 100)
