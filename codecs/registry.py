"""Finds codecs by number: the entry-point group `nicodec.codecs`, for built-in and foreign codecs alike."""

from configparser import ConfigParser
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from ..errors import ModelError
from .base import Codec

GROUP = "nicodec.codecs"


def codec_by_number(number: int) -> Codec:
    """The codec whose number stands in a file's header.

    Raises:
        ModelError: no installed codec has that number.
    """
    for codec in _codecs().values():
        if codec.number == number:
            return codec
    raise ModelError(f"the file needs codec number {number}, which is not installed; update nicodec or add its plugin")


def codec_ids() -> tuple[str, ...]:
    """Ids of all usable codecs, sorted."""
    return tuple(sorted(codec.id for codec in _codecs().values()))


def broken_codecs() -> dict[str, str]:
    """Entry points that could not be loaded, with the reason in one line."""
    _codecs()
    return dict(_BROKEN)


_BROKEN: dict[str, str] = {}


@cache
def _codecs() -> dict[str, Codec]:
    """Every loadable codec by entry-point name; a broken plugin does not break the others."""
    found: dict[str, Codec] = {}
    for point in _entry_points():
        try:
            found[point.name] = _load(point)
        except Exception as error:  # noqa: BLE001  whatever a foreign module does on import
            _BROKEN[point.name] = f"{type(error).__name__}: {error}".splitlines()[0]
    return found


def _load(point: EntryPoint) -> Codec:
    codec = point.load()()
    if not isinstance(codec, Codec):
        raise TypeError(f"{point.value} is not a codec: it lacks parts of nicodec.codecs.base.Codec")
    return codec


def _entry_points() -> list[EntryPoint]:
    installed = list(entry_points(group=GROUP))
    names = {point.name for point in installed}
    return installed + [point for point in _checkout_entry_points() if point.name not in names]


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
