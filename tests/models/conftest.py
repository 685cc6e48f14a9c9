"""A zoo to test with: entries of any content, and one with a real network in it."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.models import zoo

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Entry = Callable[..., Path]


def write_entry(folder: Path, model_id: str, revision: int | str = 1, *, files: Any = None, **card: Any) -> Path:
    """Writes a model into the zoo `folder`; `files` replaces the contents, other keywords entries of the card."""
    entry = folder / model_id / str(revision)
    entry.mkdir(parents=True)
    contents = {"encoder.onnx": b"e", "decoder.onnx": f"d{model_id}{revision}".encode(), "entropy.npz": b"t"}
    for name, content in {**contents, **(files or {})}.items():
        (entry / name).write_bytes(content)
    default = {
        "schema": 1,
        "id": model_id,
        "codec": 1,
        "model": 2,
        "architecture": {"family": "l3ic", "channels": 16},
        "hash": zoo.model_hash(entry).hex(),
    }
    (entry / "card.json").write_text(json.dumps({**default, **card}))
    return entry


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty zoo that is the only one searched."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    monkeypatch.setenv("NICODEC_MODELS", str(folder))
    monkeypatch.setattr(zoo, "_PACKAGED", tmp_path / "absent")
    return folder


@pytest.fixture
def entry(shelf: Path) -> Entry:
    """Writes a model into the zoo; see `write_entry`."""

    def write(model_id: str = "l3ic-32c", revision: int | str = 1, **changes: Any) -> Path:
        return write_entry(shelf, model_id, revision, **changes)

    return write


@pytest.fixture(scope="session")
def run_graph() -> Callable[..., npt.NDArray[Any]]:
    """Runs the bytes of an ONNX file on one array."""
    ort: Any = pytest.importorskip("onnxruntime")

    def run(file: bytes, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
        (output,) = session.run(None, {session.get_inputs()[0].name: array})
        return np.asarray(output)

    return run


@pytest.fixture(scope="session")
def chain() -> Callable[..., Any]:
    """Makes a Keras model of layers one after the other."""
    keras: Any = pytest.importorskip("keras")

    def build(*layers: Any, channels: int = 3) -> Any:
        x = source = keras.Input((None, None, channels))
        for layer in layers:
            x = layer(x)
        return keras.Model(source, x, name="chain")

    return build


@pytest.fixture(scope="session")
def photo() -> npt.NDArray[np.uint8]:
    """A picture with waves and noise, uint8 (1, 192, 256, 3)."""
    y, x, colour = np.mgrid[:192, :256, :3]
    waves = 128 + 90 * np.sin(x / 17 + y / 31 + colour)
    noise = np.random.default_rng(1).normal(0, 8, waves.shape)
    picture: npt.NDArray[np.uint8] = np.clip(waves + noise, 0, 255).astype(np.uint8)
    return picture[None]


@pytest.fixture(scope="session")
def transforms(photo: npt.NDArray[np.uint8]) -> tuple[Any, Any]:
    """Keras l3ic transforms of random weights, scaled so that latents and pixels use their ranges, in half precision."""
    keras = pytest.importorskip("keras")
    from nicodec.models import keras_weights, l3ic

    keras.utils.set_random_seed(1)
    analysis, synthesis = l3ic.analysis(16), l3ic.synthesis(16)
    to_numpy = keras.ops.convert_to_numpy
    latents = to_numpy(analysis(photo / 255.0))
    analysis.get_layer("latent_scale").set_weights([5 / latents.std(axis=(0, 1, 2))])
    symbols = np.clip(np.round(to_numpy(analysis(photo / 255.0))), *l3ic.CODEBOOK)
    spread = to_numpy(synthesis(symbols)).std()
    synthesis.get_layer("latent_unscale").set_weights([np.linspace(0.1, 0.3, 16) / spread])
    for transform in (analysis, synthesis):
        keras_weights.round_to_half(transform)
    return analysis, synthesis


@pytest.fixture(scope="session")
def real_model(tmp_path_factory: pytest.TempPathFactory, transforms: tuple[Any, Any]) -> zoo.Model:
    """A zoo entry with the transforms in it."""
    from nicodec.models import onnx_graph

    analysis, synthesis = transforms
    folder = tmp_path_factory.mktemp("zoo")
    files = {
        "encoder.onnx": onnx_graph.encoder_graph(analysis),
        "decoder.onnx": onnx_graph.decoder_graph(synthesis),
    }
    write_entry(folder, "l3ic-16c", files=files)
    (model,) = zoo.installed([folder])
    return model
