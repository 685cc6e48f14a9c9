"""`nicodec decode` of all levels of a file at once, or of each as it arrives."""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import options
from .console import Console
from .paths import STREAM, label, make_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import BinaryIO

    from ..images import Picture

PREVIEW = "preview"
"""Name of the file that is replaced by every level that arrives."""


@dataclass(frozen=True)
class LevelWriter:
    """Writes the levels of one file into a folder.

    Attributes:
        folder: which; it is made if it is not there.
        suffix: of the images.
        open_source: makes of an input what `api.decode` takes.
        backend: see `models.runtime`.
        threads: see `models.runtime`.
        max_pixels: limit for the picture, None for the format's own.
        force: whether images that exist may be replaced.
        console: where to report.
    """

    folder: str
    suffix: str
    open_source: "Callable[[str], str | bytes | BinaryIO]"
    backend: str
    threads: int | None
    max_pixels: int | None
    force: bool
    console: Console

    def write_all(self, source: str) -> dict[str, Any]:
        """Writes image_00, image_01 and so on; returns the record for --json."""
        from ..api import decode_levels
        from ..codecs.level_header import LEVELS

        start = time.perf_counter()
        self._check_targets(f"image_{level:02d}" for level in range(LEVELS))
        opened = self.open_source(source)
        with self.console.progress("decoding", "level") as progress:
            pictures = decode_levels(
                opened,
                backend=self.backend,
                threads=self.threads,
                limits=options.limits(self.max_pixels),
                progress=progress,
            )
            named = _named(pictures, source)
            written = [self._write(source, level, picture, f"image_{level:02d}") for level, picture in named]
        self.console.summary(f"{self.folder}  {len(written)} levels  {time.perf_counter() - start:.2f} s")
        return self._record(written, start)

    def write_arriving(self, source: str) -> dict[str, Any]:
        """Replaces one image at every level that arrives; returns the record for --json."""
        from ..api import decode_arriving
        from ..errors import TruncatedError

        start = time.perf_counter()
        self._check_targets([PREVIEW])
        opened = self.open_source(source)
        pictures = decode_arriving(
            opened, backend=self.backend, threads=self.threads, limits=options.limits(self.max_pixels)
        )
        written: dict[int, dict[str, Any]] = {}
        try:
            for level, picture in _named(pictures, source):
                # The first level finds out whether a file of that name may be replaced, the others replace their own.
                written[level] = self._write(source, level, picture, PREVIEW, force=bool(written) or self.force)
                seconds = time.perf_counter() - start
                self.console.summary(f"{written[level]['output']}  level {level}  {seconds:.2f} s")
        except TruncatedError as error:
            if not written:
                raise
            self.console.note(str(error))
        return self._record(list(written.values()), start)

    def _write(
        self, source: str, level: int, picture: "Picture", name: str, force: bool | None = None
    ) -> dict[str, Any]:
        from ..images import save

        make_folder(self.folder)
        target = os.path.join(self.folder, name + self.suffix)
        lost = save(picture, target, force=self.force if force is None else force)
        for note in (*picture.notes, *lost) if level == 0 else ():
            self.console.note(f"{label(source)}: {note}")
        return {"level": level, "output": target, "width": picture.width, "height": picture.height}

    def _check_targets(self, names: "Iterable[str]") -> None:
        """Finds out, before any work is done, what could not be written."""
        from ..outputs import check_target

        if os.path.isdir(self.folder):
            for name in names:
                check_target(os.path.join(self.folder, name + self.suffix), force=self.force)

    def _record(self, written: list[dict[str, Any]], start: float) -> dict[str, Any]:
        return {"output": self.folder, "levels": written, "seconds": round(time.perf_counter() - start, 4)}


def _named(pictures: "Iterator[tuple[int, Picture]]", source: str) -> "Iterator[tuple[int, Picture]]":
    """The same pictures; errors on the way to them say so if the source is stdin."""
    from ..sources import naming

    while True:
        with naming("stdin" if source == STREAM else None):
            found = next(pictures, None)
        if found is None:
            return
        yield found
