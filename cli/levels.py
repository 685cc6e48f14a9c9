"""`nicodec decode` of all levels of a file at once, or of each as it arrives."""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import options
from .console import Console
from .paths import STREAM, label

if TYPE_CHECKING:
    from collections.abc import Callable
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
        from ..sources import naming

        start = time.perf_counter()
        opened = self.open_source(source)
        self._make_folder()
        with self.console.progress("decoding", "level") as progress, naming("stdin" if source == STREAM else None):
            pictures = decode_levels(
                opened,
                backend=self.backend,
                threads=self.threads,
                limits=options.limits(self.max_pixels),
                progress=progress,
            )
            written = [self._write(source, level, picture, f"image_{level:02d}") for level, picture in pictures]
        self.console.summary(f"{self.folder}  {len(written)} levels  {time.perf_counter() - start:.2f} s")
        return self._record(written, start)

    def write_arriving(self, source: str) -> dict[str, Any]:
        """Replaces one image at every level that arrives; returns the record for --json."""
        from ..api import decode_arriving
        from ..sources import naming

        start = time.perf_counter()
        opened = self.open_source(source)
        self._make_folder()
        written: list[dict[str, Any]] = []
        with naming("stdin" if source == STREAM else None):
            for level, picture in decode_arriving(
                opened,
                backend=self.backend,
                threads=self.threads,
                limits=options.limits(self.max_pixels),
            ):
                # The first level says whether a file of that name may be replaced, the others replace their own.
                written.append(self._write(source, level, picture, PREVIEW, force=bool(written) or self.force))
                seconds = time.perf_counter() - start
                self.console.summary(f"{written[-1]['output']}  level {level}  {seconds:.2f} s")
        if not written:
            from ..errors import TruncatedError

            raise TruncatedError(f"{label(source)}: the data ends before the first level: get the file again")
        return self._record(written, start)

    def _write(
        self, source: str, level: int, picture: "Picture", name: str, force: bool | None = None
    ) -> dict[str, Any]:
        from ..images import save

        target = os.path.join(self.folder, name + self.suffix)
        lost = save(picture, target, force=self.force if force is None else force)
        for note in (*picture.notes, *lost) if level == 0 else ():
            self.console.note(f"{label(source)}: {note}")
        return {"level": level, "output": target, "width": picture.width, "height": picture.height}

    def _make_folder(self) -> None:
        from ..errors import OutputError

        try:
            os.makedirs(self.folder, exist_ok=True)
        except (OSError, ValueError) as error:
            raise OutputError(f"{self.folder}: cannot be made ({error}): give another folder") from error

    def _record(self, written: list[dict[str, Any]], start: float) -> dict[str, Any]:
        return {"output": self.folder, "levels": written, "seconds": round(time.perf_counter() - start, 4)}
