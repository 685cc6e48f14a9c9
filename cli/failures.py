"""How an error that can be expected reads on one line."""

import os

from ..errors import NicodecError

EXPECTED = (NicodecError, OSError, MemoryError)
"""Errors that are not a mistake in nicodec: those it raises itself, and those of the machine."""


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
