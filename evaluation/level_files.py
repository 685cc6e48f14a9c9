"""The files that a measurement of levels becomes.

    bitrate.csv   bits per pixel of whole files
    msssim.csv    MS-SSIM of what they restore
    psnr.csv      PSNR of it in decibel, "inf" if it is the picture itself
    levels.json   means over pictures, and what follows from them
    curve.json    the same points as a curve file; see `curve_files`

The tables have a row for each picture and a column for each level, and nothing but numbers: the layout in which the
results of the published residual GRU are, so that its readers' scripts work on them.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import OutputError
from ..models.zoo import Model
from ..outputs import atomic_output, check_target
from . import curve_files, model_curves
from .curves import Curve, PictureScore
from .levels import LevelMeans, PictureLevels, falls, means, msssim_at

SCHEMA = 1
"""Number in levels.json; it rises when a key changes its meaning or goes."""

NAMES = ("bitrate.csv", "msssim.csv", "psnr.csv", "levels.json", "curve.json")

JPEG = {0.25: 0.837, 0.5: 0.941, 1.0: 0.978}
"""MS-SSIM of JPEG on Kodak at these rates, as published."""

_LOW_LEVELS = 8

_Column = Callable[[PictureScore], float]


def prepare(folder: Path, *, force: bool) -> None:
    """Makes the folder, and finds out before any work is done whether the files could be written.

    Raises:
        OutputExistsError: one of them is there, and `force` is false.
        OutputError: they cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror}): give another folder") from error
    for name in NAMES:
        check_target(folder / name, force=force)


def write(folder: Path, texts: Mapping[str, str], *, force: bool) -> None:
    """Writes files into a folder; if writing one of them fails, none appears.

    Raises:
        OutputError: one of them cannot be written.
    """
    with ExitStack() as stack:
        for name, text in texts.items():
            file = stack.enter_context(atomic_output(folder / name, force=force))
            file.write(text.encode())
            file.flush()


def texts(model: Model, dataset: str, pictures: Sequence[PictureLevels]) -> dict[str, str]:
    """The content of every file, by its name.

    Args:
        model: that was measured.
        dataset: what to call the pictures.
        pictures: one or more, in the order of the rows.
    """
    found = means(model.id, pictures)
    points = tuple(level.point for level in found)
    curve = Curve(name=model.id, points=points, dataset=dataset, source=model_curves.source(model))
    summary = {
        "schema": SCHEMA,
        "model": {"id": model.id, "revision": model.revision, "hash": model.hash.hex()},
        "dataset": dataset,
        "pictures": [picture.scores[0].picture for picture in pictures],
        **summarise(pictures, found),
    }
    return {
        "bitrate.csv": table(pictures, lambda score: score.bpp),
        "msssim.csv": table(pictures, lambda score: score.msssim),
        "psnr.csv": table(pictures, lambda score: math.inf if score.psnr is None else score.psnr),
        "levels.json": json.dumps(summary, indent=1, allow_nan=False) + "\n",
        "curve.json": curve_files.to_json([curve]),
    }


def table(pictures: Sequence[PictureLevels], column: _Column) -> str:
    """A row for each picture, a column for each level."""
    rows = ([f"{column(score):.6f}" for score in picture.scores] for picture in pictures)
    return "".join(",".join(row) + "\n" for row in rows)


def summarise(pictures: Sequence[PictureLevels], found: Sequence[LevelMeans]) -> dict[str, Any]:
    """What follows from a measurement, as plain JSON values."""
    low = found[:_LOW_LEVELS]
    exceptions = falls(pictures)
    return {
        "levels": [_level(level) for level in found],
        "mean_saving": {
            "levels": f"0-{low[-1].level}",
            "saving": _rounded(math.fsum(level.saving for level in low) / len(low)),
            "saving_so_far": _rounded(math.fsum(level.saving_so_far for level in low) / len(low)),
        },
        "msssim_at": [
            {"bpp": bpp, "msssim": _rounded(msssim_at(bpp, found)), "jpeg": published}
            for bpp, published in JPEG.items()
        ],
        "every_level_is_better": not exceptions,
        "exceptions": [asdict(fall) for fall in exceptions],
    }


def _level(level: LevelMeans) -> dict[str, Any]:
    return {
        "level": level.level,
        "nominal_bpp": level.nominal_bpp,
        "raw_bpp": _rounded(level.raw_bpp),
        "bpp": _rounded(level.point.bpp),
        "saving": _rounded(level.saving),
        "saving_so_far": _rounded(level.saving_so_far),
        "psnr": _rounded(level.point.psnr),
        "msssim": _rounded(level.point.msssim),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
