"""`nicodec extract`, and `decode` of what it wrote."""

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from nicodec.cli.main import main

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Go = Callable[..., Result]

pytestmark = pytest.mark.train


@pytest.fixture
def folder(small_sandwiches: Path, samples: "Samples", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NICODEC_MODELS", str(small_sandwiches))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(samples.photo(61, 90)).save("a.png")
    return tmp_path


@pytest.fixture
def go(folder: Path) -> Go:
    """Runs a command in the folder."""
    assert folder.exists()

    def invoke(*args: str, data: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, args, input=data)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


def test_the_file_inside_comes_out_and_is_restored(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    extracted = go("extract", "a.nic")
    assert extracted.exit_code == 0
    assert "a.jpg" in extracted.stderr
    with Image.open(folder / "a.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (90, 61))
    assert go("decode", "a.nic", "whole.png").exit_code == 0
    assert go("decode", "-m", "sandwich-rgb", "a.jpg", "bare.png").exit_code == 0
    whole, bare = (np.asarray(Image.open(folder / name)) for name in ("whole.png", "bare.png"))
    np.testing.assert_array_equal(whole, bare)


def test_names_and_streams(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-gray", "a.png").exit_code == 0
    data = (folder / "a.nic").read_bytes()
    piped = go("extract", "-", "-", data=data)
    assert piped.exit_code == 0
    with Image.open(io.BytesIO(piped.stdout_bytes)) as image:
        assert image.mode == "L"
    named = go("extract", "a.nic", "inner.png", "--json")
    record = json.loads(named.stdout)
    assert record["output"] == "inner.png"
    assert record["format"] == "jpg"
    assert "inside is a .jpg" in record["notes"][0]
    assert (folder / "inner.png").read_bytes() == piped.stdout_bytes
    again = go("extract", "a.nic", "inner.png")
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert go("extract", "--out-dir", "out", "a.nic").exit_code == 0
    assert (folder / "out" / "a.jpg").read_bytes() == piped.stdout_bytes
    restored = go("decode", "-m", "sandwich-gray", "-", "b.png", data=piped.stdout_bytes)
    assert restored.exit_code == 0, restored.stderr
    with Image.open(folder / "b.png") as image:
        assert image.mode == "RGB"


def test_another_standard_codec_is_remarked(folder: Path, go: Go) -> None:
    result = go("encode", "-m", "sandwich-rgb", "--inner", "webp", "a.png", "--json")
    assert result.exit_code == 0, result.stderr
    assert "trained around jpeg" in json.loads(result.stdout)["notes"][0]
    assert go("extract", "a.nic").exit_code == 0
    assert (folder / "a.webp").read_bytes()[:4] == b"RIFF"


def test_what_does_not_fit_is_refused(go: Go) -> None:
    assert go("encode", "-m", "l3ic-16c", "a.png", "plain.nic").exit_code == 0
    plain = go("extract", "plain.nic")
    assert plain.exit_code == 2
    assert "sandwiches" in plain.stderr
    assert not Path("plain.jpg").exists()
    assert go("encode", "-m", "l3ic-16c", "--inner", "jpeg", "a.png", "x.nic").exit_code == 2
    kind = go("decode", "-m", "sandwich-gray", "a.png", "x.png")
    assert kind.exit_code == 2
    assert "colour" in kind.stderr
    assert go("decode", "-m", "sandwich-rgb", "missing.jpg", "x.png").exit_code == 1
    Path("no.jpg").write_bytes(b"no picture")
    broken = go("decode", "-m", "sandwich-rgb", "no.jpg", "x.png")
    assert broken.exit_code == 1
    assert len(broken.stderr.strip().splitlines()) == 1
    assert not Path("x.png").exists()


def test_a_nic_file_names_its_own_model(folder: Path, go: Go) -> None:
    """The model that -m names is for what is no .nic file."""
    assert go("encode", "-m", "l3ic-16c", "a.png").exit_code == 0
    assert go("decode", "-m", "sandwich-rgb", "a.nic", "x.png").exit_code == 0
    assert (folder / "x.png").exists()
    piped = go("decode", "-m", "sandwich-rgb", "-", "y.png", data=(folder / "a.nic").read_bytes())
    assert piped.exit_code == 0, piped.stderr
    assert (folder / "y.png").read_bytes() == (folder / "x.png").read_bytes()


def test_an_input_is_never_replaced(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    data = (folder / "a.nic").read_bytes()
    (folder / "photo.jpg").write_bytes(data)
    for arguments in (("photo.jpg",), ("--out-dir", ".", "photo.jpg"), ("photo.jpg", "photo.jpg")):
        result = go("extract", "--force", *arguments)
        assert result.exit_code == 2
        assert "same file" in result.stderr
    assert (folder / "photo.jpg").read_bytes() == data
    (folder / "photo").write_bytes(data)
    assert go("extract", "--force", "photo").exit_code == 0
    assert (folder / "photo.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_a_bare_file_has_no_levels(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    assert go("extract", "a.nic").exit_code == 0
    for option in (("--level", "3"), ("--channels", "0"), ("--allow-partial",)):
        result = go("decode", "-m", "sandwich-rgb", *option, "a.jpg", "x.png")
        assert result.exit_code == 2
        assert "no .nic file" in result.stderr
    assert not (folder / "x.png").exists()


def test_pipes_with_names_are_read_once(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_bytes((folder / "a.nic").read_bytes()))
    writer.start()
    result = go("decode", "-m", "sandwich-rgb", "pipe", "x.png")
    writer.join()
    assert result.exit_code == 0, result.stderr
