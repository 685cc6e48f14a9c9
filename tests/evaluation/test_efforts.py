"""The benchmark of efforts: gains against the first, and time per pixel."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from nicodec import images
from nicodec.evaluation.__main__ import main
from nicodec.evaluation.bd_rate import bd_rate
from nicodec.evaluation.curves import Curve
from nicodec.evaluation.model_curves import measure_model
from nicodec.models import zoo

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


@pytest.fixture
def folder(tmp_path: Path, samples: "Samples") -> Path:
    images.save(images.from_array(samples.photo(256, 192)), tmp_path / "a.png")
    return tmp_path


def test_gains_are_those_of_the_curves(folder: Path) -> None:
    model, paths = zoo.find("shallow-two-layer"), [folder / "a.png"]
    rounding, weighing = (
        Curve(name=str(effort), points=tuple(measure_model(model, paths, (20, 50, 80), effort=effort)))
        for effort in (1, 5)
    )
    arguments = ["efforts", str(folder), "--effort", "1", "--effort", "5", "--quality", "20,50,80"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    rows = list(map(json.loads, result.stdout.splitlines()))
    assert [(row["model"], row["pictures"], row["effort"]) for row in rows] == [(model.id, 1, 1), (model.id, 1, 5)]
    assert rows[0]["bd_rate_percent"] == 0
    assert rows[1]["bd_rate_percent"] == pytest.approx(bd_rate(rounding, weighing).percent, abs=0.006)
    assert rows[1]["bd_rate_percent"] != 0


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
