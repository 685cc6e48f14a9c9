"""Opens what may be an image or a .nic file."""

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..bitstream.signature import MAGIC
from ..errors import RequestError
from ..sources import naming, opened
from . import options, streams
from .console import Console
from .paths import STREAM, label

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..images import Picture


@dataclass(frozen=True)
class Opened:
    """A picture and what its file was.

    Attributes:
        name: the file's name.
        picture: the picture, decoded if need be.
        size: bytes of the file.
        is_nic: whether it is a .nic file.
    """

    name: str
    picture: "Picture"
    size: int
    is_nic: bool

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel."""
        return 8 * self.size / (self.picture.width * self.picture.height)


@dataclass(frozen=True)
class Opener:
    """Opens files with the settings of one command."""

    backend: str
    threads: int | None
    max_pixels: int | None
    console: Console

    def pair(self, a: str, b: str) -> tuple[Opened, Opened]:
        """Opens two files, of which one may be stdin.

        Raises:
            RequestError: both are stdin.
            NicodecError: one cannot be read or decoded.
        """
        if a == b == STREAM:
            raise RequestError("both pictures cannot come from stdin: give a file for one")
        return self._open(a), self._open(b)

    def _open(self, path: str) -> Opened:
        with opened(streams.stdin() if path == STREAM else path) as file:
            start = file.read(len(MAGIC))
            source = path if path != STREAM and file.seekable() else start + file.read()
        is_nic = start == MAGIC
        picture = self._decode(source, label(path)) if is_nic else self._load(source)
        for note in picture.notes:
            self.console.note(f"{label(path)}: {note}")
        return Opened(path, picture, len(source) if isinstance(source, bytes) else os.path.getsize(source), is_nic)

    def _decode(self, source: str | bytes, name: str) -> "Picture":
        from ..api import decode

        with naming(None if isinstance(source, str) else name):
            return decode(source, backend=self.backend, threads=self.threads, limits=options.limits(self.max_pixels))

    def _load(self, source: str | bytes) -> "Picture":
        from ..images import MAX_PIXELS, load

        return load(source, max_pixels=self.max_pixels or MAX_PIXELS)


def comparable(a: "Picture", b: "Picture") -> "tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]":
    """The pixels of two pictures of one size, without transparency, gray repeated to RGB if only one is gray.

    Returns:
        Two uint8 arrays (H, W, C) of the same shape.

    Raises:
        RequestError: the sizes differ.
    """
    import numpy as np

    if (a.width, a.height) != (b.width, b.height):
        sizes = f"{a.width}x{a.height} and {b.width}x{b.height}"
        raise RequestError(f"pictures of {sizes} cannot be compared: crop or resize one")
    if a.is_gray == b.is_gray:
        return a.pixels, b.pixels
    shape = (a.height, a.width, 3)
    return np.broadcast_to(a.pixels, shape), np.broadcast_to(b.pixels, shape)
