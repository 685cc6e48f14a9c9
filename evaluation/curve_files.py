"""Curves as JSON files.

Ours hold everything that was measured:

    {"schema": 1, "curves": [{"name": "jpeg", "dataset": "kodak", "source": "...", "points": [
        {"bpp": 0.5, "psnr": 29.0, "msssim": 0.94, "setting": "quality 20", "pictures": [
            {"picture": "kodim01.png", "size": 31234, "bpp": 0.63, "psnr": 27.5, "msssim": 0.94}]}]}]}

Collections of published curves are read as well; there, a curve is a name and its points, and other keys are ignored:

    {"jpeg": [{"bpp": 0.5, "psnr": 29.0, "msssim": 0.94}]}
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import RequestError
from .curves import Curve, CurvePoint, PictureScore

SCHEMA = 1
"""Rises when a key changes its meaning or goes."""


def to_json(curves: Iterable[Curve]) -> str:
    """The text of a curve file; the same curves always give the same text."""
    return (
        json.dumps({"schema": SCHEMA, "curves": [asdict(curve) for curve in curves]}, indent=1, allow_nan=False) + "\n"
    )


def read(path: Path) -> list[Curve]:
    """Reads a curve file or a collection of published curves.

    Raises:
        RequestError: the file cannot be read, or is neither.
    """
    try:
        content = json.loads(path.read_bytes())
    except OSError as error:
        raise RequestError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{path}: is not JSON ({error}): give a file that `curve` or `standards` wrote") from error
    try:
        return _curves(content)
    except (TypeError, ValueError) as error:
        raise RequestError(f"{path}: is not a file of curves: {' '.join(str(error).split())}") from error


def _curves(content: Any) -> list[Curve]:
    collection = _object(content)
    if "schema" not in collection:
        return [_curve(name, points) for name, points in collection.items()]
    if collection["schema"] != SCHEMA:
        raise ValueError(f"its schema is {collection['schema']!r}, this version reads {SCHEMA}: measure again")
    return [
        _curve(_text(curve, "name"), curve.get("points"), _text(curve, "dataset"), _text(curve, "source"))
        for curve in map(_object, _list(collection.get("curves")))
    ]


def _curve(name: str, points: Any, dataset: str = "", source: str = "") -> Curve:
    try:
        made = tuple(_point(_object(point)) for point in _list(points))
        return Curve(name=name, points=made, dataset=dataset, source=source)
    except (TypeError, ValueError) as error:
        raise ValueError(f"curve {name!r}: {error}") from error


def _point(values: dict[str, Any]) -> CurvePoint:
    return CurvePoint(
        bpp=_number(values, "bpp"),
        psnr=_optional_number(values, "psnr"),
        msssim=_optional_number(values, "msssim"),
        setting=_text(values, "setting"),
        pictures=tuple(_picture(_object(picture)) for picture in _list(values.get("pictures", []))),
    )


def _picture(values: dict[str, Any]) -> PictureScore:
    return PictureScore(
        picture=_text(values, "picture"),
        size=int(_number(values, "size")),
        bpp=_number(values, "bpp"),
        psnr=_optional_number(values, "psnr"),
        msssim=_number(values, "msssim"),
    )


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{_excerpt(value)} is not a JSON object")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{_excerpt(value)} is not a list")
    return value


def _number(values: dict[str, Any], key: str) -> float:
    value: object = values.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"{key} is {_excerpt(value)}, not a number")
    return float(value)


def _optional_number(values: dict[str, Any], key: str) -> float | None:
    return None if values.get(key) is None else _number(values, key)


def _text(values: dict[str, Any], key: str) -> str:
    value: object = values.get(key, "")
    if not isinstance(value, str):
        raise TypeError(f"{key} is {_excerpt(value)}, not a text")
    return value


def _excerpt(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
