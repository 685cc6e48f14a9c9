"""`nicodec compare`: quality and rate."""

import math
from typing import Any

import click

from . import options
from .console import Console, human_size
from .failures import recorded
from .pictures import Opened, Opener, comparable


@click.command(
    short_help="Compare two pictures: PSNR, SSIM, MS-SSIM, bpp.",
    epilog="""\b
Examples:
  nicodec compare in.png out.nic
  nicodec compare --json in.png out.nic
""",
)
@click.argument("a", type=options.FILE, metavar="A")
@click.argument("b", type=options.FILE, metavar="B")
@options.network_options
@options.max_pixels_option
@options.console_options
def command(a: str, b: str, backend: str, threads: int | None, max_pixels: int | None, console: Console) -> None:
    """Compare two pictures: PSNR, SSIM, MS-SSIM, and the bits per pixel of a .nic file.

    A and B are images or .nic files, or - for stdin. Transparency is not compared. In JSON, bpp is that of the .nic
    file (of B if both are), and psnr is null where the pictures are equal, because it is infinite.
    """
    with recorded(console, {"command": "compare", "a": {"file": a}, "b": {"file": b}}):
        first, second = Opener(backend, threads, max_pixels, console).pair(a, b)
        scores = _scores(first, second)
    if first.picture.alpha is not None or second.picture.alpha is not None:
        console.note("transparency is not compared")
    coded = [side for side in (first, second) if side.is_nic]
    console.result(_text(scores, coded))
    console.record(
        {
            "command": "compare",
            "a": _side(first),
            "b": _side(second),
            "ok": True,
            **{name: value if math.isfinite(value) else None for name, value in scores.items()},
            "bpp": round(coded[-1].bpp, 6) if coded else None,
        }
    )


def _scores(first: Opened, second: Opened) -> dict[str, float]:
    from ..metrics.psnr import psnr
    from ..metrics.ssim import ms_ssim, ssim

    x, y = comparable(first.picture, second.picture)
    return {"psnr": psnr(x, y), "ssim": ssim(x, y), "msssim": ms_ssim(x, y)}


def _text(scores: dict[str, float], coded: list[Opened]) -> str:
    lines = [
        f"PSNR     {scores['psnr']:.4f} dB",
        f"SSIM     {scores['ssim']:.6f}",
        f"MS-SSIM  {scores['msssim']:.6f}",
        *(f"bpp      {side.bpp:.4f}  ({human_size(side.size)}, {side.name})" for side in coded),
    ]
    return "\n".join(lines)


def _side(side: Opened) -> dict[str, Any]:
    picture = side.picture
    return {
        "file": side.name,
        "bytes": side.size,
        "bpp": round(side.bpp, 6) if side.is_nic else None,
        "width": picture.width,
        "height": picture.height,
    }
