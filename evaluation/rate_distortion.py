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
from ..codecs.base import DecodeRequest, EncodeSettings
from ..codecs.registry import codec_by_number
from ..metrics.psnr import psnr
from ..metrics.ssim import ms_ssim, ssim
from ..models.zoo import Model


@dataclass(frozen=True)
class Point:
    """One picture through one model.

    Attributes:
        picture: file name.
        size: bytes of the whole .nic file, without metadata chunks.
        independent_size: the same with independent channels.
        bpp: bits per pixel of the whole file.
        psnr: decibel over all RGB samples.
        ssim: mean over the RGB channels.
        msssim: MS-SSIM, RGB channels pooled.
    """

    picture: str
    size: int
    independent_size: int
    bpp: float
    psnr: float
    ssim: float
    msssim: float


def measure_picture(model: Model, path: Path, settings: EncodeSettings) -> Point:
    """Codes one picture in both profiles and compares the result with the original."""
    loaded = images.load(path)
    picture = images.Picture(pixels=loaded.pixels)
    codec = codec_by_number(model.codec)
    coded = container.write(codec.encode(picture, model, settings))
    independent = EncodeSettings(independent_channels=True, backend=settings.backend, threads=settings.threads)
    other = container.write(codec.encode(picture, model, independent))
    request = DecodeRequest(backend=settings.backend, threads=settings.threads)
    restored = codec.decode(container.read(coded), model, request)
    a, b = picture.pixels, restored.pixels
    bpp = 8 * len(coded) / (picture.width * picture.height)
    return Point(path.name, len(coded), len(other), bpp, psnr(a, b), ssim(a, b), ms_ssim(a, b))


def measure_folder(model: Model, paths: Iterable[Path], settings: EncodeSettings | None = None) -> list[Point]:
    """`measure_picture` for every path, with a progress bar on a terminal."""
    chosen = settings or EncodeSettings()
    return [measure_picture(model, path, chosen) for path in tqdm(list(paths), model.id, disable=None)]


def summarise(dataset: str, points: list[Point]) -> dict[str, Any]:
    """Means over pictures, as a model card stores them."""
    names = ("bpp", "psnr", "ssim", "msssim")
    means = {name: round(float(np.mean([getattr(point, name) for point in points])), 4) for name in names}
    saved = statistics.mean(1 - point.size / point.independent_size for point in points)
    return {"dataset": dataset, "pictures": len(points), **means, "context_saving": round(saved, 4)}


def as_json(points: list[Point]) -> list[dict[str, object]]:
    """The points as plain JSON values."""
    return [asdict(point) for point in points]
