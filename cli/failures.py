"""How an error that can be expected reads: on one line of stderr, and in a record of --json."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from ..errors import NicodecError
from .console import Console

EXPECTED = (NicodecError, OSError, MemoryError)
"""Errors that are not a mistake in nicodec: those it raises itself, and those of the machine."""


@contextmanager
def recorded(console: Console, head: dict[str, Any]) -> Generator[None]:
    """Prints a record with --json if the block fails, and passes the error on.

    Args:
        console: where to print.
        head: what the record says of the work: command and inputs.
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except EXPECTED as error:
        console.record({**head, "ok": False, "error": {"type": type(error).__name__, "message": one_line(error)}})
        raise


def one_line(error: BaseException) -> str:
    """What went wrong, and where it helps, what to do, without line breaks."""
    if isinstance(error, NicodecError):
        text = str(error)
    elif isinstance(error, MemoryError):
        text = "out of memory: use a smaller picture or a larger machine"
    elif isinstance(error, OSError):
        text = _os_error(error)
    else:
        text = f"internal error ({type(error).__name__}: {error}): report it, with what NICODEC_DEBUG=1 shows"
    return " ".join(text.split())


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    return reason if error.filename is None else f"{os.fsdecode(error.filename)}: {reason}"
