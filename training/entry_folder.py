"""Makes the folder of a zoo entry, whole or not at all."""

import json
import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..models import zoo


@contextmanager
def new_entry(target: Path | None, model: str, revision: int | None = None) -> Generator[tuple[Path, Path]]:
    """A folder to write an entry into; when the block ends without an error, it takes its place in the zoo.

    Args:
        target: zoo folder, None for the one inside the package.
        model: id of the model.
        revision: number to write, replacing an entry of that number; None for the next free one.

    Yields:
        The folder to write into, existing and empty, and the one that it becomes.
    """
    shelf = (target or zoo.search_path()[-1]) / model
    taken = [int(path.name) for path in shelf.glob("*") if path.name.isdigit()]
    folder = shelf / str(revision or max(taken, default=0) + 1)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial, folder
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(partial, folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        # Only empty if there is no other revision.
        with suppress(OSError):
            shelf.rmdir()
        raise


def write_card(folder: Path, card: dict[str, Any]) -> None:
    """Writes the card of the entry in a folder."""
    (folder / zoo.CARD).write_text(json.dumps(card, indent=2) + "\n")
