"""What a command says: results on stdout, everything else on stderr, and how loud it is."""

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from tqdm import tqdm

JSON_SCHEMA = 1
"""Number in every JSON object that is printed; it rises when a key changes its meaning or goes."""

_UNITS = ("B", "kB", "MB", "GB", "TB")


class Console:
    """One command's voice.

    Args:
        verbosity: 0 by default; each -v adds one, each -q takes one off. Summaries need 0, notes about what was
            converted -1, details 1. Errors are always said.
        as_json: whether results are JSON objects, one per line, instead of text.
    """

    def __init__(self, verbosity: int = 0, as_json: bool = False) -> None:
        self.verbosity = verbosity
        self.as_json = as_json
        self._bar: tqdm[Any] | None = None

    def result(self, text: str) -> None:
        """Prints a result for people on stdout; silent with --json."""
        if not self.as_json:
            self._say(text, sys.stdout)

    def record(self, values: dict[str, Any]) -> None:
        """Prints one JSON object on stdout; silent without --json."""
        if self.as_json:
            self._say(json.dumps({"schema": JSON_SCHEMA, **values}, allow_nan=False), sys.stdout)

    def summary(self, text: str) -> None:
        """Says on stderr what was done."""
        if self.verbosity >= 0 and not self.as_json:
            self._say(text, sys.stderr)

    def note(self, text: str) -> None:
        """Says on stderr what was converted or left out."""
        if self.verbosity >= -1:
            self._say(f"nicodec: {text}", sys.stderr)

    def detail(self, text: str) -> None:
        """Says on stderr what only the curious want to know."""
        if self.verbosity >= 1:
            self._say(f"nicodec: {text}", sys.stderr)

    def error(self, text: str) -> None:
        """Says on stderr what went wrong."""
        self._say(f"nicodec: error: {text}", sys.stderr)

    @contextmanager
    def progress(self, label: str, unit: str) -> Generator[Callable[[int, int], None]]:
        """Shows a bar on stderr while the block runs, if that is a terminal and there are two or more parts.

        Yields:
            A function to call with the numbers of finished parts and of all parts; another number of all begins anew.
            Within another bar it shows nothing.
        """
        outer = self._bar
        try:
            yield lambda done, total: self._advance(done, total, label, unit) if outer is None else None
        finally:
            if outer is None and self._bar is not None:
                self._bar.close()
                self._bar = None

    def _advance(self, done: int, total: int, label: str, unit: str) -> None:
        if total < 2 or self.verbosity < 0 or not sys.stderr.isatty():
            return
        if self._bar is None:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc=label, unit=unit, leave=False, file=sys.stderr)
        if total != self._bar.total:
            self._bar.reset(total)
        self._bar.update(done - self._bar.n)

    def _say(self, text: str, stream: TextIO) -> None:
        if self._bar is None:
            click.echo(text, file=stream)
        else:
            self._bar.write(text, file=stream)


def human_size(size: int) -> str:
    """A number of bytes with three significant digits.

    >>> [human_size(n) for n in (0, 999, 1000, 41234, 999_999, 123_456_789)]
    ['0 B', '999 B', '1.00 kB', '41.2 kB', '1.00 MB', '123 MB']
    """
    if size < 1000:
        return f"{size} B"
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    decimals = 2 if value < 9.995 else 1 if value < 99.95 else 0
    return f"{value:.{decimals}f} {_UNITS[unit]}"
