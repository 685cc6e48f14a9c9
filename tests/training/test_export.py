"""Export: a run becomes a model that the codec uses like any other."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nicodec.bitstream.container import read, write
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.codecs.l3ic import L3ic, encode_picture
from nicodec.errors import RequestError
from nicodec.images import from_array
from nicodec.metrics.psnr import psnr
from nicodec.models import zoo
from nicodec.models.quantiser import quantise
from nicodec.models.runtime import load_network

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples
    from nicodec.training.config import L3icConfig

pytestmark = pytest.mark.train
Export = Callable[..., Path]


@pytest.fixture
def export() -> Export:
    pytest.importorskip("keras")
    pytest.importorskip("onnx")
    from nicodec.training.export import export

    return export


@pytest.fixture
def entry(export: Export, finished_run: Path, pictures: Path, tmp_path: Path) -> Path:
    """The folder of the exported model."""
    return export(finished_run, tmp_path / "zoo", pictures=pictures, samples=2)


def test_the_zoo_finds_the_model(entry: Path, tmp_path: Path, config: "L3icConfig") -> None:
    assert sorted(path.name for path in entry.iterdir()) == ["card.json", "decoder.onnx", "encoder.onnx", "entropy.npz"]
    (model,) = zoo.installed([tmp_path / "zoo"])
    assert (model.id, model.codec, model.number, model.revision) == ("l3ic-16c", 1, 1, 1)
    assert model.folder == entry
    model.verify()
    assert model.card["architecture"] == {
        "family": "l3ic",
        "channels": 16,
        "codebook": [-15, 16],
        "dead_zone": 0.07,
        "latent_type": "float32",
    }
    assert model.card["training"]["steps_done"] == config.steps
    assert model.card["training"]["pictures"] == 2


def test_the_codec_uses_the_model(entry: Path, samples: "Samples", config: "L3icConfig") -> None:
    (model,) = zoo.installed([entry.parents[1]])
    codec, picture = L3ic(), from_array(samples.photo(120, 90))
    sizes = {}
    for independent in (False, True):
        data = write(codec.encode(picture, model, EncodeSettings(independent_channels=independent)))
        restored = codec.decode(read(data), model, DecodeRequest())
        assert psnr(picture.pixels, restored.pixels) > 18
        sizes[independent] = len(data)
    assert sizes[False] < sizes[True]
    assert len(write(encode_picture(picture, model, EncodeSettings(), step=2.0))) < sizes[False]


def test_the_networks_are_the_averaged_ones(
    entry: Path, finished_run: Path, samples: "Samples", config: "L3icConfig"
) -> None:
    from nicodec.training.run_folder import load_average

    codec, _, _ = load_average(finished_run)
    (model,) = zoo.installed([entry.parents[1]])
    photo = samples.photo(64, 64)[None]
    latents = load_network(model, "encoder")(photo)
    quantised = codec.quantise(photo / np.float32(255), config.dead_zone)
    expected = pytest.importorskip("keras").ops.convert_to_numpy(quantised).transpose(0, 3, 1, 2)
    assert (quantise(latents, 1.0, config.dead_zone, (-15, 16)) != expected).mean() < 0.02


def test_training_can_go_on_from_the_keras_weights(entry: Path, finished_run: Path, config: "L3icConfig") -> None:
    from nicodec.training.export import KERAS_WEIGHTS
    from nicodec.training.run_folder import load_average
    from nicodec.training.trainer import build_codec

    assert entry.exists()
    averaged: Any = load_average(finished_run)[0]
    loaded: Any = build_codec(config)
    loaded.load_weights(str(finished_run / KERAS_WEIGHTS))
    for found, expected in zip(loaded.get_weights(), averaged.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)


def test_revisions_count_up_or_are_replaced(entry: Path, export: Export, finished_run: Path, pictures: Path) -> None:
    target = entry.parents[1]
    second = export(finished_run, target, pictures=pictures, samples=1)
    assert (entry.name, second.name) == ("1", "2")
    (entry / "old").write_text("")
    assert export(finished_run, target, pictures=pictures, samples=1, revision=1) == entry
    assert not (entry / "old").exists()
    assert [model.revision for model in zoo.installed([target])] == [2, 1]
    assert sorted(path.name for path in entry.parent.iterdir()) == ["1", "2"]


def test_measurements_join_the_card(entry: Path) -> None:
    from nicodec.training.export import add_measurement

    for dataset, bpp in [("kodak", 0.6), ("valid", 0.5), ("kodak", 0.4)]:
        add_measurement(entry, {"dataset": dataset, "bpp": bpp})
    measured = json.loads((entry / "card.json").read_text())["measured"]
    assert measured == [{"dataset": "valid", "bpp": 0.5}, {"dataset": "kodak", "bpp": 0.4}]
    (model,) = zoo.installed([entry.parents[1]])
    model.verify()


def test_a_folder_without_a_run_is_an_error(export: Export, tmp_path: Path, pictures: Path) -> None:
    with pytest.raises(RequestError, match=r"has no checkpoint\.npz"):
        export(tmp_path, tmp_path / "zoo", pictures=pictures)
    assert not (tmp_path / "zoo").exists()
