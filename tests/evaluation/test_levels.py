"""Levels are measured on whole truncated files, and what follows from the measurement is right."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import nicodec
from nicodec import api, images
from nicodec.bitstream import container
from nicodec.bitstream.container import Header
from nicodec.errors import OutputError, OutputExistsError, RequestError
from nicodec.evaluation import curve_files, level_files
from nicodec.evaluation.curves import PictureScore
from nicodec.evaluation.levels import (
    Fall,
    PictureLevels,
    falls,
    level_count,
    means,
    measure_levels,
    measure_picture,
    msssim_at,
    require_levels,
)
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim
from nicodec.models import zoo
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


def made(name: str, msssims: Sequence[float], psnrs: Sequence[float | None], sizes: Sequence[int]) -> PictureLevels:
    """A picture of 64x32 pixels whose levels take so many bytes each, and files 20 bytes more."""
    header = Header(
        width=64,
        height=32,
        codec=3,
        model=1,
        model_hash=bytes(8),
        channels=32,
        stride_log2=4,
        align_log2=5,
        layers=len(sizes),
        segments=len(sizes),
    )
    files = np.cumsum(sizes) + 20
    scores = tuple(
        PictureScore(picture=name, size=int(size), bpp=8 * int(size) / 2048, psnr=decibel, msssim=similarity)
        for size, decibel, similarity in zip(files, psnrs, msssims, strict=True)
    )
    return PictureLevels(header=header, scores=scores, code_bytes=tuple(sizes))


RISING = made("rising.png", (0.5, 0.8, 0.9), (20.0, 25.0, 28.0), (8, 16, 24))
FALLING = made("falling.png", (0.7, 0.6, 0.6), (21.0, 24.0, 24.0), (24, 16, 32))


@pytest.mark.parametrize(("height", "width", "gray"), [(64, 96, False), (50, 70, False), (33, 64, True)])
def test_levels_are_those_of_truncated_files(
    tmp_path: Path, samples: "Samples", gru: Model, height: int, width: int, gray: bool
) -> None:
    array = samples.gray_photo(height, width) if gray else samples.photo(height, width)
    images.save(images.from_array(array), tmp_path / "a.png")
    found = measure_picture(gru, tmp_path / "a.png")
    picture = images.load(tmp_path / "a.png")
    data = nicodec.encode(picture, model=gru)
    assert len(found.scores) == len(found.code_bytes) == level_count(gru)
    for level, score in enumerate(found.scores):
        cut = api.truncate(data, level)
        assert (score.picture, score.size) == ("a.png", len(cut))
        assert score.bpp == 8 * len(cut) / (height * width)
        restored = nicodec.decode(data, level=level)
        assert np.array_equal(restored.pixels, nicodec.decode(cut).pixels)
        assert score.psnr == psnr(picture.pixels, restored.pixels)
        assert score.msssim == ms_ssim(picture.pixels, restored.pixels)
    segments = container.read(data).segments
    assert list(found.code_bytes) == [len(segment.payload) for segment in segments]
    positions = -(-height // 32) * 2 * -(-width // 32) * 2
    assert found.raw_bits == 32 * positions
    assert found.raw_bpp == 32 * positions / (height * width)


def test_nominal_rates_are_the_published_ones(tmp_path: Path, samples: "Samples", gru: Model) -> None:
    for name in ("a.png", "b.png"):
        images.save(images.from_array(samples.photo(64, 96)), tmp_path / name)
    found = measure_levels(gru, sorted(tmp_path.glob("*.png")))
    assert [picture.scores[0].picture for picture in found] == ["a.png", "b.png"]
    rates = [level.nominal_bpp for level in means(gru.id, found)]
    assert rates == [(level + 1) / 8 for level in range(16)]
    # Without padding there are as many codes as that.
    assert [level.raw_bpp for level in means(gru.id, found)] == rates


def test_transparency_and_metadata_are_not_measured(tmp_path: Path, samples: "Samples", gru: Model) -> None:
    pixels = samples.photo(32, 32)
    picture = replace(images.from_array(pixels, np.zeros((32, 32), np.uint8)), xmp=b"<x:xmpmeta/>")
    images.save(picture, tmp_path / "a.png")
    images.save(images.from_array(pixels), tmp_path / "b.png")
    first, second = measure_levels(gru, [tmp_path / "a.png", tmp_path / "b.png"])
    assert [score.size for score in first.scores] == [score.size for score in second.scores]


def test_models_without_levels_are_refused(gru: Model) -> None:
    model = zoo.find("l3ic-16c")
    with pytest.raises(RequestError, match="l3ic-16c has no levels"):
        level_count(model)
    require_levels(gru, [0, 15])
    with pytest.raises(RequestError, match="residual-gru has no level 16: choose from 0 to 15"):
        require_levels(gru, [0, 16])


def test_means_and_savings() -> None:
    first, second, third = means("m", [RISING, FALLING])
    assert (first.level, first.point.setting, first.nominal_bpp) == (0, "m level 0", 0.125)
    # 8 positions of 32 codes: 256 bits of each picture and level.
    assert (RISING.raw_bits, third.raw_bpp) == (256, 0.375)
    assert first.saving == first.saving_so_far == 1 - 8 * 32 / 512
    assert (second.saving, third.saving) == (1 - 8 * 32 / 512, 1 - 8 * 56 / 512)
    assert third.saving_so_far == 1 - 8 * (32 + 32 + 56) / (3 * 512)
    assert second.point.bpp == 8 * (44 + 60) / 2 / 2048
    assert second.point.psnr == 24.5
    assert second.point.msssim == pytest.approx(0.7)
    assert second.point.pictures == (RISING.scores[1], FALLING.scores[1])


def test_levels_that_are_no_better_are_found() -> None:
    assert falls([RISING]) == []
    expected = [
        Fall("falling.png", 1, "msssim", 0.7, 0.6),
        Fall("falling.png", 2, "psnr", 24.0, 24.0),
        Fall("falling.png", 2, "msssim", 0.6, 0.6),
    ]
    assert falls([RISING, FALLING]) == expected


def test_levels_without_loss_are_better_than_any_other() -> None:
    lossless = made("x.png", (0.9, 0.95, 1.0), (30.0, 40.0, None), (8, 8, 8))
    assert falls([lossless]) == []
    again = made("x.png", (0.9, 0.95, 1.0), (30.0, None, None), (8, 8, 8))
    assert falls([again]) == [Fall("x.png", 2, "psnr", None, None)]


def test_msssim_between_levels_is_on_a_line() -> None:
    found = means("m", [RISING])
    low, middle, high = (level.point.bpp for level in found)
    assert msssim_at(middle, found) == 0.8
    assert msssim_at((middle + high) / 2, found) == pytest.approx(0.85)
    assert msssim_at(low, found) == 0.5
    assert msssim_at(low - 1e-6, found) is None
    assert msssim_at(high + 1e-6, found) == 0.9


def test_tables_have_the_published_layout() -> None:
    model = replace(zoo.find("l3ic-16c"), id="m")
    texts = level_files.texts(model, "set", [RISING, FALLING])
    assert set(texts) == set(level_files.NAMES)
    for name, metric in (("bitrate.csv", "bpp"), ("msssim.csv", "msssim"), ("psnr.csv", "psnr")):
        rows = [[float(cell) for cell in row] for row in csv.reader(io.StringIO(texts[name]))]
        expected = [[getattr(score, metric) for score in picture.scores] for picture in (RISING, FALLING)]
        assert np.asarray(rows) == pytest.approx(np.asarray(expected), abs=1e-6)
    assert texts["psnr.csv"] == "20.000000,25.000000,28.000000\n21.000000,24.000000,24.000000\n"
    lossless = made("x.png", (0.9, 1.0), (30.0, None), (8, 8))
    assert level_files.texts(model, "set", [lossless])["psnr.csv"] == "30.000000,inf\n"


def test_the_summary_says_what_follows(tmp_path: Path) -> None:
    model = replace(zoo.find("l3ic-16c"), id="m")
    texts = level_files.texts(model, "set", [RISING, FALLING])
    summary = json.loads(texts["levels.json"])
    assert summary["model"] == {"id": "m", "revision": model.revision, "hash": model.hash.hex()}
    assert (summary["dataset"], summary["pictures"]) == ("set", ["rising.png", "falling.png"])
    assert summary["levels"][1] == {
        "level": 1,
        "nominal_bpp": 0.25,
        "raw_bpp": 0.25,
        "bpp": 0.203125,
        "saving": 0.5,
        "saving_so_far": 0.5,
        "psnr": 24.5,
        "msssim": 0.7,
    }
    assert summary["mean_saving"] == {
        "levels": "0-2",
        "saving": round((0.5 + 0.5 + 0.125) / 3, 6),
        "saving_so_far": round((0.5 + 0.5 + 0.375) / 3, 6),
    }
    assert [(entry["bpp"], entry["jpeg"]) for entry in summary["msssim_at"]] == [
        (0.25, 0.837),
        (0.5, 0.941),
        (1.0, 0.978),
    ]
    expected = msssim_at(0.25, means("m", [RISING, FALLING]))
    assert expected is not None
    assert summary["msssim_at"][0]["msssim"] == round(expected, 6)
    assert summary["msssim_at"][2]["msssim"] == round(means("m", [RISING, FALLING])[-1].point.msssim or 0.0, 6)
    assert summary["every_level_is_better"] is False
    assert summary["exceptions"][1] == {
        "picture": "falling.png",
        "level": 2,
        "metric": "psnr",
        "before": 24.0,
        "value": 24.0,
    }
    (tmp_path / "curve.json").write_text(texts["curve.json"])
    (curve,) = curve_files.read(tmp_path / "curve.json")
    assert (curve.name, curve.dataset) == ("m", "set")
    assert curve.points == tuple(level.point for level in means("m", [RISING, FALLING]))


def test_only_the_first_eight_levels_make_the_mean_saving() -> None:
    sizes = [16] * 8 + [32] * 4
    levels = [0.5 + 0.01 * k for k in range(12)]
    summary = level_files.summarise(
        [made("x.png", levels, levels, sizes)], means("m", [made("x", levels, levels, sizes)])
    )
    assert summary["mean_saving"] == {"levels": "0-7", "saving": 0.5, "saving_so_far": 0.5}
    assert summary["every_level_is_better"] is True
    assert summary["exceptions"] == []


def test_files_appear_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "new" / "levels"
    level_files.prepare(folder, force=False)

    class Unwritable(str):
        def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
            raise OutputError("the disk is full")

    with pytest.raises(OutputError):
        level_files.write(folder, {"bitrate.csv": "1\n", "psnr.csv": Unwritable("2\n")}, force=False)
    assert list(folder.iterdir()) == []
    level_files.write(folder, {"bitrate.csv": "1\n", "psnr.csv": "2\n"}, force=False)
    assert (folder / "psnr.csv").read_text() == "2\n"
    with pytest.raises(OutputExistsError):
        level_files.prepare(folder, force=False)
    level_files.prepare(folder, force=True)
    with pytest.raises(OutputError, match="cannot be made"):
        level_files.prepare(folder / "psnr.csv", force=True)
