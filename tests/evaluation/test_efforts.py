"""The benchmark of efforts: gains against the first, and time per pixel."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nicodec import images
from nicodec.evaluation.__main__ import main

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


@pytest.fixture
def folder(tmp_path: Path, samples: "Samples") -> Path:
    images.save(images.from_array(samples.photo(256, 192)), tmp_path / "a.png")
    return tmp_path


def test_weighing_gains_on_rounding(folder: Path) -> None:
    arguments = ["efforts", str(folder), "--effort", "1", "--effort", "5", "--quality", "20,50,80"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    rounding, weighing = map(json.loads, result.stdout.splitlines())
    assert (rounding["effort"], weighing["effort"]) == (1, 5)
    assert rounding["bd_rate_percent"] == 0
    assert -10 < weighing["bd_rate_percent"] < 0
    assert rounding["pictures"] == 1


def test_time_counts_per_megapixel(folder: Path, samples: "Samples", monkeypatch: pytest.MonkeyPatch) -> None:
    """Two pictures of 49152 pixels, two qualities, half a second for each file."""
    images.save(images.from_array(samples.photo(192, 256)), folder / "b.png")
    clock = iter(range(100))
    monkeypatch.setattr("nicodec.evaluation.efforts.time.perf_counter", lambda: 0.5 * next(clock))
    result = CliRunner().invoke(main, ["efforts", str(folder), "--effort", "1", "--quality", "20,80"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["seconds_per_megapixel"] == pytest.approx(0.5e6 / 49152, abs=0.005)


def test_one_quality_makes_no_curve(folder: Path) -> None:
    result = CliRunner().invoke(main, ["efforts", str(folder), "--effort", "1", "--quality", "20"])
    assert result.exit_code == 2
    assert "2 or more points" in result.stderr
