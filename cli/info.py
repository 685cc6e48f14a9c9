"""`nicodec info`: what a .nic file says about itself."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from . import batch, options, streams
from .console import Console, human_size
from .paths import STREAM, label
from .tables import aligned

if TYPE_CHECKING:
    from ..codecs.base import SegmentInfo
    from ..codecs.statistics import GroupStatistics
    from ..inspection import FileInfo


@click.command(
    epilog="""\b
Examples:
  nicodec info photo.nic
  nicodec info --channels photo.nic      one line for every segment
  nicodec info --statistics photo.nic    one line for every group of latent channels
  nicodec info --json *.nic              one JSON object per file
"""
)
@click.argument("files", nargs=-1, required=True, type=options.FILE, metavar="FILE...")
@click.option("--channels", is_flag=True, help="Also list what each segment holds, its size, checksum and table.")
@click.option(
    "--statistics",
    is_flag=True,
    help="Also list groups of latent channels: bytes (without what holds the file together), share of zeros, and in "
    "quantisation steps the size of the values, what of it was not predicted (residual), and how large that was expected to "
    "be (10th, 50th and 90th percentile). Decodes the latents, so it needs a whole file and its model.",
)
@options.console_options
def command(files: tuple[str, ...], channels: bool, statistics: bool, console: Console) -> None:
    """Show what .nic files hold, without decoding their pictures.

    A damaged or cut-off file is shown as far as it arrived; 'nicodec verify' tells whether files are whole. FILE may be
    - for stdin.
    """

    def describe(file: str) -> dict[str, Any]:
        from ..inspection import info
        from ..sources import naming

        source = streams.stdin() if file == STREAM else file
        with naming("stdin" if file == STREAM else None):
            found = info(source, segments=channels, statistics=statistics)
        console.result("\n".join(_lines(label(file), found, statistics)))
        return found.to_json()

    batch.run(files, describe, command="info", name=lambda file: file, console=console)


def _lines(name: str, found: "FileInfo", statistics: bool) -> Iterable[str]:
    header = found.header
    kind = ("gray" if header.space.name == "GRAY" else "RGB") + (" with alpha" if header.alpha else "")
    model = found.model or f"number {header.model}, not installed"
    parameters = "".join(f", {name.replace('_', ' ')} {value:g}" for name, value in found.parameters.items())
    metadata = ", ".join(f"{kind} {human_size(size)}" for kind, size in found.metadata.items())
    whole = (
        "" if found.complete else f"; INCOMPLETE OR DAMAGED: {found.arrived} of {header.segments} segments are whole"
    )
    yield name
    yield f"  picture   {header.width}x{header.height}, {kind}, {header.depth} bits"
    yield f"  file      {human_size(found.size)}, {found.bpp:.4f} bpp, format {found.version}{whole}"
    yield f"  model     {model}, hash {header.model_hash.hex()}, codec {header.codec}, profile {header.profile}{parameters}"
    yield f"  padded    {header.padded_width}x{header.padded_height}"
    yield f"  latents   {header.channels} x {header.latent_width}x{header.latent_height}, {header.layers} layer(s)"
    yield f"  segments  {header.segments}"
    yield f"  metadata  {metadata or 'none'}"
    if found.segments is not None:
        yield from _indented(_segment_table(found.segments))
    if statistics and found.statistics is None:
        yield "  statistics none: they need a whole file"
    if found.statistics is not None:
        yield from _indented(_statistics_table(found.statistics))


def _segment_table(segments: "Iterable[SegmentInfo]") -> str:
    head = ["segment", "content", "bytes", "crc32", "table", "symbols"]
    rows = [[str(s.index), s.content, str(s.size), f"{s.crc32:08x}", s.table, _range(s.symbols)] for s in segments]
    return aligned([head, *rows])


def _statistics_table(groups: "Iterable[GroupStatistics]") -> str:
    head = ["channels", "bytes", "zeros", "size", "residual", "expected p10", "expected p50", "expected p90"]
    rows = [
        [
            f"{g.first}" if g.first == g.last else f"{g.first}-{g.last}",
            _figure(None if g.bits is None else g.bits / 8, 0),
            f"{g.zeros:.1%}",
            _figure(g.size),
            _figure(g.residual),
            *map(_figure, g.expected or (None, None, None)),
        ]
        for g in groups
    ]
    return aligned([head, *rows])


def _figure(value: float | None, digits: int = 3) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _range(symbols: tuple[int, int] | None) -> str:
    return "" if symbols is None else f"{symbols[0]}..{symbols[1]}"


def _indented(text: str) -> Iterable[str]:
    return (f"  {line}" for line in text.splitlines())
