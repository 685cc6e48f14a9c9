"""Bare files of standard codecs, such as JPEGs, where `decode` takes a .nic file and a sandwich model is named."""

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
    from ..codecs.sandwich_header import NUMBER
    from ..models import zoo

    if zoo.find(model).codec != NUMBER:
        return opened, False
    content = opened if isinstance(opened, str | bytes) else opened.read()
    return content, _start(content, len(MAGIC)) not in (b"", MAGIC)


def restore(
    source: str | bytes | BinaryIO,
    *,
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
        naming(None if isinstance(source, str) else "stdin"),
    ):
        return api.restore(
            source, model=model, max_pixels=max_pixels, backend=backend, threads=threads, progress=progress
        )


def _start(content: str | bytes, count: int) -> bytes:
    """The first bytes; none if the file cannot be read."""
    if isinstance(content, bytes):
        return content[:count]
    try:
        with open(content, "rb") as stream:
            return stream.read(count)
    except (OSError, ValueError):
        return b""  # what is wrong is said where the whole file is read
