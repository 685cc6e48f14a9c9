"""The log of a run: what it holds, and that a killed session leaves no rows twice."""

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from nicodec.training import log
from nicodec.training.log import RunLog


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty run folder; without TensorBoard, which is slow to start."""

    def no_board(_: Path) -> None:
        return None

    monkeypatch.setattr(log, "_board_writer", no_board)
    return tmp_path


NAMES = ("bpp", "file_bpp", "mse", "psnr", "msssim")


def rows_of(run: Path) -> list[dict[str, str]]:
    with open(run / log.LOG, newline="") as stream:
        return list(csv.DictReader(stream))


def steps_of(run: Path) -> list[tuple[str, str]]:
    return [(row["step"], row["kind"]) for row in rows_of(run)]


def test_rows_hold_the_numbers_that_there_are(run: Path) -> None:
    written = RunLog(run, 0, NAMES)
    written.add(50, "train", {"bpp": 0.5, "mse": 12.3456789, "msssim": 0.9})
    written.add(100, "valid", {"bpp": 0.4, "file_bpp": 0.6, "psnr": 30.0, "msssim": 0.95})
    assert rows_of(run) == [
        {"step": "50", "kind": "train", "bpp": "0.5", "file_bpp": "", "mse": "12.3457", "psnr": "", "msssim": "0.9"},
        {"step": "100", "kind": "valid", "bpp": "0.4", "file_bpp": "0.6", "mse": "", "psnr": "30", "msssim": "0.95"},
    ]


def test_continuing_drops_what_comes_after_the_checkpoint(run: Path) -> None:
    for step in (50, 100, 150):
        RunLog(run, step - 50, NAMES).add(step, "train", {"bpp": 1.0})
    before = (run / log.LOG).read_bytes()
    RunLog(run, 150, NAMES)
    assert (run / log.LOG).read_bytes() == before
    RunLog(run, 149, NAMES).add(120, "valid", {})
    assert steps_of(run) == [("50", "train"), ("100", "train"), ("120", "valid")]
    assert sorted(path.name for path in run.iterdir()) == [log.LOG]


def test_starting_again_from_the_first_step_begins_a_new_log(run: Path) -> None:
    RunLog(run, 0, NAMES).add(0, "valid", {"bpp": 1.0})
    RunLog(run, 0, NAMES)
    assert rows_of(run) == []


@pytest.mark.parametrize("torn", ["2", "25,train,0.5", "250,train,0.5,,12.3", "\0\0\0", "x,train,,,,,"])
def test_a_row_that_was_cut_off_is_dropped(run: Path, torn: str) -> None:
    RunLog(run, 0, NAMES).add(50, "train", {"bpp": 1.0})
    with open(run / log.LOG, "a") as stream:
        stream.write(torn)
    RunLog(run, 200, NAMES).add(250, "train", {"bpp": 0.9})
    assert steps_of(run) == [("50", "train"), ("250", "train")]


def test_a_failing_rewrite_leaves_the_old_log(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    RunLog(run, 0, NAMES).add(50, "train", {"bpp": 1.0})
    before = (run / log.LOG).read_bytes()

    def fail(*_: Any) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            RunLog(run, 10, NAMES)
    assert (run / log.LOG).read_bytes() == before
