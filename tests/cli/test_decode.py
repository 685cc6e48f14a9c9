"""`nicodec decode`: formats, channels, pipes, and files that are not what they should be."""

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from nicodec.models import zoo

from .conftest import assert_one_error

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Run = Callable[..., Result]

RECORD = {"schema", "command", "input", "ok", "output", "width", "height", "gray", "alpha", "seconds", "notes"}


def read(path: str | io.BytesIO) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    with Image.open(path) as image:
        return np.asarray(image)


def test_writes_a_png_beside_the_input_by_default(run: Run, coded: Path, samples: "Samples") -> None:
    os.remove("photo.png")
    result = run("decode", "photo.nic")
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr.startswith("photo.png  96x64  ")
    assert np.array_equal(read("photo.png"), samples.photo() // 16 * 16 + 8)


@pytest.mark.parametrize(("name", "kind"), [("o.webp", "WEBP"), ("o.tif", "TIFF"), ("o.JPG", "JPEG"), ("o.bmp", "BMP")])
def test_suffix_chooses_the_format(run: Run, coded: Path, name: str, kind: str) -> None:
    assert run("decode", "photo.nic", name).exit_code == 0
    with Image.open(name) as image:
        assert image.format == kind


def test_format_option_wins_over_the_suffix(run: Run, coded: Path) -> None:
    assert run("decode", "--format", "webp", "photo.nic", "picture.x").exit_code == 0
    assert run("decode", "--format", ".webp", "photo.nic").exit_code == 0
    for name in ("picture.x", "photo.webp"):
        with Image.open(name) as image:
            assert image.format == "WEBP"


def test_pipes_carry_nothing_but_the_image(run: Run, coded: Path) -> None:
    result = run("decode", "--format", "bmp", "-", data=coded.read_bytes())
    assert result.exit_code == 0
    assert read(io.BytesIO(result.stdout_bytes)).shape == (64, 96, 3)
    assert result.stdout_bytes.startswith(b"BM")
    assert run("decode", "-", "-", data=coded.read_bytes()).stdout_bytes.startswith(b"\x89PNG")


def test_some_channels_of_an_independent_file(run: Run, folder: Path, samples: "Samples") -> None:
    assert run("encode", "--independent-channels", "photo.png").exit_code == 0
    assert run("decode", "--channels", "0,2-2", "photo.nic", "some.png").exit_code == 0
    some, whole = read("some.png"), samples.photo() // 16 * 16 + 8
    assert np.array_equal(some[..., 0::2], whole[..., 0::2])
    assert np.all(some[..., 1] == 8)


def test_channels_that_are_not_there(run: Run, coded: Path) -> None:
    assert_one_error(run("decode", "--channels", "0", "photo.nic", "x.png"), 2, "photo.nic: the channels depend")
    assert_one_error(run("decode", "--channels", "1-", "photo.nic", "x.png"), 2, "'1-' is not a channel")
    assert run("encode", "-f", "--independent-channels", "photo.png").exit_code == 0
    assert_one_error(run("decode", "--channels", "3", "photo.nic", "x.png"), 2, "channels 0 to 2")
    assert not Path("x.png").exists()


def test_json(run: Run, coded: Path) -> None:
    record = json.loads(run("decode", "--json", "photo.nic", "out.png").stdout)
    assert set(record) == RECORD
    assert (record["schema"], record["output"], record["width"], record["alpha"]) == (1, "out.png", 96, False)


def test_several_files(run: Run, coded: Path) -> None:
    Path("cut.nic").write_bytes(coded.read_bytes()[:-1])
    result = run("decode", "--out-dir", "back", "--format", "webp", "cut.nic", "photo.nic")
    assert result.exit_code == 1
    assert os.listdir("back") == ["photo.webp"]
    assert result.stderr.splitlines()[0].startswith("nicodec: error: cut.nic: the data ends")


def test_picture_that_the_format_cannot_hold_is_named(run: Run, coded: Path) -> None:
    Image.new("RGBA", (8, 8)).save("clear.png")
    assert run("encode", "-q", "clear.png").exit_code == 0
    result = run("decode", "-q", "--out-dir", "back", "--format", "jpg", "clear.nic", "photo.nic")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"nicodec: error: {os.path.join('back', 'clear.jpg')}: JPEG cannot hold transparency")
    assert os.listdir("back") == ["photo.jpg"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), "this is a PNG image, not a .nic file"),
        (b"\x8fNIC\x20", "the file has format version 2.0"),
        (b"\x8fNI", "the data ends"),
    ],
)
def test_what_is_no_nic_file(run: Run, folder: Path, content: bytes, words: str) -> None:
    Path("bad.nic").write_bytes(content)
    assert_one_error(run("decode", "bad.nic"), 1, f"bad.nic: {words}")
    assert not Path("bad.png").exists()


def test_every_truncation_and_many_flips_are_noticed(run: Run, folder: Path) -> None:
    Image.new("RGB", (2, 2), (9, 99, 199)).save("tiny.png")
    assert run("encode", "tiny.png").exit_code == 0
    data = Path("tiny.nic").read_bytes()
    damaged = [data[:end] for end in range(len(data))]
    damaged += [data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :] for at in range(len(data))]
    for content in damaged:
        Path("bad.nic").write_bytes(content)
        assert_one_error(run("decode", "bad.nic", "bad.png"), 1, "bad.nic: ")
        assert not Path("bad.png").exists()


@pytest.mark.parametrize(
    ("name", "words"), [("missing.nic", "no such file"), ("folder", "is a folder"), ("text.png", "not a .nic file")]
)
def test_inputs_that_cannot_be_read(run: Run, folder: Path, name: str, words: str) -> None:
    Path("folder").mkdir()
    assert_one_error(run("decode", name, "out.png"), 1, f"{name}: ", words)


def test_existing_output_is_kept_unless_forced(run: Run, coded: Path) -> None:
    before = Path("photo.png").read_bytes()
    assert_one_error(run("decode", "photo.nic"), 1, "photo.png: exists already")
    assert Path("photo.png").read_bytes() == before
    assert run("decode", "-f", "photo.nic").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.nic", "other.nic"], "--out-dir"),
        (["photo.nic", "out.xyz"], "'.xyz'"),
        (["--format", "xyz", "photo.nic"], "'xyz'"),
        (["photo.png"], "same file"),
    ],
)
def test_impossible_requests_end_with_code_2(run: Run, coded: Path, arguments: list[str], words: str) -> None:
    assert_one_error(run("decode", *arguments), 2, words)


def test_limit_is_checked_before_decoding(run: Run, coded: Path) -> None:
    assert_one_error(run("decode", "--max-pixels", "6000", "photo.nic", "x.png"), 1, "6144", "--max-pixels")


def test_model_missing_or_different(run: Run, coded: Path, model: zoo.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MODELS", "absent")
    assert_one_error(run("decode", "photo.nic", "x.png"), 1, "photo.nic: the file needs model number 7")
    monkeypatch.undo()
    card = model.folder / "card.json"
    card.write_text(card.read_text().replace(model.hash.hex(), "00" * 8))
    monkeypatch.setenv("NICODEC_MODELS", str(model.folder.parents[1]))
    Path(coded.parent, "x").mkdir()
    monkeypatch.chdir(coded.parent)
    monkeypatch.setattr(zoo, "_PACKAGED", Path("absent"))
    assert_one_error(run("decode", "photo.nic", "x.png"), 1)


def test_formats_say_what_they_cannot_carry(run: Run, folder: Path) -> None:
    Image.new("RGBA", (8, 8), (1, 2, 3, 4)).save("clear.png")
    assert run("encode", "clear.png").exit_code == 0
    assert_one_error(run("decode", "clear.nic", "out.jpg"), 2, "cannot hold transparency")
    Image.new("L", (8, 8), 7).save("gray.png")
    assert run("encode", "gray.png").exit_code == 0
    assert run("decode", "-q", "gray.nic", "out.webp").stderr == "nicodec: out.webp: WEBP has no gray: written as RGB\n"


def test_background_goes_behind_transparency(run: Run, folder: Path) -> None:
    Image.new("RGBA", (8, 300), (24, 24, 24, 51)).save("clear.png")
    assert run("encode", "clear.png").exit_code == 0
    assert run("decode", "--background", "#ff0000", "clear.nic", "flat.png").exit_code == 0
    expected = [round((24 * 51 + behind * 204) / 255) for behind in (255, 0, 0)]
    assert np.array_equal(read("flat.png"), np.broadcast_to(expected, (300, 8, 3)))
    assert run("decode", "--background", "white", "clear.nic", "flat.jpg").exit_code == 0
    assert_one_error(run("decode", "--background", "whyte", "clear.nic", "x.png"), 2, "'whyte' is not a colour")


@pytest.mark.parametrize(("colour", "shape"), [("#888", (8, 8)), ("#f00", (8, 8, 3))])
def test_gray_stays_gray_before_gray(run: Run, folder: Path, colour: str, shape: tuple[int, ...]) -> None:
    Image.new("LA", (8, 8), (8, 128)).save("clear.png")
    assert run("encode", "clear.png").exit_code == 0
    assert run("decode", "--background", colour, "clear.nic", "flat.png").exit_code == 0
    assert read("flat.png").shape == shape


def test_opaque_pictures_need_no_background(run: Run, coded: Path, samples: "Samples") -> None:
    assert run("decode", "--background", "red", "photo.nic", "same.png").exit_code == 0
    assert np.array_equal(read("same.png"), samples.photo() // 16 * 16 + 8)
