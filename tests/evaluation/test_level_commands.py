"""The commands around levels: what they print, write and refuse."""

import csv
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result

import nicodec
from nicodec import api, images
from nicodec.evaluation import curve_files, level_commands, level_files, level_speed, strip
from nicodec.evaluation.__main__ import main
from nicodec.evaluation.level_speed import LevelTimes
from nicodec.evaluation.levels import Fall, means, measure_levels
from nicodec.metrics.ssim import ms_ssim
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


@pytest.fixture
def folder(tmp_path: Path, samples: "Samples") -> Path:
    pictures = tmp_path / "set"
    pictures.mkdir()
    for name, size in (("b.png", (64, 64)), ("a.png", (50, 70))):
        images.save(images.from_array(samples.photo(*size)), pictures / name)
    return pictures


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def table(path: Path) -> list[list[float]]:
    with path.open(newline="") as file:
        return [[float(cell) for cell in row] for row in csv.reader(file)]


def test_levels_writes_the_tables_of_whole_files(folder: Path, tmp_path: Path, gru: Model) -> None:
    out = tmp_path / "out"
    result = run("levels", folder, "--model", gru.id, "--out", out)
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in out.iterdir()) == sorted(level_files.NAMES)
    rates, similarities = table(out / "bitrate.csv"), table(out / "msssim.csv")
    assert np.shape(rates) == np.shape(similarities) == np.shape(table(out / "psnr.csv")) == (2, 16)
    for row, name in enumerate(("a.png", "b.png")):
        picture = images.load(folder / name)
        data = nicodec.encode(picture, model=gru)
        for level in (0, 7, 15):
            whole = 8 * len(api.truncate(data, level)) / (picture.width * picture.height)
            assert rates[row][level] == pytest.approx(round(whole, 6), abs=1e-9)
            restored = nicodec.decode(data, level=level)
            assert similarities[row][level] == pytest.approx(ms_ssim(picture.pixels, restored.pixels), abs=5e-7)


def test_levels_writes_a_curve_and_prints_the_means(folder: Path, tmp_path: Path, gru: Model) -> None:
    out = tmp_path / "out"
    result = run("levels", folder, "--out", out)
    measured = measure_levels(gru, sorted(folder.glob("*.png")))
    found = means(gru.id, measured)
    (curve,) = curve_files.read(out / "curve.json")
    assert (curve.name, curve.dataset) == (gru.id, "set")
    assert curve.points == tuple(level.point for level in found)
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["level", "nominal", "bpp", "bpp", "saved", "so", "far", "PSNR", "MS-SSIM"]
    for line, level in zip(lines[1:17], found, strict=True):
        assert line.split() == [
            str(level.level),
            f"{(level.level + 1) / 8:.3f}",
            f"{level.point.bpp:.4f}",
            f"{level.saving:.1%}",
            f"{level.saving_so_far:.1%}",
            f"{level.point.psnr:.2f}",
            f"{level.point.msssim:.4f}",
        ]
    assert [line.split(" bpp")[0] for line in lines[17:20]] == [f"MS-SSIM at {bpp}" for bpp in ("0.25", "0.50", "1.00")]
    summary = json.loads((out / "levels.json").read_text())
    assert (lines[20] == "PSNR and MS-SSIM rise with every level of every picture.") is summary["every_level_is_better"]


def test_levels_that_are_no_better_are_named() -> None:
    worse = [Fall("a.png", 3, "psnr", None, 30.0), Fall("a.png", 4, "msssim", 0.9, 0.85)]
    lines = ["a.png level 3: PSNR is 30.00000 after inf", "a.png level 4: MS-SSIM is 0.85000 after 0.90000"]
    assert level_commands.exception_lines(worse) == lines
    many = level_commands.exception_lines(worse * 6)
    assert many == [*lines * 5, "and 2 more that are no better than the level before: see levels.json"]


def test_levels_keeps_what_is_there(folder: Path, tmp_path: Path, gru: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "psnr.csv").write_text("mine")
    # That is said before anything is measured.
    with monkeypatch.context() as patch:
        patch.setattr(level_commands, "measure_levels", None)
        result = run("levels", folder, "--out", out)
    assert (result.exit_code, result.stderr.splitlines()) == (
        1,
        [f"error: {out / 'psnr.csv'}: exists already: use --force to replace it"],
    )
    assert (out / "psnr.csv").read_text() == "mine"
    assert run("levels", folder, "--out", out, "--force").exit_code == 0
    assert len(table(out / "psnr.csv")) == 2


def test_levels_needs_a_progressive_model(folder: Path, tmp_path: Path) -> None:
    result = run("levels", folder, "--model", "l3ic-16c", "--out", tmp_path / "out")
    assert (result.exit_code, result.stderr) == (2, "error: l3ic-16c has no levels: choose a progressive model\n")
    assert not (tmp_path / "out").exists()


def test_strip_draws_the_levels(folder: Path, tmp_path: Path, gru: Model) -> None:
    out = tmp_path / "strip.png"
    arguments = ("strip", folder / "b.png", "--levels", "4,0", "--crop", "32x40+16+8", "--out", out)
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    picture = images.load(folder / "b.png")
    expected = strip.draw(strip.panels(picture, gru, (0, 4), strip.Crop(32, 40, 16, 8)))
    assert np.array_equal(images.load(out).pixels, expected)
    again = run(*arguments)
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert run(*arguments, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--crop", "64x64+1+0"], "is not within 64x64 pixels"),
        (["--crop", "64"], "is not a detail"),
        (["--levels", "3,16"], "has no level 16: choose from 0 to 15"),
        (["--levels", "3,x"], "is not a list of levels"),
        (["--levels", ""], "is not a list of levels"),
        (["--out", "strip.xyz"], "cannot tell the image format"),
        (["--model", "l3ic-16c"], "l3ic-16c has no levels"),
    ],
)
def test_strip_refuses(folder: Path, tmp_path: Path, gru: Model, arguments: list[str], words: str) -> None:
    result = run("strip", folder / "b.png", "--out", tmp_path / "strip.png", *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert not (tmp_path / "strip.png").exists()


def test_level_speed_prints_a_table_or_json(gru: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []

    def measure(model: Model, levels: tuple[int, ...], threads: int, runs: int) -> list[LevelTimes]:
        calls.append((model.id, levels, threads, runs))
        return [LevelTimes(level, 0.5, 3.0, 1.0, 0.25, 1.5, 0.8) for level in levels]

    monkeypatch.setattr(level_speed, "measure", measure)
    head, columns, *rows = run("level-speed", "--levels", "0,15", "--threads", "1").stdout.splitlines()
    assert re.match(rf"{gru.id} 768x512, threads: 1,", head)
    assert [row.split() for row in rows] == [
        [level, "0.5000", "3.000", "2.00", "1.000", "1.25", "0.250"] for level in ("0", "15")
    ]
    assert all(len(row) == len(columns) for row in rows)
    lines = run("level-speed", "--json", "--runs", "2").stdout.splitlines()
    assert calls == [(gru.id, (0, 15), 1, 3), (gru.id, (0, 1, 3, 7, 15), 2, 2)]
    assert [json.loads(line)["level"] for line in lines] == [0, 1, 3, 7, 15]
    assert json.loads(lines[0]) == {
        "model": gru.id,
        "revision": gru.revision,
        "width": 768,
        "height": 512,
        "threads": 2,
        "runs": 2,
        "level": 0,
        "bpp": 0.5,
        "encode": 3.0,
        "decode": 1.0,
        "entropy": 0.25,
        "encode_product": 1.5,
        "decode_product": 0.8,
    }
