"""`nicodec import`: a graph becomes a model that the other commands use, or nothing is left of it."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

pytestmark = pytest.mark.train

pytest.importorskip("tensorflow")

from nicodec.bitstream.code_context import CodeContext
from nicodec.cli.main import main
from nicodec.errors import BackendError
from nicodec.models import zoo
from nicodec.models.backends.frozen_graph import FrozenGraph
from nicodec.training import graph_import

if TYPE_CHECKING:
    from nicodec.tests.frozen_graphs import FrozenGraphs
    from nicodec.tests.samples import Samples

Run = Callable[..., Result]

NAME = "residual-gru-original"
CODES = ["GruBinarizer/SignBinarizer/Sign:0", *(f"GruBinarizer/SignBinarizer/Sign_{k}:0" for k in range(1, 16))]
PICTURES = [f"loop_{k:02d}/add:0" for k in range(16)]

NEUTRAL_TABLES = "18d64da2f16015ab662c190933d48f8fc1f9782bbc3a88a0b84503dd734ad169"
"""SHA-256 of the tables of a model without photos: part of the hash that files name, so it must never change."""


@pytest.fixture
def run(folder: Path, graphs: "FrozenGraphs", monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command where residual_gru.pb lies and zoo/ is searched for models."""
    monkeypatch.setenv("NICODEC_MODELS", str(folder / "zoo"))
    Path("residual_gru.pb").write_bytes(graphs.data())

    def invoke(*arguments: str) -> Result:
        result = CliRunner().invoke(main, list(arguments))
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def imported(run: Run, folder: Path) -> Path:
    """The folder of the model."""
    result = run("import", "residual_gru.pb", "--zoo", "zoo")
    assert (result.exit_code, result.stderr) == (0, "")
    return folder / result.stdout.strip()


def assert_refused(result: Result, code: int, *words: str) -> None:
    """One line with those words, and no model."""
    assert (result.exit_code, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert line.startswith("nicodec: error: ")
    for word in words:
        assert word in line
    assert not Path("zoo").exists()


def test_it_writes_a_zoo_entry(run: Run, imported: Path, graphs: "FrozenGraphs") -> None:
    assert imported == Path.cwd() / "zoo" / NAME / "1"
    assert sorted(os.listdir(imported)) == ["card.json", "entropy.npz", "graph.pb"]
    assert (imported / "graph.pb").read_bytes() == graphs.data()
    model = zoo.find(NAME)
    model.verify()
    assert (model.codec, model.number) == (3, 255)
    assert model.card["architecture"] == {"family": "residual_gru_graph", "codes": 32}
    assert model.card["licence"].startswith("the user's own file")
    assert NAME in run("models").stdout
    assert run("models", "show", NAME).exit_code == 0


def test_the_same_graph_has_the_same_hash_everywhere(imported: Path) -> None:
    assert hashlib.sha256((imported / "entropy.npz").read_bytes()).hexdigest() == NEUTRAL_TABLES


def test_pictures_go_there_and_back(run: Run, imported: Path, graphs: "FrozenGraphs", samples: "Samples") -> None:
    assert run("encode", "-m", NAME, "photo.png").exit_code == 0
    assert run("verify", "photo.nic").exit_code == 0
    assert run("decode", "photo.nic", "--level", "5", "five.png").exit_code == 0
    assert run("decode", "photo.nic", "--all-levels", "levels").exit_code == 0
    (own,) = graphs.run(samples.photo(), [PICTURES[5]])
    expected = np.clip(own[0] + 0.5, 0, 255).astype(np.uint8)
    for name in ("five.png", "levels/image_05.png"):
        pixels = np.asarray(Image.open(name))
        assert np.abs(pixels.astype(int) - expected).max() <= 1
    assert run("truncate", "photo.nic", "--level", "5", "small.nic").exit_code == 0
    assert run("decode", "small.nic", "small.png").exit_code == 0
    assert Path("small.png").read_bytes() == Path("five.png").read_bytes()


def test_code_files_of_the_original(run: Run, imported: Path, graphs: "FrozenGraphs", samples: "Samples") -> None:
    codes = np.stack(graphs.run(samples.photo(), CODES))
    packed = np.packbits(((codes + 1) / 2).astype(np.int8))
    assert run("encode", "-m", NAME, "--codes-npz", "photo.png").exit_code == 0
    with np.load("photo.npz") as file:
        assert tuple(file["shape"]) == codes.shape
        np.testing.assert_array_equal(file["codes"], packed)
    np.savez_compressed("codes.npz", shape=codes.shape, codes=packed)
    assert run("decode", "--model", NAME, "codes.npz").exit_code == 0
    (own,) = graphs.run(samples.photo(), [PICTURES[15]])
    restored = np.asarray(Image.open("codes.png")).astype(int)
    assert np.abs(restored - np.clip(own[0] + 0.5, 0, 255).astype(np.uint8)).max() <= 1


def test_photos_make_files_smaller(run: Run, imported: Path, samples: "Samples") -> None:
    Path("photos").mkdir()
    for index in range(3):
        pixels = samples.photo(288, 384)[96 * index : 96 * index + 96, 128 * index : 128 * index + 128]
        Image.fromarray(pixels).save(f"photos/{index}.png")
    assert run("encode", "-m", NAME, "photo.png", "neutral.nic").exit_code == 0
    result = run("import", "residual_gru.pb", "--zoo", "zoo", "--data", "photos")
    assert result.stdout == f"{Path('zoo', NAME, '2')}\n"
    assert zoo.find(NAME).card["tables"] == "fitted to photos, 3 of them"
    assert run("encode", "-m", NAME, "photo.png", "fitted.nic").exit_code == 0
    assert os.path.getsize("fitted.nic") < 0.95 * os.path.getsize("neutral.nic")
    for name in ("neutral", "fitted"):
        assert run("decode", f"{name}.nic").exit_code == 0
    assert Path("neutral.png").read_bytes() == Path("fitted.png").read_bytes()


def test_the_neutral_model_is_valid() -> None:
    neutral = graph_import.neutral()
    neutral.check()
    again = CodeContext.from_arrays(neutral.to_arrays())
    assert (again.layers, again.channels, again.ones.tolist()) == (16, 32, [32768])


@pytest.mark.parametrize(
    ("kind", "words"),
    [("stateful", "RandomUniform"), ("seeing", "depend on more than the codes"), ("small", "no node 'loop_15/add'")],
)
def test_other_graphs_leave_nothing(run: Run, graphs: "FrozenGraphs", kind: str, words: str) -> None:
    Path("other.pb").write_bytes(graphs.data(kind))
    assert_refused(run("import", "other.pb", "--zoo", "zoo"), 1, "other.pb", words)


def test_other_files_leave_nothing(run: Run) -> None:
    assert_refused(run("import", "text.png", "--zoo", "zoo"), 1, "text.png is not the graph")
    assert_refused(run("import", "absent.pb", "--zoo", "zoo"), 1, "absent.pb cannot be read")
    assert_refused(run("import", ".", "--zoo", "zoo"), 1, "cannot be read")


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", ".hidden", "a b", "a\nb"])
def test_names_that_are_no_folder(run: Run, name: str) -> None:
    assert_refused(run("import", "residual_gru.pb", "--zoo", "zoo", "--id", name), 2, "letters, digits")


def test_names_of_other_models(run: Run, imported: Path) -> None:
    card = json.loads((imported / "card.json").read_text())
    (imported / "card.json").write_text(json.dumps({**card, "architecture": {"family": "residual_gru"}}))
    result = run("import", "residual_gru.pb", "--zoo", "zoo")
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"{NAME} is another model, in {imported}: choose another name" in result.stderr
    assert os.listdir(imported.parent) == ["1"]


def test_photos_that_do_not_do(run: Run) -> None:
    Path("photos").mkdir()
    assert_refused(run("import", "residual_gru.pb", "--zoo", "zoo", "--data", "photos"), 2, "no images found")
    Image.new("RGB", (31, 40)).save("photos/small.png")
    assert_refused(run("import", "residual_gru.pb", "--zoo", "zoo", "--data", "photos"), 1, "smaller than 32x32")


def test_a_failure_half_way_leaves_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device", "somewhere")

    monkeypatch.setattr(graph_import, "write_card", full)
    assert run("import", "residual_gru.pb", "--zoo", "zoo").exit_code == 1
    assert os.listdir("zoo") == []


def test_a_graph_that_does_not_run(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: FrozenGraph) -> None:
        raise BackendError("TensorFlow failed: try more memory")

    monkeypatch.setattr(FrozenGraph, "check", fail)
    assert_refused(run("import", "residual_gru.pb", "--zoo", "zoo"), 1, "try more memory")


def test_without_tensorflow(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("nicodec.training.graph_import", "nicodec.models.backends.frozen_graph"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert_refused(
        run("import", "residual_gru.pb", "--zoo", "zoo"), 1, "tensorflow is not installed", "pip install nicodec[train]"
    )


def test_a_process_prints_the_folder_only(run: Run, folder: Path) -> None:
    arguments = ["-m", "nicodec", "import", "residual_gru.pb", "--zoo", "zoo"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    result = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, f"{Path('zoo', NAME, '1')}\n")
    # What TensorFlow says of missing graphics drivers before its log is set up depends on how it was built.
    assert "nicodec" not in result.stderr
