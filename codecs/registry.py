"""Finds codecs by number: the entry-point group `nicodec.codecs`, for built-in and foreign codecs alike.

Codecs are loaded one at a time until the one with the number is found, the built-in ones first, so that a file costs the
import of few codecs but its own.
"""

from collections.abc import Iterable
from configparser import ConfigParser
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ..errors import ModelError
from .base import Codec

GROUP = "nicodec.codecs"

_BUILT_IN = "nicodec.codecs."
_FIRST = "l3ic"


def codec_by_number(number: int) -> Codec:
    """The codec whose number stands in a file's header.

    Raises:
        ModelError: no installed codec has that number.
    """
    for codec in _codecs():
        if codec.number == number:
            return codec
    raise ModelError(f"the file needs codec number {number}, which is not installed; update nicodec or add its plugin")


def codec_ids() -> tuple[str, ...]:
    """Ids of all usable codecs, sorted."""
    return tuple(sorted(codec.id for codec in _codecs()))


def broken_codecs() -> dict[str, str]:
    """Entry points that could not be loaded, with the reason in one line."""
    loaded = ((point.name, _load(point)) for point in _entry_points())
    return {name: found for name, found in loaded if isinstance(found, str)}


def _codecs() -> Iterable[Codec]:
    """Every usable codec, each loaded when its turn comes; a broken plugin does not break the others."""
    loaded = (_load(point) for point in _entry_points())
    return (found for found in loaded if not isinstance(found, str))


@cache
def _load(point: EntryPoint) -> Codec | str:
    """The codec, or why there is none."""
    try:
        codec = point.load()()
        if not isinstance(codec, Codec):
            raise TypeError(f"{point.value} is not a codec: it lacks parts of nicodec.codecs.base.Codec")
    except Exception as error:  # noqa: BLE001  whatever a foreign module does on import
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return codec


@cache
def _entry_points() -> tuple[EntryPoint, ...]:
    """Every entry point in the order of loading; an installed one replaces that of the same name in the checkout."""
    installed = {point.name: point for point in entry_points(group=GROUP)}
    everything = {point.name: point for point in _checkout_entry_points()} | installed
    return tuple(sorted(everything.values(), key=_turn))


def _turn(point: EntryPoint) -> tuple[bool, bool]:
    return not point.value.startswith(_BUILT_IN), point.name != _FIRST


def _checkout_entry_points() -> list[EntryPoint]:
    """The built-in codecs where the package is used from a checkout that was never installed."""
    setup = Path(__file__).parents[1] / "setup.cfg"
    if not setup.exists():
        return []
    parser = ConfigParser()
    parser.read(setup)
    lines = parser.get("options.entry_points", GROUP, fallback="").strip().splitlines()
    pairs = [[part.strip() for part in line.split("=", 1)] for line in lines]
    return [EntryPoint(name, value, GROUP) for name, value in pairs]
