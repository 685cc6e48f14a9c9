"""Options that several subcommands share.

-v, -q, --json           all but train, export and import
--force, --out-dir       encode, decode, truncate
--threads, --backend     encode, decode, verify, msssim, compare
--max-pixels             encode, decode, truncate, verify, msssim, compare
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import click

from ..bitstream.limits import DEFAULT_LIMITS, Limits
from .console import Console

Command = Callable[..., None]

BACKENDS = ("onnxruntime", "openvino", "openvino-bf16", "tensorflow")
"""Those of `models.runtime`, repeated here because importing them imports numpy, which --help should not wait for."""

METADATA = ("exif", "icc", "xmp")
"""Those of `image_formats`, repeated for the same reason."""

FILE = click.Path(allow_dash=True, readable=False)
"""A path that the shell completes; whether it can be read is found out by reading, with our own errors."""

_CHANNEL_DIGITS = 5


def console_options(function: Command) -> Command:
    """Adds -v, -q and --json, and passes them on as one argument `console`."""

    @click.option("-v", "--verbose", count=True, help="Say more; repeat for still more.")
    @click.option("-q", "--quiet", count=True, help="Say less: -q no summary and no progress, -qq nothing but errors.")
    @click.option("--json", "as_json", is_flag=True, help="Print one JSON object per file on stdout.")
    @functools.wraps(function)
    def with_console(*args: Any, verbose: int, quiet: int, as_json: bool, **values: Any) -> None:
        function(*args, console=Console(verbose - quiet, as_json), **values)

    return with_console


def output_options(function: Command) -> Command:
    """Adds --force and --out-dir."""
    function = click.option("-f", "--force", is_flag=True, help="Replace outputs that exist.")(function)
    return click.option(
        "--out-dir",
        type=FILE,
        metavar="DIR",
        help="Take every argument as an input and write the outputs into DIR, which is made if needed.",
    )(function)


def network_options(function: Command) -> Command:
    """Adds --backend and --threads."""
    function = click.option(
        "--threads",
        type=click.IntRange(min=1),
        metavar="N",
        help="Threads of the network. Default: one per processor.",
    )(function)
    return click.option(
        "--backend",
        type=click.Choice(BACKENDS),
        default=BACKENDS[0],
        show_default=True,
        help="Inference runtime. openvino-bf16 is about twice as fast on new x86 processors; any runtime decodes any file.",
    )(function)


max_pixels_option = click.option(
    "--max-pixels",
    type=click.IntRange(min=1),
    metavar="N",
    help="Refuse pictures with more pixels than this, before reading them. Default: 268435456.",
)


def channel_list(ctx: click.Context, param: click.Parameter, text: str | None) -> frozenset[int] | None:
    """Reads a list of channel numbers and ranges such as 0,3-7; the callback of an option.

    Raises:
        click.BadParameter: it is not such a list.
    """
    if text is None:
        return None
    return frozenset(channel for part in text.split(",") for channel in _channel_range(part.strip()))


def _channel_range(text: str) -> range:
    first, dash, last = text.partition("-")
    if not (_is_number(first) and (_is_number(last) or not dash)):
        raise click.BadParameter(f"{text!r} is not a channel or a range: write for example 0,3-7.")
    start, stop = int(first), int(last or first)
    if stop < start:
        raise click.BadParameter(f"{text} is not a range of channels: write the smaller number first.")
    return range(start, stop + 1)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _CHANNEL_DIGITS


def limits(max_pixels: int | None) -> Limits:
    """The reader's limits under --max-pixels, which counts the pixels after padding.

    The limit of latents rises with it: no model has more than two for each pixel, the ratio of the defaults.
    """
    if max_pixels is None:
        return DEFAULT_LIMITS
    return replace(DEFAULT_LIMITS, pixels=max_pixels, latents=max(DEFAULT_LIMITS.latents, 2 * max_pixels))
