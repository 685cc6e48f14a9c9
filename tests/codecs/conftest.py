"""The installed models: codec tests run on the weights that users get, or on those in graphs of other kinds."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.codecs import l3ic
from nicodec.images import Picture, from_array
from nicodec.models import zoo
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Floats = npt.NDArray[np.float64]


def _l3ic_models() -> dict[str, Model]:
    """The newest revision of every installed l3ic model, by id."""
    return {model.id: model for model in reversed(zoo.installed()) if model.codec == l3ic.L3ic.number}


@pytest.fixture(scope="session", params=sorted(_l3ic_models()) or ["none"])
def any_model(request: pytest.FixtureRequest) -> Model:
    """Every installed l3ic model in turn, its newest revision."""
    return zoo.find(request.param)


@pytest.fixture(scope="session")
def model() -> Model:
    """The fastest installed l3ic model."""
    models = _l3ic_models().values()
    if not models:
        pytest.fail("no l3ic model is installed")
    return min(models, key=lambda candidate: candidate.number)


def with_latent_type(model: Model, latent_type: str) -> Model:
    architecture = {**model.card["architecture"], "latent_type": latent_type}
    return replace(model, card={**model.card, "architecture": architecture})


class BlockTransform:
    """Stands for both networks: 16 cosines on every block of 8x8 pixels, orthogonal, in steps of 128.

    Attributes:
        synthesised: what the synthesis was given.
    """

    def __init__(self) -> None:
        cosines = np.cos(np.pi * np.outer(np.arange(8) + 0.5, np.arange(8)) / 8)
        cosines /= np.linalg.norm(cosines, axis=0)
        slow = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2)]
        planes = [np.outer(cosines[:, u], cosines[:, v]).ravel() for u, v in slow]
        basis = [np.kron(plane, colour) for plane in planes for colour in np.eye(3)]
        basis.append(np.kron(np.outer(cosines[:, 2], cosines[:, 0]).ravel(), np.eye(3)[1]))
        self._basis = np.stack(basis, axis=1)
        self.synthesised: list[npt.NDArray[Any]] = []

    def load(self, model: Model, part: str, **_: Any) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
        del model
        return self._analyse if part == "encoder" else self._synthesise

    def _analyse(self, pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        height, width = pixels.shape[1] // 8, pixels.shape[2] // 8
        blocks = pixels.reshape(height, 8, width, 8, 3).swapaxes(1, 2).reshape(height, width, 192)
        latents: Floats = (blocks - 128.0) @ self._basis / 128.0
        return latents.astype(np.float32).transpose(2, 0, 1)[None]

    def _synthesise(self, latents: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        self.synthesised.append(latents)
        blocks: Floats = latents[0].transpose(1, 2, 0) @ (128.0 * self._basis.T) + 128.0
        height, width = blocks.shape[:2]
        pixels = blocks.reshape(height, width, 8, 8, 3).swapaxes(1, 2).reshape(1, 8 * height, 8 * width, 3)
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)


@pytest.fixture
def transform(monkeypatch: pytest.MonkeyPatch) -> BlockTransform:
    made = BlockTransform()
    monkeypatch.setattr(l3ic, "load_network", made.load)
    return made


@pytest.fixture(scope="session")
def flexible(model: Model) -> Model:
    """The model, as if its networks took and gave fractions. They are replaced by `BlockTransform`."""
    return with_latent_type(model, "float32")


@pytest.fixture(scope="session")
def rigid(model: Model) -> Model:
    """The model, as if its decoder took integers alone."""
    return with_latent_type(model, "int8")


@pytest.fixture(scope="session")
def photo(samples: "Samples") -> Picture:
    return from_array(samples.photo(93, 122))


@pytest.fixture(scope="session")
def exported_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for NICODEC_MODELS: the two smallest l3ic models, their weights in graphs that exchange float latents."""
    pytest.importorskip("keras")
    pytest.importorskip("onnx")
    folder = tmp_path_factory.mktemp("zoo")
    for model in sorted(_l3ic_models().values(), key=lambda candidate: candidate.number)[:2]:
        entry = folder / model.id / "999"
        entry.mkdir(parents=True)
        _export_with_floats(model, entry)
    return folder


@pytest.fixture(scope="session")
def exported(exported_zoo: Path) -> Model:
    """The smaller of the models in `exported_zoo`."""
    return zoo.installed([exported_zoo])[0]


def _export_with_floats(model: Model, folder: Path) -> None:
    from nicodec.models import keras_weights, onnx_graph
    from nicodec.models import l3ic as transforms

    channels = model.card["architecture"]["channels"]
    for part, network, graph in (
        ("encoder", transforms.analysis(channels), onnx_graph.encoder_graph),
        ("decoder", transforms.synthesis(channels), onnx_graph.decoder_graph),
    ):
        keras_weights.load_from_onnx(model.path(f"{part}.onnx"), network)
        (folder / f"{part}.onnx").write_bytes(graph(network))
    (folder / "entropy.npz").write_bytes(model.path("entropy.npz").read_bytes())
    card = dict(with_latent_type(model, "float32").card, hash=zoo.model_hash(folder).hex())
    card.pop("encoder_hash", None)
    (folder / zoo.CARD).write_text(json.dumps(card))
