"""`nicodec msssim` and `nicodec compare`: images and .nic files, and what cannot be compared."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import Result
from PIL import Image

from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim, ssim

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Run = Callable[..., Result]


def test_msssim_prints_just_the_number(run: Run, coded: Path, samples: "Samples") -> None:
    expected = ms_ssim(samples.photo(), samples.photo() // 16 * 16 + 8)
    assert run("msssim", "photo.png", "photo.nic").stdout == f"{expected:.6f}\n"
    assert run("msssim", "photo.png", "photo.png").stdout == "1.000000\n"


def test_msssim_in_json(run: Run, coded: Path, samples: "Samples") -> None:
    record = json.loads(run("msssim", "--json", "photo.nic", "photo.png").stdout)
    expected = ms_ssim(samples.photo(), samples.photo() // 16 * 16 + 8)
    assert record == {
        "schema": 1,
        "command": "msssim",
        "a": "photo.nic",
        "b": "photo.png",
        "ok": True,
        "msssim": pytest.approx(expected),
    }


def test_compare_measures_the_pictures_and_the_file(run: Run, coded: Path, samples: "Samples") -> None:
    record = json.loads(run("compare", "--json", "photo.png", "photo.nic").stdout)
    pair = samples.photo(), samples.photo() // 16 * 16 + 8
    size = coded.stat().st_size
    bpp = round(8 * size / (96 * 64), 6)
    assert record == {
        "schema": 1,
        "command": "compare",
        "a": {"file": "photo.png", "bytes": Path("photo.png").stat().st_size, "bpp": None, "width": 96, "height": 64},
        "b": {"file": "photo.nic", "bytes": size, "bpp": bpp, "width": 96, "height": 64},
        "ok": True,
        "psnr": pytest.approx(psnr(*pair)),
        "ssim": pytest.approx(ssim(*pair)),
        "msssim": pytest.approx(ms_ssim(*pair)),
        "bpp": bpp,
    }


def test_compare_in_text(run: Run, coded: Path) -> None:
    labels = [line.split()[0] for line in run("compare", "photo.png", "photo.nic").stdout.splitlines()]
    assert labels == ["PSNR", "SSIM", "MS-SSIM", "bpp"]
    assert "PSNR     inf dB" in run("compare", "photo.png", "photo.png").stdout


def test_equal_pictures_have_no_psnr_in_json(run: Run) -> None:
    record = json.loads(run("compare", "--json", "photo.png", "photo.png").stdout)
    assert (record["psnr"], record["ssim"], record["bpp"]) == (None, pytest.approx(1.0), None)


@pytest.mark.parametrize("name", ["photo.png", "photo.nic"])
def test_one_side_from_stdin(run: Run, coded: Path, name: str) -> None:
    expected = run("msssim", name, "photo.png").stdout
    assert run("msssim", "-", "photo.png", data=Path(name).read_bytes()).stdout == expected


def test_gray_against_rgb(run: Run, samples: "Samples") -> None:
    gray = samples.gray_photo()
    Image.fromarray(gray).save("gray.png")
    Image.fromarray(gray).convert("RGB").save("rgb.png")
    assert run("msssim", "gray.png", "rgb.png").stdout == "1.000000\n"


def test_transparency_is_said_to_be_left_out(run: Run) -> None:
    Image.new("RGBA", (16, 16), (1, 2, 3, 4)).save("clear.png")
    assert run("compare", "clear.png", "clear.png").stderr == "nicodec: transparency is not compared\n"


@pytest.mark.parametrize(
    ("b", "code", "kind", "words"),
    [
        ("text.png", 1, "PictureError", "text.png: not an image"),
        ("absent.nic", 1, "PictureError", "no such file"),
        ("cut.nic", 1, "TruncatedError", "cut.nic: "),
        ("small.png", 2, "RequestError", "96x64 and 5x6"),
    ],
)
@pytest.mark.parametrize("command", ["msssim", "compare"])
def test_failures_in_json(run: Run, coded: Path, command: str, b: str, code: int, kind: str, words: str) -> None:
    Image.new("RGB", (5, 6)).save("small.png")
    Path("cut.nic").write_bytes(coded.read_bytes()[:-9])
    result = run(command, "--json", "photo.png", b)
    assert result.exit_code == code
    (line,) = result.stderr.splitlines()
    record = json.loads(result.stdout)
    error = record.pop("error")
    names = ("photo.png", b) if command == "msssim" else ({"file": "photo.png"}, {"file": b})
    assert record == {"schema": 1, "command": command, "a": names[0], "b": names[1], "ok": False}
    assert error["type"] == kind
    assert words in error["message"]
    assert line == f"nicodec: error: {error['message']}"


@pytest.mark.parametrize("command", ["msssim", "compare"])
def test_what_cannot_be_compared(run: Run, command: str) -> None:
    Image.new("RGB", (5, 6)).save("small.png")
    for arguments, code, words in (
        (("photo.png", "small.png"), 2, "96x64 and 5x6"),
        (("-", "-"), 2, "stdin"),
        (("photo.png", "text.png"), 1, "text.png: not an image"),
        (("photo.png", "missing.nic"), 1, "missing.nic: no such file"),
        (("photo.png",), 2, "Missing argument"),
    ):
        result = run(command, *arguments)
        assert (result.exit_code, result.stdout) == (code, "")
        assert len(result.stderr.splitlines()) == 1
        assert words in result.stderr
