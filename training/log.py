"""The log of a run: log.csv with one row per event, and the same numbers for TensorBoard where that is installed."""

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

LOG = "log.csv"


class RunLog:
    """Adds rows to the log of a run folder.

    A run that is killed has logged steps past its last checkpoint, which it takes again when it continues: their rows
    are dropped, so that the log reads as if nothing had happened. TensorBoard shows such steps twice.

    Args:
        run: folder of the run.
        step: the step that the run continues from; 0 begins a new log.
        names: the numbers that rows may have; they become columns after step and kind.
    """

    def __init__(self, run: Path, step: int, names: Sequence[str]) -> None:
        self._path = run / LOG
        self._names = tuple(names)
        self._board = _board_writer(run)
        header = ("step", "kind", *self._names)
        _replace(self._path, [header, *(row for row in _rows(self._path) if _is_kept(row, step, len(header)))])

    def add(self, step: int, kind: str, numbers: dict[str, float]) -> None:
        """Adds one row.

        Args:
            step: optimisation steps done.
            kind: "train" or "valid".
            numbers: values by name; columns that are missing stay empty.
        """
        row = [str(step), kind, *(f"{numbers[c]:.6g}" if c in numbers else "" for c in self._names)]
        with open(self._path, "a", newline="") as stream:
            csv.writer(stream).writerow(row)
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(f"{kind}/{name}", value, step)


def _rows(path: Path) -> list[list[str]]:
    if not path.exists():
        return []
    with open(path, newline="", errors="replace") as stream:
        return list(csv.reader(stream))


def _is_kept(row: list[str], step: int, columns: int) -> bool:
    """Whether a row is whole (the last one may be cut off) and not past the step, from which validation is repeated at 0."""
    return len(row) == columns and row[0].isdecimal() and 0 <= int(row[0]) <= step and step > 0


def _replace(path: Path, rows: Iterable[Sequence[str]]) -> None:
    partial = path.with_suffix(".partial")
    with open(partial, "w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    os.replace(partial, path)


def _board_writer(run: Path) -> Any:
    """A TensorBoard writer, or None where the package is missing."""
    try:
        from tensorboard.summary import Writer
    except ImportError:
        return None
    return Writer(str(run))
