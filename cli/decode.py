"""`nicodec decode`: .nic files to images."""

import io
import os
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import click

from . import background, batch, code_files, inner_files, options, streams
from .console import Console
from .levels import LevelWriter
from .paths import STREAM, Job, label, plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..images import Picture

_NIC = ".nic"


@dataclass(frozen=True)
class _Decoder:
    """Does one job after another with the same settings."""

    open_source: "Callable[[str], str | bytes | BinaryIO]"
    model: str | None
    image_format: str | None
    channels: frozenset[int] | None
    allow_partial: bool
    level: int | None
    behind: background.Colour | None
    backend: str
    threads: int | None
    max_pixels: int | None
    force: bool
    console: Console

    def __call__(self, job: Job) -> dict[str, Any]:
        """Decodes one file; returns the record for --json."""
        start = time.perf_counter()
        self._check(job.target)
        picture = self._decode(job.source)
        losses = picture.notes
        for note in losses:
            self.console.note(f"{label(job.source)}: {note}")
        if self.behind is not None:
            picture = background.flatten(picture, self.behind)
        notes = self._write(picture, job.target)
        for note in notes:
            self.console.note(f"{job.target}: {note}")
        seconds = time.perf_counter() - start
        target = "stdout" if job.target == STREAM else job.target
        self.console.summary(f"{target}  {picture.width}x{picture.height}  {seconds:.2f} s")
        return {
            "output": job.target,
            "width": picture.width,
            "height": picture.height,
            "gray": picture.is_gray,
            "alpha": picture.alpha is not None,
            "seconds": round(seconds, 4),
            "notes": [*losses, *notes],
        }

    def _check(self, target: str) -> None:
        from ..image_formats import find_format
        from ..outputs import check_target

        if target == STREAM:
            streams.check_stdout()
            return
        find_format(self.image_format or os.path.splitext(target)[1])
        check_target(target, force=self.force)

    def _decode(self, source: str) -> "Picture":
        from ..api import decode
        from ..sources import naming

        opened, is_inner = inner_files.recognised(self.open_source(source), self.model)
        if is_inner and self.model is not None:
            self._require_whole(source)
            return inner_files.restore(
                opened,
                label=label(source),
                model=self.model,
                backend=self.backend,
                threads=self.threads,
                max_pixels=self.max_pixels,
                console=self.console,
            )
        with self.console.progress("decoding", "tile") as progress, naming("stdin" if source == STREAM else None):
            return decode(
                opened,
                channels=self.channels,
                allow_partial=self.allow_partial,
                level=self.level,
                backend=self.backend,
                threads=self.threads,
                limits=options.limits(self.max_pixels),
                progress=progress,
            )

    def _require_whole(self, source: str) -> None:
        """Refuses options that a bare file of a standard codec has no use for."""
        if self.channels is not None or self.level is not None or self.allow_partial:
            from ..errors import RequestError

            raise RequestError(
                f"{label(source)}: is no .nic file, which --channels, --level and --allow-partial are for: leave them out"
            )

    def _write(self, picture: "Picture", target: str) -> tuple[str, ...]:
        from ..images import save

        if target != STREAM:
            return save(picture, target, format=self.image_format, force=self.force)
        buffer = io.BytesIO()
        notes = save(picture, cast(BinaryIO, buffer), format=self.image_format)
        streams.write_stdout(buffer.getvalue())
        return notes


@click.command(
    epilog="""\b
Examples:
  nicodec decode photo.nic                        writes photo.png beside it
  nicodec decode photo.nic photo.webp             the suffix chooses the format
  nicodec decode --out-dir restored *.nic         writes restored/NAME.png for each
  nicodec decode --channels 0,3-7 photo.nic x.png from some channels only
  nicodec decode - - < photo.nic > photo.png      in a pipe
  nicodec decode -m residual-gru-original codes.npz  a code file, with the model that made it
  nicodec decode -m sandwich-rgb old.jpg new.png  a JPEG, restored by that model's post-processor
  nicodec decode --level 3 photo.nic small.png    an earlier level of a progressive file
  nicodec decode --all-levels levels photo.nic    writes levels/image_00.png and so on
  curl -s URL | nicodec decode --progressive . -  refreshes preview.png as the file arrives

PNG, WebP, TIFF, BMP and PPM are written lossless, JPEG at quality 95. Of pictures with 16 bits per channel (sandwich-hdr), PNG and
TIFF keep all; the others get 8.
"""
)
@click.argument("paths", nargs=-1, required=True, type=options.FILE, metavar="IN [OUT]")
@click.option(
    "--channels",
    callback=options.channel_list,
    metavar="LIST",
    help="Use only these latent channels, such as 0,3-7. Needs a file encoded with --independent-channels.",
)
@click.option(
    "--allow-partial",
    is_flag=True,
    help="Make do with what arrived of a file that is cut off or damaged, where its codec can; say what is missing.",
)
@click.option(
    "--level", type=click.IntRange(min=0), metavar="K", help="Restore this level of a progressive file, from 0 on."
)
@click.option(
    "--all-levels",
    type=options.FILE,
    metavar="DIR",
    help="Restore every level of a progressive file, into DIR/image_00.png and so on.",
)
@click.option(
    "--progressive",
    type=options.FILE,
    metavar="DIR",
    help="Restore a progressive file while it arrives: every level replaces DIR/preview.png.",
)
@click.option("--codes-npz", is_flag=True, help="IN is a code file of the original residual GRU, whatever its name.")
@click.option(
    "-m",
    "--model",
    metavar="ID",
    help="Model of what is no .nic file, which names its own: of a code file (default: residual-gru), or a sandwich model that restores a JPEG.",
)
@click.option(
    "--format",
    "image_format",
    metavar="SUFFIX",
    help="Image format, such as png or webp. Default: OUT's suffix, or png.",
)
@click.option(
    "--background", "colour", metavar="COLOUR", help="Put a colour, such as '#fff', behind a transparent picture."
)
@options.output_options
@options.network_options
@options.max_pixels_option
@options.console_options
def command(
    paths: tuple[str, ...],
    channels: frozenset[int] | None,
    allow_partial: bool,
    level: int | None,
    all_levels: str | None,
    progressive: str | None,
    codes_npz: bool,
    model: str | None,
    image_format: str | None,
    colour: str | None,
    out_dir: str | None,
    force: bool,
    backend: str,
    threads: int | None,
    max_pixels: int | None,
    console: Console,
) -> None:
    """Decode .nic files to images.

    IN is a .nic file, or - for stdin. OUT is the image to write, or - for stdout; without it, IN's name with the suffix
    .png. With --out-dir every argument is an input; if one fails, the others are still done and the exit code is 1.
    """
    suffix = "." + (image_format or "png").lower().removeprefix(".")
    if image_format is not None:
        from ..image_formats import find_format

        find_format(image_format)
    open_source = partial(
        code_files.nic_source,
        model=model or code_files.DEFAULT_MODEL,
        codes_npz=codes_npz,
        max_pixels=max_pixels,
        console=console,
    )
    folder = all_levels or progressive
    if folder is not None:
        _require_alone(all_levels, progressive, paths, (channels, level, colour, out_dir), allow_partial)
        writer = LevelWriter(folder, suffix, open_source, backend, threads, max_pixels, force, console)
        write = writer.write_arriving if all_levels is None else writer.write_all
        batch.run(paths, write, command="decode", name=lambda path: path, console=console)
        return
    jobs = plan(paths, out_dir, suffix=suffix, is_output=_is_output, as_json=console.as_json)
    behind = None if colour is None else background.parse_colour(colour)
    decoder = _Decoder(
        open_source=open_source,
        model=model,
        image_format=image_format,
        channels=channels,
        allow_partial=allow_partial,
        level=level,
        behind=behind,
        backend=backend,
        threads=threads,
        max_pixels=max_pixels,
        force=force,
        console=console,
    )
    batch.run(jobs, decoder, command="decode", name=lambda job: job.source, console=console)


def _require_alone(
    all_levels: str | None,
    progressive: str | None,
    paths: tuple[str, ...],
    others: tuple[object, ...],
    allow_partial: bool,
) -> None:
    """Refuses what does not go with a folder of levels."""
    if None not in (all_levels, progressive):
        raise click.UsageError("--all-levels and --progressive exclude each other: leave one out.")
    option = "--progressive" if all_levels is None else "--all-levels"
    if len(paths) > 1:
        raise click.UsageError(f"{option} takes one input and no OUT: the images go into its folder.")
    if allow_partial or any(value is not None for value in others):
        raise click.UsageError(
            f"{option} does not go with --channels, --level, --background, --out-dir or --allow-partial: leave them out."
        )


def _is_output(path: str) -> bool:
    """Whether a second argument can be meant as OUT: not if it is a .nic file or a code file."""
    return os.path.splitext(path)[1].lower() not in (_NIC, code_files.SUFFIX)
