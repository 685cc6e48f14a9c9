"""What an encoded picture is to meet: a rate that it must not exceed, or a metric that it has to reach."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Literal, Self

from ..errors import RequestError
from ..image_psnr import psnr_of
from ..images import Picture
from ..metrics.ssim import ms_ssim

Kind = Literal["bpp", "size", "psnr", "msssim"]

_UNITS: dict[Kind, str] = {"bpp": "bpp", "size": "bytes", "psnr": "dB", "msssim": "MS-SSIM"}
_DECIMALS: dict[Kind, int] = {"bpp": 3, "size": 0, "psnr": 2, "msssim": 4}
_MOST_DECIBEL = 100.0


@dataclass(frozen=True)
class Target:
    """What a file is to meet.

    Attributes:
        kind: "bpp" and "size" (bytes) are the most that the whole file may have, "psnr" (decibel) and "msssim" the least
            that the decoded picture has to reach; both are measured over the colour samples, without alpha.
        value: above 0; MS-SSIM up to 1.

    Raises:
        RequestError: the value is out of range.
    """

    kind: Kind
    value: float

    def __post_init__(self) -> None:
        if not _is_positive(self.value):
            raise RequestError(f"a target of {self.value!r} {self.unit} cannot be met: choose a number above 0")
        if self.kind == "msssim" and self.value > 1:
            raise RequestError(f"a target of {self} cannot be met: choose a number up to 1")

    @classmethod
    def chosen(
        cls,
        *,
        bpp: float | None = None,
        size: float | None = None,
        psnr: float | None = None,
        msssim: float | None = None,
    ) -> Self | None:
        """The target that is not None, if there is one.

        Raises:
            RequestError: several are given, or one is out of range.
        """
        options: tuple[tuple[Kind, float | None], ...] = (
            ("bpp", bpp),
            ("size", size),
            ("psnr", psnr),
            ("msssim", msssim),
        )
        given: list[tuple[Kind, float]] = [(kind, value) for kind, value in options if value is not None]
        if len(given) > 1:
            names = " and ".join(kind for kind, _ in given)
            raise RequestError(f"targets for {names} cannot be met at once: give one of them")
        return cls(*given[0]) if given else None

    @property
    def is_rate(self) -> bool:
        """Whether the target bounds the file and not the picture."""
        return self.kind in ("bpp", "size")

    def require_no_quality(self, quality: float | None) -> None:
        """Refuses a target beside a quality.

        Raises:
            RequestError: there is a quality.
        """
        if quality is not None:
            raise RequestError(f"quality and a target for {self.kind} exclude each other: give one of them")

    @property
    def unit(self) -> str:
        """What values of this kind are counted in."""
        return _UNITS[self.kind]

    def measured(self, original: Picture, restored: Picture) -> float:
        """What a picture reaches of the metric that the target is for, over the colour samples."""
        return psnr_of(original, restored) if self.kind == "psnr" else ms_ssim(original.pixels, restored.pixels)

    def range_text(self, low: float, high: float) -> str:
        """A range of reachable values in words, rounded so that its ends can be reached."""
        decimals = _DECIMALS[self.kind]
        scale = 10**decimals
        inner = [math.ceil(low * scale) / scale, math.floor(high * scale) / scale]
        if inner[0] > inner[1]:
            inner = [inner[0] if self.is_rate else inner[1]] * 2
        return f"{inner[0]:.{decimals}f} to {inner[1]:.{decimals}f} {self.unit}"

    def __str__(self) -> str:
        return f"{self.value:.10g} {self.unit}"


def decibel(kind: Kind, value: float) -> float:
    """A metric on a scale on which equal steps of quality are about equal, and which ends where differences vanish."""
    if kind == "msssim":
        value = -10 * math.log10(1 - value) if value < 1 else math.inf
    return min(value, _MOST_DECIBEL)


def _is_positive(value: object) -> bool:
    return isinstance(value, Real) and 0 < float(value) < math.inf
