"""Bare files of standard codecs, such as JPEGs, where `decode` takes a .nic file and a sandwich model is named."""

import os
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from ..images import Picture
    from .console import Console


def recognised(opened: str | bytes | BinaryIO, model: str | None) -> tuple[str | bytes | BinaryIO, bool]:
    """Tells whether an input is to go through the post-processor alone: a sandwich model is named, and it is no .nic file.

    Args:
        opened: path, bytes, or stdin, which is read only if the model is a sandwich.
        model: that the user named, None if none.

    Returns:
        What to read instead of the input, and whether it is such a file.

    Raises:
        ModelError: there is no such model.
    """
    if model is None:
        return opened, False
    from ..bitstream.signature import MAGIC
    from ..codecs.base import AroundStandard
    from ..codecs.registry import codec_by_number
    from ..models import zoo

    if not isinstance(codec_by_number(zoo.find(model).codec), AroundStandard):
        return opened, False
    content = _readable_twice(opened)
    return content, _start(content, len(MAGIC)) not in (b"", MAGIC)


def restore(
    source: str | bytes | BinaryIO,
    *,
    label: str,
    model: str,
    backend: str,
    threads: int | None,
    max_pixels: int | None,
    console: "Console",
) -> "Picture":
    """The picture that the model's post-processor makes of the file."""
    from .. import api
    from ..sources import naming

    with (
        console.progress("restoring", "tile") as progress,
        naming(None if isinstance(source, str) else label),
    ):
        return api.restore(
            source, model=model, max_pixels=max_pixels, backend=backend, threads=threads, progress=progress
        )


def _readable_twice(opened: str | bytes | BinaryIO) -> str | bytes:
    """A path of a regular file as it is; what a pipe holds as bytes."""
    if isinstance(opened, bytes) or (
        isinstance(opened, str) and (os.path.isfile(opened) or not os.path.exists(opened))
    ):
        return opened
    from ..sources import opened as opened_source

    with opened_source(opened) as stream:
        return stream.read()


def _start(content: str | bytes, count: int) -> bytes:
    """The first bytes; none if the file cannot be read."""
    if isinstance(content, bytes):
        return content[:count]
    try:
        with open(content, "rb") as stream:
            return stream.read(count)
    except (OSError, ValueError):
        return b""  # what is wrong is said where the whole file is read
