"""Levels on the command line: encode, decode, truncate, pictures that come while a file arrives, code files."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import nicodec
from nicodec.cli.main import main
from nicodec.models import zoo

from .conftest import assert_one_error

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Go = Callable[..., Result]

pytestmark = pytest.mark.skipif(
    all(model.id != "residual-gru" for model in zoo.installed()), reason="the weights of residual-gru are not installed"
)


@pytest.fixture(scope="module")
def coded(samples: "Samples") -> bytes:
    """A file with all levels of a picture of 70x50."""
    return nicodec.encode(samples.photo(50, 70), model="residual-gru")


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coded: bytes, samples: "Samples") -> Go:
    """Runs a command in a folder with photo.png and photo.nic, with the models that ship."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(samples.photo(50, 70)).save("photo.png")
    Path("photo.nic").write_bytes(coded)

    def invoke(*args: str, data: bytes | None = None) -> Result:
        return CliRunner().invoke(main, args, input=data)

    return invoke


def pixels(path: str | Path) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    with Image.open(path) as image:
        return np.asarray(image)


def test_encode_stops_at_a_level(go: Go, coded: bytes) -> None:
    result = go("encode", "-m", "residual-gru", "--level", "3", "--json", "photo.png", "three.nic")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["level"] == 3
    assert nicodec.info("three.nic").parameters == {"level": 3}
    assert go("truncate", "photo.nic", "--level", "3", "cut.nic").exit_code == 0
    assert Path("cut.nic").read_bytes() == Path("three.nic").read_bytes()
    assert Path("photo.nic").read_bytes() == coded


def test_decode_takes_a_level(go: Go) -> None:
    assert go("truncate", "photo.nic", "--level", "2").exit_code == 0
    assert go("decode", "photo.level2.nic", "cut.png").exit_code == 0
    assert go("decode", "--level", "2", "photo.nic", "two.png").exit_code == 0
    assert np.array_equal(pixels("cut.png"), pixels("two.png"))


def test_all_levels_go_into_a_folder(go: Go) -> None:
    result = go("decode", "--all-levels", "levels", "--json", "photo.nic")
    assert result.exit_code == 0
    record = json.loads(result.stdout)
    assert [entry["output"] for entry in record["levels"]] == [f"levels/image_{k:02d}.png" for k in range(16)]
    for level in (0, 9, 15):
        assert np.array_equal(pixels(f"levels/image_{level:02d}.png"), nicodec.decode("photo.nic", level=level).pixels)
    assert_one_error(go("decode", "--all-levels", "levels", "photo.nic"), 1, "levels/image_00.png", "--force")
    Path("some").mkdir()
    Path("some/image_05.png").write_text("mine")
    assert_one_error(go("decode", "--all-levels", "some", "photo.nic"), 1, "some/image_05.png", "--force")
    assert [path.name for path in Path("some").iterdir()] == ["image_05.png"]
    assert_one_error(go("decode", "--all-levels", "none", "missing.nic"), 1, "missing.nic")
    assert not Path("none").exists()
    assert go("decode", "--all-levels", "levels", "--format", "webp", "-f", "photo.nic").exit_code == 0
    assert Path("levels/image_15.webp").exists()


def test_truncate_reads_named_pipes(go: Go, coded: bytes) -> None:
    os.mkfifo("pipe.nic")
    writer = threading.Thread(target=lambda: Path("pipe.nic").write_bytes(coded))
    writer.start()
    assert go("truncate", "pipe.nic", "--level", "1", "x.nic").exit_code == 0
    writer.join()
    assert nicodec.info("x.nic").parameters == {"level": 1}


def test_truncate_works_in_a_pipe(go: Go, coded: bytes) -> None:
    result = go("truncate", "-", "--level", "1", "-", data=coded)
    assert result.exit_code == 0
    assert nicodec.info(result.stdout_bytes).parameters == {"level": 1}


def test_a_preview_follows_what_arrives(tmp_path: Path, coded: bytes) -> None:
    """Feeds a file in two parts, and sees the preview of the first before the second is sent."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nicodec", "decode", "--progressive", str(tmp_path), "-"], stdin=subprocess.PIPE
    )
    assert process.stdin is not None
    half = len(coded) // 2
    process.stdin.write(coded[:half])
    process.stdin.flush()
    preview = tmp_path / "preview.png"
    expected = nicodec.decode(coded[:half]).pixels
    deadline = time.monotonic() + 60
    while not (preview.exists() and np.array_equal(pixels(preview), expected)):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    process.stdin.write(coded[half:])
    process.stdin.close()
    assert process.wait(60) == 0
    assert np.array_equal(pixels(preview), nicodec.decode(coded).pixels)


def test_a_file_that_ends_early_is_decoded_and_said(go: Go, coded: bytes) -> None:
    Path("cut.nic").write_bytes(coded[: len(coded) // 2])
    result = go("decode", "cut.nic", "cut.png")
    assert result.exit_code == 0
    assert "segments arrived whole" in result.stderr
    result = go("decode", "--progressive", "there", "cut.nic")
    assert result.exit_code == 0
    assert "the data ends after level" in result.stderr
    assert np.array_equal(pixels("there/preview.png"), pixels("cut.png"))
    assert_one_error(go("decode", "--progressive", "here", "-", data=coded[:40]), 1, "first level")
    assert_one_error(go("decode", "-", "x.png", data=coded[:40]), 1)
    assert not Path("x.png").exists()


def test_previews_keep_files_of_others(go: Go, coded: bytes) -> None:
    Path("preview.png").write_text("mine")
    assert_one_error(go("decode", "--progressive", ".", "-", data=coded), 1, "preview.png", "--force")
    assert Path("preview.png").read_text() == "mine"
    assert go("decode", "--progressive", ".", "-f", "-", data=coded).exit_code == 0


def test_code_files_carry_over(go: Go) -> None:
    assert go("encode", "-m", "residual-gru", "--codes-npz", "--level", "4", "photo.png").exit_code == 0
    with np.load("photo.npz") as codes:
        assert codes["shape"].tolist() == [5, 1, 4, 6, 32]
    result = go("decode", "photo.npz", "codes.png")
    assert result.exit_code == 0
    assert "padding" in result.stderr
    assert pixels("codes.png").shape == (64, 96, 3)
    assert np.array_equal(pixels("codes.png")[:50, :70], nicodec.decode("photo.nic", level=4).pixels)
    assert go("decode", "--all-levels", "levels", "photo.npz").exit_code == 0
    assert len(list(Path("levels").iterdir())) == 5
    assert (
        go("encode", "-m", "residual-gru", "--codes-npz", "--max-pixels", "3500", "photo.png", "l.npz").exit_code == 0
    )
    data = Path("photo.npz").read_bytes()
    assert go("decode", "--codes-npz", "-", "again.png", data=data).exit_code == 0
    assert np.array_equal(pixels("again.png"), pixels("codes.png"))


@pytest.mark.parametrize(
    ("args", "word"),
    [
        (("encode", "-m", "residual-gru", "--level", "16", "photo.png", "x.nic"), "--level"),
        (("encode", "-m", "residual-gru", "--level", "1", "--quality", "5", "photo.png", "x.nic"), "exclude"),
        (("encode", "-m", "residual-gru", "--level", "1", "--target-bpp", "1", "photo.png", "x.nic"), "level"),
        (("encode", "-m", "l3ic-16c", "--level", "1", "photo.png", "x.nic"), "no levels"),
        (("encode", "-m", "l3ic-16c", "--codes-npz", "photo.png", "x.npz"), "binary codes"),
        (("decode", "--level", "16", "photo.nic", "x.png"), "level 16"),
        (("truncate", "--level", "16", "photo.nic", "x.nic"), "level 16"),
        (("truncate", "photo.nic", "x.nic"), "--level"),
        (("decode", "--all-levels", "d", "--progressive", "d", "photo.nic"), "exclude"),
        (("decode", "--all-levels", "d", "photo.nic", "x.png"), "one input"),
        (("decode", "--progressive", "d", "--level", "3", "photo.nic"), "--level"),
    ],
)
def test_requests_that_make_no_sense(go: Go, args: tuple[str, ...], word: str) -> None:
    assert_one_error(go(*args), 2, word)
    assert not Path("x.nic").exists()
    assert not Path("d").exists()


def test_what_is_no_code_file_is_refused(go: Go) -> None:
    Path("codes.npz").write_bytes(b"PK\3\4 nothing")
    assert_one_error(go("decode", "codes.npz", "x.png"), 1, "codes.npz", "code file")
    assert_one_error(go("decode", "missing.npz", "x.png"), 1, "missing.npz")
    assert_one_error(go("decode", "-m", "nothing", "codes.npz", "x.png"), 1, "nothing")
    assert_one_error(go("truncate", "photo.png", "--level", "1", "x.nic"), 1, "photo.png")
