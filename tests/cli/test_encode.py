"""`nicodec encode`: what is written where, what is said, and what happens when something is wrong."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from nicodec import errors, outputs
from nicodec.bitstream import container

from .conftest import assert_one_error

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Run = Callable[..., Result]

RECORD = {
    *("schema", "command", "input", "ok", "output", "model", "width", "height"),
    *("bytes", "bpp", "input_bytes", "seconds", "notes"),
    *("quality", "target", "reached", "trials", "level"),
}


def test_writes_beside_the_input_by_default(run: Run, folder: Path) -> None:
    result = run("encode", "photo.png")
    assert result.exit_code == 0
    assert sorted(os.listdir(folder)) == ["photo.nic", "photo.png", "text.png"]
    assert container.read(Path("photo.nic").read_bytes()).header.width == 96


def test_the_default_model_is_that_of_the_python_interface() -> None:
    from nicodec.api import DEFAULT_MODEL
    from nicodec.cli.encode import command

    assert next(option.default for option in command.params if option.name == "model") == DEFAULT_MODEL


def test_says_size_rate_ratio_and_time_on_stderr(run: Run, folder: Path) -> None:
    result = run("encode", "photo.png", "out.nic")
    assert result.stdout == ""
    size = os.path.getsize("out.nic")
    percent = f"{100 * size / os.path.getsize('photo.png'):.0f}%"
    assert re.fullmatch(
        rf"out\.nic  \d+\.\d+ kB  {8 * size / (96 * 64):.2f} bpp  {percent} of photo\.png  \d+\.\d\d s\n", result.stderr
    )


@pytest.mark.parametrize("flag", ["-q", "-qq", "--json"])
def test_summary_can_be_silenced(run: Run, flag: str) -> None:
    assert run("encode", flag, "photo.png").stderr == ""


def test_notes_need_two_q_to_go_away(run: Run, folder: Path) -> None:
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save("deep.png")
    note = "16 bits per channel reduced to 8 bits"
    assert run("encode", "-q", "deep.png", "a.nic").stderr == f"nicodec: deep.png: {note}\n"
    assert run("encode", "-qq", "deep.png", "b.nic").stderr == ""
    assert json.loads(run("encode", "--json", "deep.png", "c.nic").stdout)["notes"] == [note]


def test_verbose_names_the_model_in_use(run: Run) -> None:
    assert "model fake-3c in " in run("encode", "-v", "photo.png").stderr


def test_json_has_these_keys_and_true_numbers(run: Run) -> None:
    record = json.loads(run("encode", "--json", "photo.png").stdout)
    assert set(record) == RECORD
    assert (record["schema"], record["ok"], record["model"]) == (1, True, "fake-3c")
    assert record["bytes"] == os.path.getsize("photo.nic")
    assert record["bpp"] == pytest.approx(8 * record["bytes"] / (96 * 64), abs=1e-6)
    assert record["input_bytes"] == os.path.getsize("photo.png")


def test_pipes_carry_nothing_but_the_file(run: Run) -> None:
    result = run("encode", "-", "-", data=Path("photo.png").read_bytes())
    assert result.exit_code == 0
    assert container.read(result.stdout_bytes).header.height == 64
    assert result.stderr.startswith("stdout  ")
    assert run("encode", "-", data=Path("photo.png").read_bytes()).stdout_bytes == result.stdout_bytes


def test_existing_output_is_kept_unless_forced(run: Run) -> None:
    Path("out.nic").write_text("precious")
    assert_one_error(run("encode", "photo.png", "out.nic"), 1, "out.nic: exists already", "--force")
    assert Path("out.nic").read_text() == "precious"
    assert run("encode", "--force", "photo.png", "out.nic").exit_code == 0
    assert Path("out.nic").read_bytes().startswith(b"\x8fNIC")


@pytest.mark.parametrize("name", ["photo.gif", "photo.AVIF", "photo.jp2", "photo.jpe", "photo.tga"])
def test_an_image_is_never_taken_for_the_output(run: Run, name: str) -> None:
    Path(name).write_text("precious")
    assert_one_error(run("encode", "--force", "photo.png", name), 2, name, "--out-dir")
    assert Path(name).read_text() == "precious"


def test_metadata_is_kept_and_can_be_stripped(run: Run, samples: "Samples") -> None:
    Image.fromarray(samples.photo()).save(
        "meta.png", icc_profile=b"profile", exif=b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"
    )
    for arguments, icc, exif in (
        ((), True, True),
        (("--strip", "icc"), False, True),
        (("--strip", "all"), False, False),
    ):
        assert run("encode", "-f", *arguments, "meta.png").exit_code == 0
        written = container.read(Path("meta.nic").read_bytes())
        assert (written.icc is not None, written.exif is not None) == (icc, exif)


def test_settings_reach_the_codec(run: Run) -> None:
    assert run("encode", "--independent-channels", "--threads", "2", "photo.png").exit_code == 0
    assert container.read(Path("photo.nic").read_bytes()).header.segments == 3
    assert_one_error(run("encode", "--backend", "openvino", "photo.png", "x.nic"), 1, "nicodec[openvino]")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photo.png", "text.png"], "--out-dir"),
        (["photo.png", "b.nic", "c.nic"], "--out-dir"),
        (["photo.nic"], "same file"),
        (["--json", "photo.png", "-"], "stdout"),
        (["-", "--out-dir", "out"], "stdin"),
        (["photo.png", "./photo.png", "--out-dir", "out"], "would both become"),
        (["--threads", "0", "photo.png"], "--threads"),
        (["--backend", "abacus", "photo.png"], "--backend"),
        (["--strip", "pixels", "photo.png"], "--strip"),
        ([], "--help"),
    ],
)
def test_impossible_requests_end_with_code_2(run: Run, folder: Path, arguments: list[str], words: str) -> None:
    assert_one_error(run("encode", *arguments), 2, words)
    assert sorted(os.listdir(folder)) == ["photo.png", "text.png"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "no such file"),
        (".", "same file"),
        ("folder", "is a folder"),
        ("text.png", "not an image"),
        ("empty.png", "is empty"),
        ("half.png", "half.png: damaged"),
    ],
)
def test_unreadable_inputs(run: Run, folder: Path, name: str, words: str) -> None:
    Path("folder").mkdir()
    Path("empty.png").touch()
    Path("half.png").write_bytes(Path("photo.png").read_bytes()[:3000])
    assert_one_error(run("encode", name), 2 if name == "." else 1, words)
    assert not list(folder.glob("*.nic"))


def test_too_many_pixels(run: Run, folder: Path) -> None:
    assert_one_error(run("encode", "--max-pixels", "1000", "photo.png"), 1, "photo.png: ", "more than 1000 pixels")
    assert not list(folder.glob("*.nic"))


def test_unknown_model_is_said_once_before_any_work(run: Run, folder: Path) -> None:
    result = run("encode", "--model", "fake-3d", "photo.png", "text.png", "--out-dir", "out")
    assert_one_error(result, 1, "did you mean fake-3c?")


@pytest.mark.parametrize("target", ["absent/out.nic", "text.png/out.nic", "folder.d"])
def test_outputs_that_cannot_be(run: Run, folder: Path, target: str) -> None:
    Path("folder.d").mkdir()
    assert_one_error(run("encode", "photo.png", target), 1, f"{target}: cannot be written")
    assert sorted(os.listdir(folder)) == ["folder.d", "photo.png", "text.png"]


def test_read_only_folder(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert_one_error(run("encode", "photo.png"), 1, "no permission to write")
    assert sorted(os.listdir(folder)) == ["photo.png", "text.png"]


def test_full_disk(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> int:
        raise errors.OutputError("photo.nic: cannot be written: the disk is full")

    monkeypatch.setattr("nicodec.outputs._OutputFile.write", fail)
    assert_one_error(run("encode", "photo.png"), 1, "the disk is full")
    assert sorted(os.listdir(folder)) == ["photo.png", "text.png"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_full_device(run: Run) -> None:
    assert_one_error(
        run("encode", "--force", "photo.png", "/dev/full"), 1, "/dev/full: cannot be written: the disk is full"
    )


def test_several_inputs_go_on_after_a_failure(run: Run, folder: Path, samples: "Samples") -> None:
    Image.fromarray(samples.gray_photo()).save("gray.png")
    result = run("encode", "photo.png", "text.png", "gray.png", "--out-dir", "new/coded")
    assert result.exit_code == 1
    assert sorted(os.listdir("new/coded")) == ["gray.nic", "photo.nic"]
    first, failure, last = result.stderr.splitlines()
    assert failure.startswith("nicodec: error: text.png: ")
    assert (first.split()[0], last.split()[0]) == ("new/coded/photo.nic", "new/coded/gray.nic")


def test_several_inputs_in_json_are_one_line_each(run: Run) -> None:
    result = run("encode", "--json", "photo.png", "text.png", "--out-dir", "out")
    good, bad = map(json.loads, result.stdout.splitlines())
    assert set(good) == RECORD
    assert bad == {
        "schema": 1,
        "command": "encode",
        "input": "text.png",
        "ok": False,
        "error": {"type": "PictureError", "message": result.stderr.removeprefix("nicodec: error: ").rstrip()},
    }


def test_output_folder_that_is_a_file(run: Run) -> None:
    assert_one_error(run("encode", "photo.png", "--out-dir", "text.png"), 1, "text.png: cannot be made")


def test_interruption_leaves_nothing(run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(outputs, "_publish", interrupt)
    result = run("encode", "photo.png")
    assert result.exit_code == 130
    assert result.stderr.strip() == "nicodec: error: interrupted"
    assert sorted(os.listdir(folder)) == ["photo.png", "text.png"]


@pytest.mark.parametrize("size", [(1, 1), (1, 4000), (4000, 1)])
def test_extreme_shapes(run: Run, size: tuple[int, int]) -> None:
    Image.new("RGB", size, (10, 20, 30)).save("extreme.png")
    assert run("encode", "extreme.png").exit_code == 0
    assert run("decode", "extreme.nic", "back.png").exit_code == 0
    with Image.open("back.png") as image:
        assert image.size == size


@pytest.mark.parametrize("mode", ["P", "CMYK", "RGBA", "LA", "I;16"])
def test_every_kind_of_picture_comes_back(run: Run, mode: str) -> None:
    name = "kind.tif" if mode == "CMYK" else "kind.png"
    Image.new(mode, (9, 7), 3 if mode in ("P", "I;16") else None).save(name)
    assert run("encode", name).exit_code == 0
    assert run("decode", "kind.nic", "back.png").exit_code == 0
    with Image.open("back.png") as image:
        assert (image.size, "A" in image.mode) == ((9, 7), mode in ("RGBA", "LA"))


def test_orientation_is_applied_once(run: Run, samples: "Samples") -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(samples.photo()).save("turned.jpg", exif=exif)
    assert run("encode", "turned.jpg").exit_code == 0
    assert run("decode", "turned.nic", "back.jpg").exit_code == 0
    with Image.open("back.jpg") as image:
        assert image.size == (64, 96)
        assert image.getexif().get(0x0112) == 1


def test_error_classes_carry_the_exit_codes() -> None:
    assert (errors.RequestError.exit_code, errors.FormatError.exit_code) == (2, 1)
