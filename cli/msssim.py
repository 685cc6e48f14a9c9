"""`nicodec msssim`: one number for how alike two pictures look."""

import click

from . import options
from .console import Console
from .failures import recorded
from .pictures import Opener, comparable


@click.command(
    epilog="""\b
Examples:
  nicodec msssim in.png restored.png
  nicodec msssim in.png out.nic          decodes the .nic file first
"""
)
@click.argument("a", type=options.FILE, metavar="A")
@click.argument("b", type=options.FILE, metavar="B")
@options.network_options
@options.max_pixels_option
@options.console_options
def command(a: str, b: str, backend: str, threads: int | None, max_pixels: int | None, console: Console) -> None:
    """Print the MS-SSIM of two pictures: 1.000000 if they are equal.

    A and B are images or .nic files, or - for stdin. Transparency is not compared. 'nicodec compare' tells more.
    """
    from ..metrics.ssim import ms_ssim

    head = {"command": "msssim", "a": a, "b": b}
    with recorded(console, head):
        first, second = Opener(backend, threads, max_pixels, console).pair(a, b)
        value = ms_ssim(*comparable(first.picture, second.picture))
    console.result(f"{value:.6f}")
    console.record({**head, "ok": True, "msssim": value})
