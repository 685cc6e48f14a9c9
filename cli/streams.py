"""stdin and stdout as files."""

import sys
from typing import BinaryIO

from ..errors import RequestError


def stdin() -> BinaryIO:
    """The binary standard input.

    Raises:
        RequestError: the process was started without one.
    """
    if sys.stdin is None:
        raise RequestError("stdin is closed: give an input file")
    return sys.stdin.buffer


def check_stdout() -> None:
    """Finds out, before any work is done, whether binary output would land on a terminal, or nowhere.

    Raises:
        RequestError: it would.
    """
    if sys.stdout is None:
        raise RequestError("stdout is closed: redirect it, or give an output file")
    if sys.stdout.isatty():
        raise RequestError("stdout is a terminal: redirect it, or give an output file")


def write_stdout(data: bytes) -> None:
    """Writes everything to the binary standard output."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
