"""ONNX files written from Keras models: same results, same bytes, weights that come back exactly."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import ModelError

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")
onnx: Any = pytest.importorskip("onnx")

from nicodec.models import keras_weights, l3ic, onnx_graph
from nicodec.models.layers import ChannelScale

Pixels = npt.NDArray[np.uint8]

to_numpy = keras.ops.convert_to_numpy
Run = Callable[[bytes, npt.NDArray[Any]], npt.NDArray[Any]]
Chain = Callable[..., Any]


def randomise(model: Any, scale: float) -> None:
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0, scale, weight.shape) for weight in layer.weights])
    keras_weights.round_to_half(model)


def test_encoder_agrees_with_keras(transforms: tuple[Any, Any], photo: Pixels, run_graph: Run) -> None:
    latents = run_graph(onnx_graph.encoder_graph(transforms[0]), photo)
    expected = to_numpy(transforms[0](photo / 255.0)).transpose(0, 3, 1, 2)
    assert latents.dtype == np.float32
    assert expected.min() < l3ic.CODEBOOK[0]
    assert expected.std() > 2
    assert np.abs(latents - expected).max() < 1e-3


def test_decoder_agrees_with_keras(transforms: tuple[Any, Any], run_graph: Run) -> None:
    latents = np.random.default_rng(2).uniform(-15, 16, (1, 16, 9, 7)).astype(np.float32)
    pixels = run_graph(onnx_graph.decoder_graph(transforms[1]), latents)
    expected = 255 * np.clip(to_numpy(transforms[1](latents.transpose(0, 2, 3, 1))), 0, 1)
    assert pixels.dtype == np.uint8
    assert expected.std() > 10
    assert np.abs(pixels - expected).max() < 0.5 + 1e-2
    assert np.abs(pixels - np.round(expected)).max() <= 1


def test_same_weights_same_bytes(transforms: tuple[Any, Any], tmp_path: Path) -> None:
    file = onnx_graph.decoder_graph(transforms[1])
    assert onnx_graph.decoder_graph(transforms[1]) == file
    (tmp_path / "decoder.onnx").write_bytes(file)
    copy = l3ic.synthesis(16)
    keras_weights.load_from_onnx(tmp_path / "decoder.onnx", copy)
    assert onnx_graph.decoder_graph(copy) == file


def test_training_precision_changes_nothing(transforms: tuple[Any, Any]) -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        mixed = l3ic.synthesis(16)
    finally:
        keras.config.set_dtype_policy(before)
    mixed.set_weights(transforms[1].get_weights())
    assert onnx_graph.decoder_graph(mixed) == onnx_graph.decoder_graph(transforms[1])


def test_file_is_portable(transforms: tuple[Any, Any]) -> None:
    model = onnx.load_model_from_string(onnx_graph.encoder_graph(transforms[0]))
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert model.ir_version <= 10
    assert model.producer_name == "nicodec"
    halves = {tensor.name for tensor in model.graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    convolutions = ("down1", "down2", "down3", *(f"block{block}_{side}" for block in range(3) for side in "ab"))
    expected = {f"{layer}/{weight}" for layer in convolutions for weight in ("kernel", "bias")}
    assert halves == expected | {"latent_scale/scale"}
    dimensions = [dimension.dim_param for dimension in model.graph.input[0].type.tensor_type.shape.dim]
    assert dimensions == ["n", "h", "w", ""]


def test_weights_come_back_exactly(transforms: tuple[Any, Any], tmp_path: Path) -> None:
    path = tmp_path / "encoder.onnx"
    path.write_bytes(onnx_graph.encoder_graph(transforms[0]))
    copy = l3ic.analysis(16)
    keras_weights.load_from_onnx(path, copy)
    for restored, original in zip(copy.get_weights(), transforms[0].get_weights(), strict=True):
        np.testing.assert_array_equal(restored, original)


def test_several_models_share_a_file(tmp_path: Path, chain: Chain) -> None:
    def layers() -> tuple[Any, Any]:
        first = keras.layers.Conv2D(5, 3, padding="same", name="first")
        return first, keras.layers.Conv2D(3, (1, 3), padding="same", name="second")

    both = chain(*layers())
    randomise(both, 1.0)
    path = tmp_path / "both.onnx"
    path.write_bytes(onnx_graph.encoder_graph(both))
    first, second = layers()
    halves = chain(first), chain(second, channels=5)
    keras_weights.load_from_onnx(path, *halves)
    restored_weights = [*halves[0].get_weights(), *halves[1].get_weights()]
    for restored, original in zip(restored_weights, both.get_weights(), strict=True):
        np.testing.assert_array_equal(restored, original)


def test_round_to_half_is_what_the_file_holds(chain: Chain) -> None:
    model = chain(keras.layers.Conv2D(4, 3, padding="same", name="c"))
    kernel = np.random.default_rng(5).normal(size=(3, 3, 3, 4)).astype(np.float32)
    model.layers[1].set_weights([kernel, np.full(4, 1 / 3)])
    file = onnx_graph.encoder_graph(model)
    keras_weights.round_to_half(model)
    assert onnx_graph.encoder_graph(model) == file
    np.testing.assert_array_equal(model.get_weights()[0], kernel.astype(np.float16).astype(np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, 70_000.0])
def test_weights_beyond_half_precision(chain: Chain, value: float) -> None:
    model = chain(ChannelScale(name="wild"))
    model.layers[1].set_weights([np.array([1.0, value, 1.0])])
    with pytest.raises(ModelError, match="wild/scale"):
        onnx_graph.decoder_graph(model)
    with pytest.raises(ModelError, match="wild/scale"):
        keras_weights.round_to_half(model)


def test_weights_of_another_network(transforms: tuple[Any, Any], tmp_path: Path, chain: Chain) -> None:
    path = tmp_path / "decoder.onnx"
    path.write_bytes(onnx_graph.decoder_graph(transforms[1]))
    wider = l3ic.synthesis(32)
    before = wider.get_weights()
    with pytest.raises(ModelError, match=r"first latent_unscale/scale \(file \(16,\), architecture \(32,\)\)"):
        keras_weights.load_from_onnx(path, wider)
    for now, then in zip(wider.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)
    with pytest.raises(ModelError, match=r"first block0_a/bias \(file \(128,\), architecture None\)"):
        keras_weights.load_from_onnx(path, chain(ChannelScale(name="s")))


@pytest.mark.parametrize("content", [None, b"no network at all"])
def test_unreadable_weights(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "decoder.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"cannot read .*decoder\.onnx") as caught:
        keras_weights.load_from_onnx(path, l3ic.synthesis(16))
    assert "\n" not in str(caught.value)
