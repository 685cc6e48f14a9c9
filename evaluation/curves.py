"""Rate-distortion curves: what a codec needs in bits and reaches in quality, at one setting after the other."""

import math
from dataclasses import dataclass
from typing import Literal

from ..errors import RequestError

Metric = Literal["psnr", "msssim"]
METRICS: tuple[Metric, ...] = ("psnr", "msssim")


@dataclass(frozen=True, kw_only=True)
class PictureScore:
    """One picture at one setting of a codec.

    Attributes:
        picture: file name.
        size: bytes of the whole coded file.
        bpp: bits of the whole coded file per pixel.
        psnr: decibel over all samples, in their full depth; None if the picture is coded without loss, where it is infinite.
        msssim: MS-SSIM, channels pooled, 0..1.
    """

    picture: str
    size: int
    bpp: float
    psnr: float | None
    msssim: float


@dataclass(frozen=True, kw_only=True)
class CurvePoint:
    """One setting of a codec: means over pictures.

    Attributes:
        bpp: mean bits per pixel, finite and positive.
        psnr: mean of the pictures' PSNR in decibel (not the PSNR of the mean error); None if unknown or infinite.
        msssim: mean of the pictures' MS-SSIM, 0..1; None if unknown.
        setting: what was set, such as "quality 50"; empty if unknown.
        pictures: the pictures one by one; empty if unknown.

    Raises:
        RequestError: a number is out of its range.
    """

    bpp: float
    psnr: float | None = None
    msssim: float | None = None
    setting: str = ""
    pictures: tuple[PictureScore, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.bpp) and self.bpp > 0):
            raise RequestError(f"bpp is {self.bpp}: a point needs a positive number")
        if self.psnr is not None and not math.isfinite(self.psnr):
            raise RequestError(f"psnr is {self.psnr}: give a finite number of decibel, or leave it out")
        if self.msssim is not None and not 0 <= self.msssim <= 1:
            raise RequestError(f"msssim is {self.msssim}: give a number from 0 to 1, or leave it out")


@dataclass(frozen=True, kw_only=True)
class Curve:
    """The points of one codec, in rising order of rate, however they were given.

    Attributes:
        name: what a legend calls it.
        points: one or more.
        dataset: the pictures that it was measured on, such as "kodak"; empty if unknown.
        source: codec and version that made the points, or where they were published; empty if unknown.

    Raises:
        RequestError: there is no point.
    """

    name: str
    points: tuple[CurvePoint, ...]
    dataset: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not self.points:
            raise RequestError(f"curve {self.name!r} has no points: give at least one")
        object.__setattr__(self, "points", tuple(sorted(self.points, key=_order)))

    def series(self, metric: Metric) -> list[tuple[float, float]]:
        """Pairs of bpp and quality, in rising order of bpp; without the points of unknown quality."""
        pairs = [(point.bpp, point.psnr if metric == "psnr" else point.msssim) for point in self.points]
        return [(bpp, value) for bpp, value in pairs if value is not None]


def decibels(msssim: float) -> float:
    """MS-SSIM on a scale that resolves high quality, -10 log10(1 - MS-SSIM); infinite for 1.

    >>> round(decibels(0.99), 6)
    20.0
    """
    return -10 * math.log10(1 - msssim) if msssim < 1 else math.inf


def _order(point: CurvePoint) -> tuple[float, float]:
    return point.bpp, point.psnr or 0.0


def mean_point(setting: str, pictures: tuple[PictureScore, ...]) -> CurvePoint:
    """The means over one or more pictures; PSNR is None if it is infinite for one of them."""
    psnrs = [score.psnr for score in pictures if score.psnr is not None]
    return CurvePoint(
        bpp=_mean([score.bpp for score in pictures]),
        psnr=_mean(psnrs) if len(psnrs) == len(pictures) else None,
        msssim=_mean([score.msssim for score in pictures]),
        setting=setting,
        pictures=pictures,
    )


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)
