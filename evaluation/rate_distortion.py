"""Rate and distortion of a model on whole files: every picture is encoded, written, read back and decoded."""

import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from .. import images
from ..bitstream import container
from ..codecs.base import AroundStandard, DecodeRequest, EncodeSettings
from ..codecs.ladder import Laddered
from ..codecs.progressive import Progressive
from ..codecs.registry import codec_by_number
from ..codecs.trials import VariableRate
from ..image_psnr import psnr_of
from ..metrics.ssim import ms_ssim, ssim
from ..models.zoo import Model
from .levels import means, measure_levels
from .profiles import without_context

CARD_QUALITIES = (0, 15, 30, 45, 60, 75, 90, 100)
"""Where on its scale a model of variable rate is measured for its card."""

CARD_EFFORT = 1

_MEANS = ("bpp", "psnr", "ssim", "msssim")


@dataclass(frozen=True)
class Point:
    """One picture through one model.

    Attributes:
        picture: file name.
        size: bytes of the whole .nic file, without metadata chunks.
        size_without_context: the same in the profile without context.
        bpp: bits per pixel of the whole file.
        psnr: decibel over all RGB samples.
        ssim: mean over the RGB channels.
        msssim: MS-SSIM, RGB channels pooled.
    """

    picture: str
    size: int
    size_without_context: int
    bpp: float
    psnr: float
    ssim: float
    msssim: float


def measure_picture(model: Model, path: Path, settings: EncodeSettings) -> Point:
    """Codes one picture in both profiles and compares the result with the original.

    Args:
        model: the model.
        path: image file, coded without its metadata and transparency.
        settings: how to encode, with context.

    Raises:
        RequestError: the settings do not fit the codec.
        PictureError: the image cannot be read.
        ModelError: the model is damaged.
    """
    loaded = images.load(path, deep=True)
    picture = images.Picture(pixels=loaded.pixels, deep=loaded.deep)
    codec = codec_by_number(model.codec)
    coded = container.write(codec.encode(picture, model, settings))
    # A standard file has no context to be without.
    bare = isinstance(codec, AroundStandard)
    other = coded if bare else container.write(codec.encode(picture, model, without_context(settings, model)))
    request = DecodeRequest(backend=settings.backend, threads=settings.threads)
    restored = codec.decode(container.read(coded), model, request)
    a, b = picture.pixels, restored.pixels
    bpp = 8 * len(coded) / (picture.width * picture.height)
    return Point(path.name, len(coded), len(other), bpp, psnr_of(picture, restored), ssim(a, b), ms_ssim(a, b))


def measure_folder(model: Model, paths: Iterable[Path], settings: EncodeSettings | None = None) -> list[Point]:
    """`measure_picture` for every path, with a progress bar on a terminal."""
    chosen = settings or EncodeSettings()
    label = model.id if chosen.quality is None else f"{model.id} quality {chosen.quality:g}"
    return [measure_picture(model, path, chosen) for path in tqdm(list(paths), label, disable=None)]


def summarise(dataset: str, points: list[Point]) -> dict[str, Any]:
    """Means over pictures, as a model card stores them."""
    return {
        "dataset": dataset,
        "pictures": len(points),
        **_means(points),
        "context_saving": _context_saving(points),
    }


def measure_for_card(model: Model, dataset: str, paths: list[Path]) -> dict[str, Any]:
    """What a model card stores about a data set.

    Returns:
        `summarise` of the model as it is, if it is one point on the common scale of its family or has one quality only.
        Otherwise `points`, with means at each of `CARD_QUALITIES` and `CARD_EFFORT`, beside what `summarise` says of all;
        of a progressive model, with means at each level, beside what entropy coding saves.

    Raises:
        PictureError: an image cannot be read.
        ModelError: the model is damaged.
    """
    codec = codec_by_number(model.codec)
    if isinstance(codec, Progressive):
        return _measure_levels(model, dataset, paths)
    if isinstance(codec, Laddered) or not isinstance(codec, VariableRate):
        return summarise(dataset, measure_folder(model, paths))
    curve = {
        quality: measure_folder(model, paths, EncodeSettings(quality=quality, effort=CARD_EFFORT))
        for quality in CARD_QUALITIES
    }
    return {
        "dataset": dataset,
        "pictures": len(paths),
        "effort": CARD_EFFORT,
        "points": [{"quality": quality, **_means(points)} for quality, points in curve.items()],
        "context_saving": _context_saving([point for points in curve.values() for point in points]),
    }


def _measure_levels(model: Model, dataset: str, paths: list[Path]) -> dict[str, Any]:
    found = means(model.id, measure_levels(model, paths))
    return {
        "dataset": dataset,
        "pictures": len(paths),
        "points": [
            {
                "level": level.level,
                "bpp": round(level.point.bpp, 4),
                "psnr": _rounded(level.point.psnr),
                "msssim": _rounded(level.point.msssim),
            }
            for level in found
        ],
        "entropy_coding_saving": round(found[-1].saving_so_far, 4),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def as_json(points: list[Point]) -> list[dict[str, object]]:
    """The points as plain JSON values."""
    return [asdict(point) for point in points]


def _means(points: list[Point]) -> dict[str, float]:
    return {name: round(float(np.mean([getattr(point, name) for point in points])), 4) for name in _MEANS}


def _context_saving(points: list[Point]) -> float:
    return round(statistics.mean(1 - point.size / point.size_without_context for point in points), 4)
