"""`nicodec truncate`: a smaller file of one with levels."""

import os
from typing import Any

import click

from . import batch, options, streams
from .console import Console, human_size
from .paths import STREAM, Job, label, plan

_SUFFIX = ".nic"


@click.command(
    epilog="""\b
Examples:
  nicodec truncate photo.nic --level 5 small.nic
  nicodec truncate photo.nic --level 5              writes photo.level5.nic
  nicodec truncate - --level 2 - < photo.nic | nicodec decode - preview.png

Nothing is encoded again, and the pixels are those of 'decode --level'.
"""
)
@click.argument("paths", nargs=-1, required=True, type=options.FILE, metavar="IN [OUT]")
@click.option("--level", type=click.IntRange(min=0), required=True, metavar="K", help="Last level to keep, from 0.")
@options.output_options
@options.max_pixels_option
@options.console_options
def command(
    paths: tuple[str, ...],
    level: int,
    out_dir: str | None,
    force: bool,
    max_pixels: int | None,
    console: Console,
) -> None:
    """Make a smaller .nic file of one with levels.

    IN is a .nic file of a progressive model, or - for stdin. OUT is the file to write, or - for stdout. With --out-dir
    every argument is an input.
    """
    jobs = plan(paths, out_dir, suffix=f".level{level}{_SUFFIX}", is_output=lambda path: True, as_json=console.as_json)

    def cut(job: Job) -> dict[str, Any]:
        from ..api import truncate
        from ..outputs import atomic_output, check_target
        from ..sources import naming

        if job.target == STREAM:
            streams.check_stdout()
        else:
            check_target(job.target, force=force)
        source = streams.stdin() if job.source == STREAM else job.source
        with naming("stdin" if job.source == STREAM else None):
            data = truncate(source, level, limits=options.limits(max_pixels))
        if job.target == STREAM:
            streams.write_stdout(data)
        else:
            with atomic_output(job.target, force=force) as file:
                file.write(data)
        target = "stdout" if job.target == STREAM else job.target
        before = None if job.source == STREAM else os.path.getsize(job.source) or None  # of a pipe, 0
        of = "" if before is None else f"  {100 * len(data) / before:.0f}% of {label(job.source)}"
        console.summary(f"{target}  level {level}  {human_size(len(data))}{of}")
        return {"output": job.target, "level": level, "bytes": len(data), "input_bytes": before}

    batch.run(jobs, cut, command="truncate", name=lambda job: job.source, console=console)
