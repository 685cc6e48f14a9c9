"""Pictures to train on, a tiny configuration and a finished run. Everything but the pictures needs the train extra.

The tests run on the Keras backend that KERAS_BACKEND names: TensorFlow unless told otherwise, JAX or PyTorch.
"""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples
    from nicodec.training.config import L3icConfig

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")


@pytest.fixture(scope="session")
def pictures(samples: "Samples", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two photos, one in a folder of its own, and a file that is none."""
    folder = tmp_path_factory.mktemp("data") / "photos"
    (folder / "more").mkdir(parents=True)
    Image.fromarray(samples.photo(300, 280)).save(folder / "a.png")
    Image.fromarray(samples.gray_photo(256, 400)).save(folder / "more" / "b.png")
    (folder / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def config() -> "L3icConfig":
    """Twelve steps on small crops."""
    from nicodec.training.config import L3icConfig, load_config

    full = load_config("l3ic-16c")
    assert isinstance(full, L3icConfig)
    return replace(full, steps=12, batch=1, crop=32, warmup=2, validate_every=4, validation_pictures=1)


@pytest.fixture(scope="session")
def shared_run(pictures: Path, config: "L3icConfig", tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("keras")
    from nicodec.training.loop import train

    run = tmp_path_factory.mktemp("runs") / "straight"
    train(config, pictures, run, validation=pictures)
    return run


@pytest.fixture
def finished_run(shared_run: Path, tmp_path: Path) -> Path:
    """The folder of a run that was not interrupted; a copy."""
    return shutil.copytree(shared_run, tmp_path / "finished")


@pytest.fixture(scope="session")
def codec(config: "L3icConfig", pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A codec at the KLT start, not to be changed."""
    pytest.importorskip("keras")
    from nicodec.training import data
    from nicodec.training.trainer import build_codec, start_from_klt

    made = build_codec(config)
    packed = data.pack_crops(pictures, tmp_path_factory.mktemp("packed") / "crops.npy", 64)
    start_from_klt(made, data.blocks_of(packed, 8, 2000), step=20.0, staggered=3)
    return made
