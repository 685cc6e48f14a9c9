"""Rate and distortion are those of the commands, on pictures small enough to run in every test."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner

import nicodec
from nicodec import images
from nicodec.codecs.base import EncodeSettings
from nicodec.evaluation import rate_distortion
from nicodec.evaluation.__main__ import main
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim
from nicodec.models import zoo
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

WITHOUT_CONTEXT: dict[str, dict[str, Any]] = {
    "l3ic-16c": {"independent_channels": True},
    "shallow-two-layer": {"fast_decode": True},
}


@pytest.fixture
def folder(tmp_path: Path, samples: "Samples") -> Path:
    for name, size in (("a.png", (72, 96)), ("b.png", (64, 64))):
        images.save(images.from_array(samples.photo(*size)), tmp_path / name)
    return tmp_path


def paths(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


@pytest.mark.parametrize("settings", [{}, {"quality": 40, "effort": 1}])
def test_a_point_is_what_the_commands_give(folder: Path, model: Model, settings: dict[str, Any]) -> None:
    (point, _) = rate_distortion.measure_folder(model, paths(folder), EncodeSettings(**settings))
    picture = images.load(folder / "a.png")
    coded = nicodec.encode(picture, model=model, **settings)
    restored = nicodec.decode(coded)
    assert (point.picture, point.size) == ("a.png", len(coded))
    other = nicodec.encode(picture, model=model, **settings, **WITHOUT_CONTEXT[model.id])
    assert point.size_without_context == len(other)
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


def test_cards_of_a_family_on_one_scale_hold_the_model_as_it_is(folder: Path) -> None:
    model = zoo.find("l3ic-16c")
    expected = rate_distortion.summarise("set", rate_distortion.measure_folder(model, paths(folder)))
    assert rate_distortion.measure_for_card(model, "set", paths(folder)) == expected


@pytest.mark.train
def test_cards_of_variable_rate_hold_a_curve(
    folder: Path, small_shallow: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_distortion, "CARD_QUALITIES", (10, 45, 80))
    measured = rate_distortion.measure_for_card(small_shallow, "set", paths(folder))
    assert {name: measured[name] for name in ("dataset", "pictures", "effort")} == {
        "dataset": "set",
        "pictures": 2,
        "effort": 1,
    }
    savings: list[float] = []
    for quality, point in zip((10, 45, 80), measured["points"], strict=True):
        found = rate_distortion.measure_folder(small_shallow, paths(folder), EncodeSettings(quality=quality, effort=1))
        expected = rate_distortion.summarise("set", found)
        assert point == {"quality": quality, **{name: expected[name] for name in ("bpp", "psnr", "ssim", "msssim")}}
        savings.append(expected["context_saving"])
    assert measured["context_saving"] == pytest.approx(np.mean(savings), abs=1e-4)
    assert all(np.diff([point["psnr"] for point in measured["points"]]) > 0)
    json.dumps(measured, allow_nan=False)


def test_rd_prints_one_line_for_each_picture_and_model(folder: Path, model: Model) -> None:
    settings = ("--quality", "40", "--effort", "1")
    result = CliRunner().invoke(main, ["rd", str(folder), "--model", model.id, *settings, "--details"])
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [line.get("picture") for line in lines] == ["a.png", "b.png", None]
    assert all((line["model"], line["quality"], line["effort"]) == (model.id, 40, 1) for line in lines)
    coded = nicodec.encode(folder / "a.png", model=model, quality=40, effort=1)
    assert lines[0]["size"] == len(coded)
    assert lines[-1]["bpp"] == pytest.approx(np.mean([line["bpp"] for line in lines[:-1]]), abs=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model", "l3ic-16c", "--quality", "nan"], "quality nan does not exist"),
        (["--model", "l3ic-17c"], "no model 'l3ic-17c' is installed"),
        ([], "has no PNG files"),
    ],
)
def test_rd_refuses_in_one_line(folder: Path, arguments: list[str], words: str) -> None:
    if not arguments:
        folder = folder / "empty"
        folder.mkdir()
    result = CliRunner().invoke(main, ["rd", str(folder), *arguments])
    assert result.exit_code != 0
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ")
    assert words in line
