"""The commands that measure progressive models level by level, and show what the levels look like."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from .. import images
from ..image_formats import find_format
from ..models import zoo
from ..outputs import check_target
from . import level_files, level_speed, strip
from .curves import Metric
from .levels import (
    Fall,
    LevelMeans,
    PictureLevels,
    falls,
    level_count,
    means,
    measure_levels,
    msssim_at,
    require_levels,
)
from .sweeps import pictures_of

_METRICS: dict[Metric, str] = {"psnr": "PSNR", "msssim": "MS-SSIM"}
_MOST_EXCEPTIONS = 10

_model_option = click.option("--model", default="residual-gru", show_default=True, metavar="ID", help="Model.")
_force_option = click.option("-f", "--force", is_flag=True, help="Replace outputs that exist.")


def read_levels(ctx: click.Context, param: click.Parameter, text: str) -> tuple[int, ...]:
    """Reads a list such as 0,3,15; the callback of an option."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) <= 4 for part in parts):
        raise click.BadParameter(f"{text!r} is not a list of levels: write for example 0,3,15.")
    return tuple(sorted({int(part) for part in parts}))


_levels_option = click.option(
    "--levels",
    callback=read_levels,
    default=",".join(map(str, level_speed.LEVELS)),
    show_default=True,
    metavar="K,K,...",
    help="Levels, from 0.",
)


@click.command("levels")
@click.argument("folder", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_model_option
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), metavar="DIR", help="Where to write; it is made if needed."
)
@_force_option
def levels_command(folder: Path, model: str, out: Path, force: bool) -> None:
    """Rate and quality of every level on the PNG files of FOLDER.

    Writes bitrate.csv, msssim.csv and psnr.csv (a row for each picture, a column for each level), levels.json (means, what
    entropy coding saves, where a level is no better than the one before) and curve.json (for bd and plot) into DIR. Rates
    are those of whole files truncated to the level.
    """
    paths, chosen = pictures_of(folder), zoo.find(model)
    level_count(chosen)
    level_files.prepare(out, force=force)
    pictures = measure_levels(chosen, paths)
    level_files.write(out, level_files.texts(chosen, folder.resolve().name, pictures), force=force)
    for line in _report(pictures, means(chosen.id, pictures)):
        click.echo(line)


def _report(pictures: Sequence[PictureLevels], found: Sequence[LevelMeans]) -> list[str]:
    lines = ["level  nominal bpp      bpp   saved  so far     PSNR  MS-SSIM"]
    for level in found:
        psnr = "inf" if level.point.psnr is None else f"{level.point.psnr:.2f}"
        lines.append(
            f"{level.level:5}  {level.nominal_bpp:11.3f}  {level.point.bpp:7.4f}  {level.saving:6.1%}  "
            f"{level.saving_so_far:6.1%}  {psnr:>7}  {level.point.msssim or 0:7.4f}"
        )
    for bpp, published in level_files.JPEG.items():
        reached = msssim_at(bpp, found)
        text = "not reached by any level" if reached is None else f"{reached:.4f}"
        lines.append(f"MS-SSIM at {bpp:.2f} bpp: {text} (JPEG on Kodak, published: {published:.3f})")
    return [*lines, *exception_lines(falls(pictures))]


def exception_lines(found: Sequence[Fall]) -> list[str]:
    """The first levels that are no better than the one before, and how many more there are."""
    if not found:
        return ["PSNR and MS-SSIM rise with every level of every picture."]
    lines = [
        f"{fall.picture} level {fall.level}: {_METRICS[fall.metric]} is {_number(fall.value)} after {_number(fall.before)}"
        for fall in found[:_MOST_EXCEPTIONS]
    ]
    more = len(found) - len(lines)
    return [*lines, f"and {more} more that are no better than the level before: see levels.json"] if more else lines


def _number(value: float | None) -> str:
    return "inf" if value is None else f"{value:.5f}"


@click.command("level-speed")
@_model_option
@_levels_option
@click.option(
    "--threads", type=click.IntRange(min=1), default=2, show_default=True, metavar="N", help="Threads and cores."
)
@click.option(
    "--runs", type=click.IntRange(min=1), default=level_speed.RUNS, show_default=True, metavar="N", help="Of each part."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line for each level.")
def level_speed_command(model: str, levels: tuple[int, ...], threads: int, runs: int, as_json: bool) -> None:
    """Seconds of encoding and decoding at several levels, beside matrix products of as many operations."""
    chosen = zoo.find(model)
    found = level_speed.measure(chosen, levels, threads, runs)
    width, height = level_speed.SIZE
    if as_json:
        common = {"model": chosen.id, "revision": chosen.revision, "width": width, "height": height}
        for times in found:
            click.echo(json.dumps({**common, "threads": threads, "runs": runs, **asdict(times)}))
        return
    click.echo(f"{chosen.id} {width}x{height}, threads: {threads}, median seconds, runs: {runs}")
    click.echo("level      bpp   encode  / product   decode  / product  entropy decoding")
    for times in found:
        click.echo(
            f"{times.level:5}  {times.bpp:7.4f}  {times.encode:7.3f}  {times.encode / times.encode_product:9.2f}  "
            f"{times.decode:7.3f}  {times.decode / times.decode_product:9.2f}  {times.entropy:16.3f}"
        )


@click.command("strip")
@click.argument("picture", metavar="PICTURE", type=click.Path(dir_okay=False, path_type=Path))
@_model_option
@_levels_option
@click.option("--crop", metavar="WxH+X+Y", help="Detail to show, in pixels. Default: 192x224 in the middle.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Image.")
@_force_option
def strip_command(picture: Path, model: str, levels: tuple[int, ...], crop: str | None, out: Path, force: bool) -> None:
    """A detail of PICTURE at several levels side by side, the original at the right.

    Above each are bits per pixel of the whole file truncated to the level, and MS-SSIM of the whole picture.
    """
    asked = None if crop is None else strip.Crop.parse(crop)
    chosen = zoo.find(model)
    find_format(out.suffix)
    check_target(out, force=force)
    loaded = images.load(picture)
    detail = strip.Crop.middle(loaded) if asked is None else asked
    detail.require_within(loaded)
    require_levels(chosen, levels)
    drawn = strip.draw(strip.panels(loaded, chosen, levels, detail))
    # The strip is of colours even where the picture, and so its profile, is gray.
    profile = None if loaded.is_gray else loaded.icc
    images.save(images.Picture(pixels=drawn, icc=profile), out, force=force)
