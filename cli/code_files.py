"""Code files of the original residual GRU, wherever a command takes a .nic file."""

import os
from typing import TYPE_CHECKING, BinaryIO

from . import streams
from .options import limits
from .paths import STREAM, label

if TYPE_CHECKING:
    from .console import Console

SUFFIX = ".npz"
DEFAULT_MODEL = "residual-gru"


def nic_source(
    source: str, *, model: str, codes_npz: bool, max_pixels: int | None, console: "Console"
) -> "str | bytes | BinaryIO":
    """What `api.decode` takes: the input itself, or the .nic file of a code file.

    Args:
        source: path or `STREAM`.
        model: that made the codes of a code file.
        codes_npz: whether the input is a code file in any case; otherwise only if it is named like one.
        max_pixels: limit for the picture.
        console: where to say that the picture keeps its padding.
    """
    opened: str | bytes | BinaryIO = source
    is_codes = codes_npz or os.path.splitext(source)[1].lower() == SUFFIX
    if source == STREAM:
        opened = streams.stdin().read() if is_codes else streams.stdin()
    if not is_codes:
        return opened
    from ..api import from_code_file
    from ..sources import naming

    with naming("stdin" if source == STREAM else None):
        data = from_code_file(opened, model=model, limits=limits(max_pixels))
    console.note(
        f"{label(source)}: a code file names no model and no picture size: decoded with {model}, padding stays"
    )
    return data
