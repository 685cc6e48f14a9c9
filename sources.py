"""Where .nic data comes from: a path, bytes or a binary file; and errors that say which of several it was."""

import io
import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import BinaryIO

from .errors import NicodecError, PictureError

Source = str | os.PathLike[str] | bytes | BinaryIO
"""Path, whole content, or binary file open for reading (it need not be seekable)."""


@contextmanager
def opened(source: Source) -> Generator[BinaryIO]:
    """Opens .nic data for reading; errors of nicodec that leave the block begin with the path, if there is one.

    Yields:
        A binary stream at the start of the data. A file that the caller opened stays open.

    Raises:
        PictureError: there is no file at the path, or it cannot be read.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        with _open(name) as file, naming(name):
            yield file
    else:
        yield source


@contextmanager
def naming(name: str | None) -> Generator[None]:
    """Puts the name of a file in front of the message of every error of nicodec that leaves the block."""
    try:
        yield
    except NicodecError as error:
        if name is not None:
            error.args = (f"{name}: {error}",)
        raise


def path_of(source: object) -> str | None:
    """The path as text, or None for a source that has none."""
    return os.fspath(source) if isinstance(source, (str, os.PathLike)) else None


def _open(name: str) -> BinaryIO:
    try:
        return open(name, "rb")
    except FileNotFoundError as error:
        raise PictureError(f"{name}: no such file: check the path") from error
    except IsADirectoryError as error:
        raise PictureError(f"{name}: is a folder: give a file") from error
    except PermissionError as error:
        raise PictureError(f"{name}: no permission to read it: change its permissions or use a copy") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{name!r}: cannot be read ({error}): check the path") from error
