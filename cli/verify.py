"""`nicodec verify`: makes sure that files decode, without writing anything."""

from typing import Any

import click

from ..errors import FormatError, LimitError, NewerVersionError, UnknownChunkError
from . import batch, options, streams
from .console import Console
from .failures import EXPECTED
from .paths import STREAM, label

_UNDECIDED = (LimitError, NewerVersionError, UnknownChunkError)
"""Refusals that say nothing about damage: the file may be whole, for more memory or for a newer nicodec."""


@click.command(
    epilog="""\b
Examples:
  nicodec verify photo.nic
  nicodec verify --no-network *.nic      checksums and entropy decoding only
"""
)
@click.argument("files", nargs=-1, required=True, type=options.FILE, metavar="FILE...")
@click.option("--network/--no-network", default=True, help="Also run the network, as decode does.  [default: network]")
@options.network_options
@options.max_pixels_option
@options.console_options
def command(
    files: tuple[str, ...],
    network: bool,
    backend: str,
    threads: int | None,
    max_pixels: int | None,
    console: Console,
) -> None:
    """Make sure that .nic files are whole and decode.

    Checks every checksum and decodes everything without writing it. Prints OK, DAMAGED or FAILED (could not be checked)
    for each file; the reason is on stderr and the exit code is 1 unless all are OK. FILE may be - for stdin.
    """

    def check(file: str) -> dict[str, Any]:
        from ..api import verify
        from ..sources import naming

        source = streams.stdin() if file == STREAM else file
        try:
            with naming("stdin" if file == STREAM else None):
                verify(source, network=network, backend=backend, threads=threads, limits=options.limits(max_pixels))
        except EXPECTED as error:
            damaged = isinstance(error, FormatError) and not isinstance(error, _UNDECIDED)
            console.result(f"{label(file)}: {'DAMAGED' if damaged else 'FAILED'}")
            raise
        console.result(f"{label(file)}: OK")
        return {}

    batch.run(files, check, command="verify", name=lambda file: file, console=console)
