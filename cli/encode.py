"""`nicodec encode`: images to .nic files."""

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from . import batch, code_files, options, rate, streams
from .console import Console, human_size
from .paths import STREAM, Job, label, plan

if TYPE_CHECKING:
    from ..api import Encoded, EncodeOptions
    from ..codecs.target import Target
    from ..images import Picture
    from ..models.zoo import Family, Model

_SUFFIX = ".nic"
_NO_LIMIT = 1 << 32


@dataclass(frozen=True)
class _Encoder:
    """Does one job after another with the same settings."""

    model: "Model | Family"
    target: "Target | None"
    settings: "EncodeOptions"
    strip: frozenset[str]
    max_pixels: int | None
    codes_npz: bool
    force: bool
    console: Console

    def __call__(self, job: Job) -> dict[str, Any]:
        """Encodes one image; returns the record for --json."""
        from ..outputs import check_target

        start = time.perf_counter()
        if job.target == STREAM:
            streams.check_stdout()
        else:
            check_target(job.target, force=self.force)
        picture, input_bytes = self._load(job.source)
        encoded = self._encode(picture, label(job.source))
        for note in encoded.notes:
            self.console.note(f"{label(job.source)}: {note}")
        data = self._code_file(encoded.data) if self.codes_npz else encoded.data
        if self.codes_npz and picture.alpha is not None:
            self.console.note(f"{label(job.source)}: a code file holds no transparency: it is left out")
        self._write(data, job.target)
        record = {
            "output": job.target,
            "model": encoded.model.id,
            **rate.record(encoded, self.target),
            "level": _level(encoded.data),
            "width": picture.width,
            "height": picture.height,
            "bytes": len(data),
            "bpp": round(8 * len(data) / (picture.width * picture.height), 6),
            "input_bytes": input_bytes,
            "seconds": round(time.perf_counter() - start, 4),
            "notes": [*picture.notes, *encoded.notes],
        }
        self.console.summary(_summary(job, record, rate.summary(encoded, self.target)))
        return record

    def _load(self, source: str) -> "tuple[Picture, int | None]":
        """The picture, and the bytes of its file unless that is a pipe."""
        from ..api import keeps_depth
        from ..images import MAX_PIXELS, load

        content = streams.stdin().read() if source == STREAM else source
        picture = load(content, max_pixels=self.max_pixels or MAX_PIXELS, deep=keeps_depth(self.model))
        for note in picture.notes:
            self.console.note(f"{label(source)}: {note}")
        return picture, len(content) if isinstance(content, bytes) else os.path.getsize(content) or None

    def _encode(self, picture: "Picture", name: str) -> "Encoded":
        from ..api import encode_with_details
        from ..sources import naming

        with self.console.progress("encoding", "part") as progress, naming(name):
            encoded = encode_with_details(
                picture,
                model=self.model,
                target=self.target,
                strip=self.strip,
                max_pixels=self.max_pixels,
                progress=progress,
                **self.settings,
            )
        model = encoded.model
        self.console.detail(f"{name}: {picture.width}x{picture.height}, model {model.id} in {model.folder}")
        return encoded

    def _code_file(self, data: bytes) -> bytes:
        from ..api import to_code_file

        # The .nic file is our own, and with its padding it may be over the limit that the user gave.
        return to_code_file(data, limits=options.limits(None if self.max_pixels is None else _NO_LIMIT))

    def _write(self, data: bytes, target: str) -> None:
        from ..outputs import atomic_output

        if target == STREAM:
            streams.write_stdout(data)
            return
        with atomic_output(target, force=self.force) as file:
            file.write(data)


@click.command(
    epilog="""\b
Examples:
  nicodec encode photo.jpg                             writes photo.nic beside it
  nicodec encode --quality 75 in.png out.nic           higher quality, larger file
  nicodec encode --target-size 50kB in.png             the best picture in 50 kB
  nicodec encode --target-msssim 0.97 in.png           the smallest file that good
  nicodec encode -m l3ic-32c in.png out.nic            another model
  nicodec encode --out-dir coded a.png b.jpg           writes coded/a.nic and coded/b.nic
  nicodec encode - - < in.png > out.nic                in a pipe

The picture keeps its ICC profile, EXIF and XMP; --strip leaves them out.
"""
)
@click.argument("paths", nargs=-1, required=True, type=options.FILE, metavar="IN [OUT]")
@click.option(
    "-m",
    "--model",
    default="shallow-two-layer",
    show_default=True,
    metavar="ID",
    help="Model; see 'nicodec models'. Or a family, l3ic: quality or target then choose the model.",
)
@rate.rate_options
@click.option(
    "--independent-channels",
    is_flag=True,
    help="Code every latent channel on its own, for 'decode --channels'. Larger files.",
)
@click.option(
    "--inner",
    type=click.Choice(("jpeg", "webp", "avif", "jpeg2000")),
    help="Standard codec inside, for sandwich models. Default: what the model was trained for, jpeg.",
)
@click.option(
    "--codes-npz",
    is_flag=True,
    help="Write the code file of the original residual GRU, .npz, instead: bits without entropy coding, picture size, transparency or metadata.",
)
@click.option(
    "--strip",
    multiple=True,
    type=click.Choice(("all", *options.METADATA)),
    help="Leave metadata out; may be repeated.",
)
@options.output_options
@options.network_options
@options.max_pixels_option
@options.console_options
def command(
    paths: tuple[str, ...],
    model: str,
    wanted: rate.Rate,
    independent_channels: bool,
    inner: str | None,
    codes_npz: bool,
    strip: tuple[str, ...],
    out_dir: str | None,
    force: bool,
    backend: str,
    threads: int | None,
    max_pixels: int | None,
    console: Console,
) -> None:
    """Encode images to .nic files.

    IN is any image that Pillow reads, or - for stdin. OUT is the .nic file to write, or - for stdout; without it, IN's
    name with the suffix .nic. With --out-dir every argument is an input; if one fails, the others are still done and
    the exit code is 1.
    """
    from ..models import zoo

    suffix = code_files.SUFFIX if codes_npz else _SUFFIX
    jobs = plan(paths, out_dir, suffix=suffix, is_output=_is_output, as_json=console.as_json)
    chosen = zoo.find_model_or_family(model)
    if codes_npz:
        _require_codes(chosen)
    encoder = _Encoder(
        model=chosen,
        target=wanted.target,
        settings={
            "independent_channels": independent_channels,
            "quality": wanted.quality,
            "level": wanted.level,
            "effort": wanted.effort,
            "fast_decode": wanted.fast_decode,
            "inner": inner,
            "backend": backend,
            "threads": threads,
        },
        strip=frozenset(options.METADATA if "all" in strip else strip),
        max_pixels=max_pixels,
        codes_npz=codes_npz,
        force=force,
        console=console,
    )
    batch.run(jobs, encoder, command="encode", name=lambda job: job.source, console=console)


def _level(data: bytes) -> int | None:
    """The last level of a progressive file."""
    from ..api import info

    level = info(data).parameters.get("level")
    return None if level is None else int(level)


def _require_codes(model: "Model | Family") -> None:
    """Refuses, before any work is done, a model whose files have no binary codes.

    Raises:
        RequestError: it is one.
    """
    from ..codecs.gru_header import NUMBER
    from ..errors import RequestError
    from ..models.zoo import Family

    if isinstance(model, Family) or model.codec != NUMBER:
        name = model.name if isinstance(model, Family) else model.id
        raise RequestError(f"{name} has no binary codes for a code file: choose a residual-gru model")


def _is_output(path: str) -> bool:
    """Whether a second argument can be meant as OUT: not if it is named like an image."""
    from ..images import readable_suffixes

    return os.path.splitext(path)[1].lower() not in readable_suffixes()


def _summary(job: Job, record: dict[str, Any], found: list[str]) -> str:
    target = "stdout" if job.target == STREAM else job.target
    parts = [target, human_size(record["bytes"]), f"{record['bpp']:.2f} bpp"]
    if record["input_bytes"] is not None:
        parts.append(f"{_share(record['bytes'], record['input_bytes'])} of {label(job.source)}")
    return "  ".join((*parts, *found, f"{record['seconds']:.2f} s"))


def _share(part: int, whole: int) -> str:
    """How much `part` is of `whole`, as people say it.

    >>> _share(1, 17), _share(3, 4)
    ('1/17', '75%')
    """
    return f"1/{whole / part:.0f}" if whole >= 2 * part else f"{100 * part / whole:.0f}%"
