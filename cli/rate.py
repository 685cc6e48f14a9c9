"""Options of `encode` that set rate, quality and effort, and how what came out of them reads."""

import functools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from ..api import Encoded
    from ..codecs.target import Target

Command = Callable[..., None]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(b|kb|mb|)", re.ASCII | re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "kb": 1000, "mb": 1_000_000}


@dataclass(frozen=True)
class Rate:
    """What the options say.

    Attributes:
        quality: 0 to 100, or None.
        level: of a progressive model, or None.
        target: what to look for instead, or None.
        effort: 1 to 9.
        fast_decode: whether decoding should be fast at the cost of size.
    """

    quality: float | None
    level: int | None
    target: "Target | None"
    effort: int
    fast_decode: bool


def byte_count(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    """Reads a size such as 50000, 50kB or 1.5MB; the callback of an option.

    Raises:
        click.BadParameter: it is no size.
    """
    if text is None:
        return None
    match = _SIZE.fullmatch(text.strip())
    size = int(float(match[1]) * _UNITS[match[2].lower()]) if match else 0
    if size < 1:
        raise click.BadParameter(f"{text!r} is not a size: write for example 50000, 50kB or 1.5MB.")
    return size


def rate_options(function: Command) -> Command:
    """Adds --quality, --level, the targets, --effort and --fast-decode, and passes them on as one argument `wanted`."""

    @click.option(
        "--quality",
        type=click.FloatRange(0, 100),
        metavar="Q",
        help="0 (smallest file) to 100 (best picture), for models of variable rate.",
    )
    @click.option(
        "--level",
        type=click.IntRange(0, 15),
        metavar="K",
        help="Last level of a progressive model, 0 (smallest file) to 15; all of them if not given.",
    )
    @click.option("--target-bpp", "bpp", type=float, metavar="BPP", help="Best quality in no more bits per pixel.")
    @click.option(
        "--target-size",
        "size",
        callback=byte_count,
        metavar="SIZE",
        help="Best quality in no more bytes: 50000, 50kB, 1.5MB.",
    )
    @click.option(
        "--target-psnr", "psnr", type=float, metavar="DB", help="Smallest file of this PSNR or better, in decibel."
    )
    @click.option(
        "--target-msssim",
        "msssim",
        type=float,
        metavar="M",
        help="Smallest file of this MS-SSIM or better, such as 0.97.",
    )
    @click.option(
        "--effort",
        type=click.IntRange(1, 9),
        default=5,
        show_default=True,
        metavar="1..9",
        help="How hard to look for a smaller file of the same quality, where the codec can: 1 rounds, 2 to 6 weigh bits "
        "against errors, 7 to 9 refine by gradients, up to minutes, and need the train extra.",
    )
    @click.option("--fast-decode", is_flag=True, help="Decode faster, larger files, where the codec can.")
    @functools.wraps(function)
    def with_rate(
        *args: Any,
        quality: float | None,
        level: int | None,
        bpp: float | None,
        size: int | None,
        psnr: float | None,
        msssim: float | None,
        effort: int,
        fast_decode: bool,
        **values: Any,
    ) -> None:
        if level is not None and quality is not None:
            raise click.UsageError("--level and --quality exclude each other: leave one out.")
        target = _target(quality, bpp=bpp, size=size, psnr=psnr, msssim=msssim)
        function(*args, wanted=Rate(quality, level, target, effort, fast_decode), **values)

    return with_rate


def _target(quality: float | None, **wanted: float | None) -> "Target | None":
    """The target that is given, checked before any work is done."""
    if all(value is None for value in wanted.values()):
        return None
    from ..codecs.target import Target

    target = Target.chosen(**wanted)
    if target is not None:
        target.require_no_quality(quality)
    return target


def record(encoded: "Encoded", target: "Target | None") -> dict[str, Any]:
    """What --json says of an encoded picture; a PSNR that is infinite, because nothing was lost, is null."""
    reached = encoded.reached
    return {
        "quality": encoded.quality,
        "target": None if target is None else {target.kind: target.value},
        "reached": None if target is None or reached is None else {target.kind: _finite(reached)},
        "trials": encoded.trials,
    }


def _finite(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def summary(encoded: "Encoded", target: "Target | None") -> list[str]:
    """What the summary says of it: quality, and what was reached unless that is said anyway."""
    parts = [] if encoded.quality is None else [f"quality {encoded.quality:g}"]
    if target is not None and encoded.reached is not None:
        parts += [] if target.is_rate else [_READINGS[target.kind].format(encoded.reached)]
        parts.append(f"{encoded.trials} trial{'' if encoded.trials == 1 else 's'}")
    return parts


_READINGS = {"psnr": "PSNR {:.2f} dB", "msssim": "MS-SSIM {:.4f}"}
