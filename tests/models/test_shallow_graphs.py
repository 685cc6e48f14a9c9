"""The shallow architectures as ONNX files: same results in every backend, whole and tiled, weights that come back."""

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import BackendError, ModelError
from nicodec.models import runtime, zoo

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")
pytest.importorskip("onnx")

from nicodec.models import keras_weights, onnx_graph, shallow, shallow_start
from nicodec.models.shallow import STRIDE, Architecture

Entry = Callable[..., Path]
Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
Run = Callable[[bytes, npt.NDArray[Any]], npt.NDArray[Any]]

ARCHITECTURES = {
    "bls2017": Architecture(
        16, 4, analysis="bls", analysis_width=8, linear=False, synthesis="bls", hidden=8, hyper="none"
    ),
    "mbt2018": Architecture(
        16, 4, analysis="mbt", analysis_width=8, linear=False, synthesis="mbt", hidden=6, hyper="full"
    ),
    "jpegl": Architecture(20, 4, analysis="cnn", analysis_width=8, synthesis="one_layer"),
    "two_layer": Architecture(16, 4, analysis="elic", analysis_width=8, linear=False, residual=True, igdn=True),
    "two_layer_igdn": Architecture(16, 4, analysis="cnn", analysis_width=8, residual=False, igdn=True, hidden=6),
    "shallow": Architecture(24, 4, analysis="patch", analysis_width=8),
    "shallow_plain": Architecture(24, 4, analysis="patch", analysis_width=8, residual=False, hidden=24),
}

every_architecture = pytest.mark.parametrize("architecture", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())


class Transforms:
    """Analysis, hyper-analysis and synthesis with weights off their start, pixels that use their range, in half."""

    def __init__(self, architecture: Architecture) -> None:
        keras.utils.set_random_seed(1)
        self.analysis = shallow.analysis(architecture)
        self.hyper_analysis = shallow.hyper_analysis(architecture)
        self.synthesis = shallow.synthesis(architecture)
        rng = np.random.default_rng(1)
        for model in (self.analysis, self.hyper_analysis, self.synthesis):
            model.set_weights([w + 0.05 * rng.normal(size=w.shape) for w in model.get_weights()])
        self.latents: Floats = rng.normal(0, 2, (1, 4, 40, architecture.latents)).astype(np.float32)
        last = [layer for layer in self.synthesis.layers if layer.weights][-1]
        kernel, bias = last.get_weights()
        last.set_weights([kernel * 0.3 / keras.ops.convert_to_numpy(self.synthesis(self.latents)).std(), 0 * bias])
        for model in (self.analysis, self.hyper_analysis, self.synthesis):
            keras_weights.round_to_half(model)

        self.files = {
            "encoder.onnx": onnx_graph.encoder_graph(self.analysis),
            "hyper_encoder.onnx": onnx_graph.hyper_encoder_graph(self.hyper_analysis),
            "decoder.onnx": onnx_graph.decoder_graph(self.synthesis),
        }


@cache
def transforms_of(architecture: Architecture) -> Transforms:
    return Transforms(architecture)


def channels_first(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.ascontiguousarray(keras.ops.convert_to_numpy(array).transpose(0, 3, 1, 2))


def assert_near(result: npt.NDArray[Any], expected: npt.NDArray[Any]) -> None:
    assert result.dtype == np.float32
    assert result.shape == expected.shape
    assert expected.std() > 0.01
    np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@every_architecture
def test_files_agree_with_keras(architecture: Architecture, photo: Pixels, run_graph: Run) -> None:
    transforms = transforms_of(architecture)
    files = transforms.files
    latents = channels_first(transforms.latents)

    assert_near(run_graph(files["encoder.onnx"], photo), channels_first(transforms.analysis(photo / 255.0)))
    hyper = channels_first(transforms.hyper_analysis(transforms.latents))
    assert hyper.shape == (1, architecture.hyper_latents, 1, 10)
    assert_near(run_graph(files["hyper_encoder.onnx"], latents), hyper)
    pixels = run_graph(files["decoder.onnx"], latents)
    expected = 255 * np.clip(keras.ops.convert_to_numpy(transforms.synthesis(transforms.latents)), 0, 1)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (1, 64, 640, 3)
    assert expected.std() > 30
    assert np.abs(pixels - expected).max() < 0.5 + 1e-2


@every_architecture
def test_weights_come_back_exactly(architecture: Architecture, tmp_path: Path) -> None:
    transforms = transforms_of(architecture)
    definitions = {
        "encoder.onnx": (transforms.analysis, shallow.analysis),
        "hyper_encoder.onnx": (transforms.hyper_analysis, shallow.hyper_analysis),
        "decoder.onnx": (transforms.synthesis, shallow.synthesis),
    }
    for name, file in transforms.files.items():
        (tmp_path / name).write_bytes(file)
        original, definition = definitions[name]
        copy = definition(architecture)
        keras_weights.load_from_onnx(tmp_path / name, copy)
        for restored, weight in zip(copy.get_weights(), original.get_weights(), strict=True):
            np.testing.assert_array_equal(restored, weight)


def test_weights_of_another_width(tmp_path: Path) -> None:
    path = tmp_path / "decoder.onnx"
    path.write_bytes(transforms_of(ARCHITECTURES["shallow"]).files["decoder.onnx"])
    wider = shallow.synthesis(Architecture(24, 4, hidden=16))
    with pytest.raises(ModelError, match=r"first up1/bias \(file \(24,\), architecture \(32,\)\)"):
        keras_weights.load_from_onnx(path, wider)


def spans(length: int, side: int, halo: int) -> Iterator[tuple[slice, slice, slice]]:
    """Places of each tile with its halo in the whole, of the tile in that, and of the tile in the whole."""
    for start in range(0, length, side):
        stop, first = min(start + side, length), max(start - halo, 0)
        yield slice(first, min(stop + halo, length)), slice(start - first, stop - first), slice(start, stop)


def scaled(place: slice, factor: int) -> slice:
    return slice(place.start * factor, place.stop * factor)


@every_architecture
def test_tiles_with_halo_equal_the_whole(architecture: Architecture, run_graph: Run) -> None:
    """Along the width; both axes have the same geometry."""
    transforms = transforms_of(architecture)
    files = transforms.files
    pixels = np.random.default_rng(2).integers(0, 256, (1, 4 * STRIDE, 40 * STRIDE, 3), np.uint8)
    whole_latents = run_graph(files["encoder.onnx"], pixels)
    latents = channels_first(transforms.latents)
    whole_pixels = run_graph(files["decoder.onnx"], latents)
    for outer, inner, place in spans(40, 7, shallow.halo(architecture, "analysis")):
        tile = run_graph(files["encoder.onnx"], np.ascontiguousarray(pixels[:, :, scaled(outer, STRIDE)]))
        assert_near(tile[..., inner], whole_latents[..., place])
    for outer, inner, place in spans(40, 7, shallow.halo(architecture, "synthesis")):
        restored = run_graph(files["decoder.onnx"], np.ascontiguousarray(latents[..., outer]))
        np.testing.assert_array_equal(restored[:, :, scaled(inner, STRIDE)], whole_pixels[:, :, scaled(place, STRIDE)])


def write_shallow(entry: Entry, architecture: Architecture) -> zoo.Model:
    card = {"family": "shallow", **architecture.to_json(), "analysis_halo": 8, "synthesis_halo": 2}
    entry("shallow-two-layer", files=transforms_of(architecture).files, architecture=card)
    return zoo.find("shallow-two-layer")


@pytest.mark.parametrize(("backend", "package"), [("tensorflow", "tensorflow"), ("openvino", "openvino")])
@pytest.mark.parametrize("name", ["mbt2018", "shallow"])
def test_backends_agree(
    entry: Entry, photo: Pixels, monkeypatch: pytest.MonkeyPatch, name: str, backend: str, package: str
) -> None:
    pytest.importorskip(package)
    monkeypatch.setattr(runtime, "_networks", {})
    model = write_shallow(entry, ARCHITECTURES[name])

    def run(part: runtime.Part, array: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        result = runtime.load_network(model, part)(array)
        other = runtime.load_network(model, part, backend=backend)(array)
        assert (other.dtype, other.shape) == (result.dtype, result.shape)
        return result, other

    latents, others = run("encoder", photo)
    assert_near(others, latents)
    hyper_latents, others = run("hyper_encoder", latents)
    assert_near(others, hyper_latents)
    pixels, others = run("decoder", latents)
    assert np.abs(others.astype(int) - pixels).max() <= 1


def test_only_a_hyperprior_has_a_hyper_encoder(entry: Entry, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(runtime, "_networks", {})
    entry(files={"hyper_encoder.onnx": b"whatever"})
    with pytest.raises(BackendError, match="no hyper_encoder of architecture 'l3ic': use another backend"):
        runtime.load_network(zoo.find("l3ic-32c"), "hyper_encoder", backend="tensorflow")


@pytest.fixture(scope="module")
def basis(photo: Pixels) -> npt.NDArray[np.float64]:
    """The first 24 components of the photo's blocks: of few blocks the singular vectors are quicker than `klt`."""
    height, width = photo.shape[1] // STRIDE, photo.shape[2] // STRIDE
    blocks = photo.reshape(height, STRIDE, width, STRIDE, 3).transpose(0, 2, 1, 3, 4).reshape(height * width, -1)
    vectors: npt.NDArray[np.float64] = np.linalg.svd(blocks / 255.0 - 0.5, full_matrices=False)[2]
    return vectors[:24].T


@pytest.mark.parametrize("name", ["jpegl", "shallow", "shallow_plain"])
def test_half_precision_is_enough(name: str, photo: Pixels, basis: npt.NDArray[np.float64]) -> None:
    """At the smallest quantisation step in use, of transforms started as a KLT: the linear branch carries the picture."""
    step = 0.065
    architecture = ARCHITECTURES[name]
    keras.utils.set_random_seed(1)
    analysis, synthesis = shallow.analysis(architecture), shallow.synthesis(architecture)
    shallow_start.start_analysis(analysis, architecture, basis[:, : architecture.latents])
    shallow_start.start_synthesis(synthesis, architecture, basis[:, : architecture.latents])
    latents = keras.ops.convert_to_numpy(analysis(photo / 255.0))
    pixels = keras.ops.convert_to_numpy(synthesis(latents))
    assert np.abs(pixels - photo / 255.0).mean() < 0.1
    for model in (analysis, synthesis):
        keras_weights.round_to_half(model)
    assert np.abs(keras.ops.convert_to_numpy(analysis(photo / 255.0)) - latents).max() < 0.01 * step
    assert np.abs(keras.ops.convert_to_numpy(synthesis(latents)) - pixels).max() < 0.15 / 255
