"""Curves as the commands name them: by the file they are in, or by the name of a published one."""

import difflib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import RequestError
from . import curve_files
from .curves import Curve
from .published import published_curves


def select(names: Sequence[str], references: Iterable[Path] = ()) -> list[list[Curve]]:
    """The curves that each name means; curves of equal names get those of their files in front.

    Args:
        names: each a curve file, which stands for all curves in it, or the name of one curve of `references` or of
            `published.published_curves`.
        references: curve files, or collections of published curves.

    Raises:
        RequestError: a name is neither, or a file cannot be read.
    """
    known = {curve.name: curve for curve in published_curves()}
    for path in references:
        known |= {curve.name: curve for curve in curve_files.read(path)}
    found = [_find(name, known) for name in names]
    counts = Counter(curve.name for curves in found for curve in curves)
    prefixes = _prefixes([name for name in names if name not in known])
    return [
        [_renamed(curve, prefixes.get(name)) if counts[curve.name] > 1 else curve for curve in curves]
        for name, curves in zip(names, found, strict=True)
    ]


def _find(name: str, known: dict[str, Curve]) -> list[Curve]:
    if name in known:
        return [known[name]]
    if Path(name).exists() or name.endswith(".json"):
        return curve_files.read(Path(name))
    raise RequestError(f"{name!r} is neither a file nor a curve that is known: {_advice(name, list(known))}")


def _prefixes(files: Sequence[str]) -> dict[str, str]:
    """A short name for each file, as far as that tells them apart."""
    stems = Counter(Path(file).stem for file in dict.fromkeys(files))
    return {file: Path(file).stem if stems[Path(file).stem] == 1 else file for file in files}


def _renamed(curve: Curve, prefix: str | None) -> Curve:
    return curve if prefix is None else replace(curve, name=f"{prefix}:{curve.name}")


def _advice(name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"give a file, or one of {', '.join(known[:8])}{' ...' if len(known) > 8 else ''}"
