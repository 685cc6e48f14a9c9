"""`nicodec train` and `nicodec export`: what they pass on, and what they say where the `train` extra is missing."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from click.testing import Result

from nicodec.extras import training_packages
from nicodec.models.zoo import Model

Run = Callable[..., Result]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, model: Model) -> list[tuple[Any, ...]]:
    """Replaces the training modules; the list receives what they are called with."""
    made: list[tuple[Any, ...]] = []

    def train(*values: Any, **options: Any) -> None:
        made.append((*values, options))

    def export(*values: Any, **options: Any) -> Path:
        made.append((*values, options))
        return model.folder

    def measured(folder: Path, measurement: dict[str, Any]) -> None:
        made.append((folder, measurement))

    modules: dict[str, Any] = {
        "loop": SimpleNamespace(train=train),
        "export": SimpleNamespace(export=export, add_measurement=measured),
    }
    for name, contents in modules.items():
        module = ModuleType(f"nicodec.training.{name}")
        module.__dict__.update(vars(contents))
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return made


def test_train_passes_everything_on(run: Run, folder: Path, calls: list[tuple[Any, ...]]) -> None:
    for name in ("data", "valid", "wide"):
        Path(name).mkdir()
    result = run("train", "l3ic-16c", "--data", "data", "--out", "run", "--valid", "valid", "--start", "wide")
    assert result.exit_code == 0
    ((config, data, out, rest),) = calls
    assert (config.model, data, out) == ("l3ic-16c", Path("data"), Path("run"))
    assert rest == {"validation": Path("valid"), "start": "wide"}
    assert "nicodec export run --data data" in result.stderr


def test_a_run_may_be_shorter(run: Run, folder: Path, calls: list[tuple[Any, ...]]) -> None:
    Path("data").mkdir()
    result = run("train", "l3ic-16c", "--data", "data", "--out", "run", "--steps", "40")
    assert result.exit_code == 0
    config = calls[0][0]
    assert (config.steps, config.warmup) == (40, 4)
    assert "trained for 40 steps" in result.stderr
    assert run("train", "l3ic-16c", "--data", "data", "--out", "run", "--steps", "1").exit_code == 2


def test_train_refuses_unknown_names(run: Run, folder: Path, calls: list[tuple[Any, ...]]) -> None:
    Path("data").mkdir()
    result = run("train", "l3ic-17c", "--data", "data", "--out", "run")
    assert (result.exit_code, calls) == (2, [])
    assert "l3ic_16c" in result.stderr
    assert run("train", "l3ic-16c", "--data", "absent", "--out", "run").exit_code == 2


def test_export_prints_the_folder_and_measures(
    run: Run, folder: Path, model: Model, calls: list[tuple[Any, ...]]
) -> None:
    Path("run").mkdir()
    (folder / "photos").mkdir()
    Path("photo.png").rename("photos/photo.png")
    result = run("export", "run", "--data", "photos", "--valid", "photos", "--zoo", "zoo")
    assert (result.exit_code, result.stdout) == (0, f"{model.folder}\n")
    exported, (where, point) = calls
    assert exported == (Path("run"), Path("zoo"), {"pictures": Path("photos"), "samples": 160, "revision": None})
    assert where == model.folder
    assert (point["dataset"], point["pictures"], point["effort"]) == ("photos", 1, 1)
    assert [one["quality"] for one in point["points"]] == [0, 15, 30, 45, 60, 75, 90, 100]
    best = point["points"][-1]
    assert 49 < best["psnr"] < 52
    assert 0.99 < best["msssim"] < 1
    assert 21 < best["bpp"] < 21.2
    json.dumps(point, allow_nan=False)


@pytest.mark.parametrize(("before", "after"), [(None, "3"), ("0", "0")])
def test_tensorflow_is_quiet_unless_asked(monkeypatch: pytest.MonkeyPatch, before: str | None, after: str) -> None:
    monkeypatch.setattr(os, "environ", {} if before is None else {"TF_CPP_MIN_LOG_LEVEL": before})
    with training_packages():
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == after


@pytest.mark.parametrize("arguments", [["train", "l3ic-16c", "--out", "new"], ["export", "data"]])
def test_missing_packages_name_the_extra(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    Path("data").mkdir()
    for name in [name for name in sys.modules if name.startswith("nicodec.training.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "keras", None)
    result = run(*arguments, "--data", "data")
    assert (result.exit_code, result.stdout) == (1, "")
    (line,) = result.stderr.splitlines()
    assert "keras is not installed" in line
    assert line.endswith("pip install nicodec[train]")
