"""The measurements measure what they say, on pictures small enough to run in every test."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner

import nicodec
from nicodec import images
from nicodec.evaluation import rate_distortion, speed
from nicodec.evaluation.__main__ import main
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim
from nicodec.models import zoo

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

MODEL = zoo.find("l3ic-16c")


@pytest.fixture
def folder(tmp_path: Path, samples: "Samples") -> Path:
    for name, size in (("a.png", (72, 96)), ("b.png", (64, 64))):
        images.save(images.from_array(samples.photo(*size)), tmp_path / name)
    return tmp_path


def test_a_point_is_what_the_commands_give(folder: Path) -> None:
    (point, _) = rate_distortion.measure_folder(MODEL, sorted(folder.glob("*.png")))
    picture = images.load(folder / "a.png")
    coded = nicodec.encode(picture, model=MODEL)
    restored = nicodec.decode(coded)
    assert (point.picture, point.size) == ("a.png", len(coded))
    assert point.independent_size == len(nicodec.encode(picture, model=MODEL, independent_channels=True))
    assert point.bpp == 8 * len(coded) / (72 * 96)
    assert point.psnr == psnr(picture.pixels, restored.pixels)
    assert point.msssim == ms_ssim(picture.pixels, restored.pixels)


def test_the_summary_is_the_mean() -> None:
    points = [
        rate_distortion.Point("x", 75, 100, 1.0, 30.0, 0.8, 0.9),
        rate_distortion.Point("y", 50, 100, 2.0, 32.0, 0.9, 0.95),
    ]
    summary = rate_distortion.summarise("set", points)
    assert summary == {
        "dataset": "set",
        "pictures": 2,
        "bpp": 1.5,
        "psnr": 31.0,
        "ssim": 0.85,
        "msssim": 0.925,
        "context_saving": 0.375,
    }


def test_rd_prints_one_line_for_each_picture_and_model(folder: Path) -> None:
    result = CliRunner().invoke(main, ["rd", str(folder), "--model", MODEL.id, "--details"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("picture") for line in lines] == ["a.png", "b.png", None]
    assert lines[-1]["bpp"] == pytest.approx(np.mean([line["bpp"] for line in lines[:-1]]), abs=1e-4)


def test_the_test_photo_is_a_photo_like_picture() -> None:
    photo = speed.photo(200, 100)
    assert photo.shape == (100, 200, 3)
    assert np.array_equal(photo, speed.photo(200, 100))
    assert 20 < photo.std() < 80
    assert np.abs(np.diff(photo.astype(int), axis=1)).mean() < 0.4 * photo.std()


def test_shares_and_overhead_name_the_model() -> None:
    rows = [*speed.shares(MODEL, 96, 64, runs=1), *speed.overhead(MODEL)]
    assert len(rows) == 4
    assert all(label.startswith(MODEL.id) for label, _ in rows)
    assert float(rows[2][1].split("%")[0]) < 1.0


def testpeak_memory_sees_what_a_process_allocates() -> None:
    idle = speed.peak_memory([sys.executable, "-c", "pass"])
    busy = speed.peak_memory([sys.executable, "-c", "x = b'1' * 200_000_000"])
    assert 150e6 < busy - idle < 260e6
