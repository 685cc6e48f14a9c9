"""`nicodec extract`: the standard file inside a sandwich."""

import os
from typing import Any

import click

from . import batch, options, streams
from .console import Console, human_size
from .paths import STREAM, Job, plan, with_suffix


@click.command(
    epilog="""\b
Examples:
  nicodec extract photo.nic                  writes photo.jpg beside it, if a JPEG is inside
  nicodec extract photo.nic bottleneck.jpg
  nicodec extract --out-dir inner *.nic

Any image viewer opens the file. 'nicodec decode -m sandwich-rgb photo.jpg x.png' restores the picture from it too, but for
transparency and metadata.
"""
)
@click.argument("paths", nargs=-1, required=True, type=options.FILE, metavar="IN [OUT]")
@options.output_options
@options.max_pixels_option
@options.console_options
def command(paths: tuple[str, ...], out_dir: str | None, force: bool, max_pixels: int | None, console: Console) -> None:
    """Take the standard file, such as a JPEG, out of .nic files of sandwich models.

    IN is a .nic file, or - for stdin. OUT is the file to write, or - for stdout; without it, IN's name with the suffix of
    what is inside. With --out-dir every argument is an input.
    """
    jobs = plan(paths, out_dir, suffix=None, is_output=lambda path: True, as_json=console.as_json)
    named = out_dir is None and len(paths) > 1

    def take(job: Job) -> dict[str, Any]:
        from ..api import extract
        from ..outputs import atomic_output, check_target
        from ..sources import naming

        if job.target == STREAM:
            streams.check_stdout()
        source = streams.stdin() if job.source == STREAM else job.source
        with naming("stdin" if job.source == STREAM else None):
            data, suffix = extract(source, limits=options.limits(max_pixels))
        target = job.target if named or job.target == STREAM else with_suffix(job, suffix)
        if target == STREAM:
            streams.write_stdout(data)
        else:
            check_target(target, force=force)
            with atomic_output(target, force=force) as file:
                file.write(data)
        shown = "stdout" if target == STREAM else target
        note = _wrong_suffix(target, suffix)
        if note:
            console.note(note)
        console.summary(f"{shown}  {human_size(len(data))}")
        return {
            "output": target,
            "bytes": len(data),
            "format": suffix.removeprefix("."),
            "notes": [note] if note else [],
        }

    batch.run(jobs, take, command="extract", name=lambda job: job.source, console=console)


def _wrong_suffix(target: str, suffix: str) -> str | None:
    """A remark if the name that the user gave says another format than is inside."""
    given = os.path.splitext(target)[1].lower().replace(".jpeg", ".jpg")
    if target == STREAM or given == suffix:
        return None
    return f"{target}: inside is a {suffix} file, which is written as it is"
