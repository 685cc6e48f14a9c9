"""The commands that measure what a standard codec is sandwiched in, and its differentiable stand-in."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .. import images
from ..image_formats import find_format
from ..models import zoo
from ..outputs import check_target
from . import bottleneck, deepen, proxy_fidelity, sandwich_speed, strip
from .sweeps import pictures_of


@click.command("jpeg-proxy")
@click.argument("folder", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--step",
    "steps",
    type=click.IntRange(1, 255),
    multiple=True,
    default=proxy_fidelity.STEPS,
    show_default=True,
    metavar="N",
    help="Quantisation step of all coefficients; repeatable.",
)
@click.option("--subsampled", is_flag=True, help="Code colour at half the resolution (4:2:0).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line for each step.")
def proxy_command(folder: Path, steps: tuple[int, ...], subsampled: bool, as_json: bool) -> None:
    """The differentiable JPEG beside libjpeg with the same step, on the PNG files of FOLDER."""
    paths = pictures_of(folder)
    found = proxy_fidelity.measure(paths, sorted(set(steps)), subsampled=subsampled)
    if as_json:
        for fidelity in found:
            click.echo(json.dumps({"pictures": len(paths), **_finite(asdict(fidelity))}))
        return
    click.echo(f"{len(paths)} pictures, colour {'4:2:0' if subsampled else '4:4:4'}; libjpeg / proxy")
    click.echo("step         PSNR        largest gap           bpp       largest gap  Gaussian bpp")
    for one in found:
        click.echo(
            f"{one.step:4}  {one.psnr:6.2f} /{one.proxy_psnr:6.2f}  {one.largest_gap:8.2f} dB  "
            f"{one.bpp:7.3f} /{one.proxy_bpp:7.3f}  {one.largest_rate_gap:11.1%}  {one.gaussian_bpp:12.3f}"
        )


def _finite(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity: the PSNR of what is coded without loss is null."""
    return {name: value if math.isfinite(value) else None for name, value in values.items()}


@click.command("sandwich-speed")
@click.option("--model", "models", multiple=True, required=True, metavar="ID", help="Sandwich model; repeatable.")
@click.option(
    "--threads", type=click.IntRange(min=1), default=2, show_default=True, metavar="N", help="Threads and cores."
)
@click.option(
    "--runs",
    type=click.IntRange(min=1),
    default=sandwich_speed.RUNS,
    show_default=True,
    metavar="N",
    help="Of each part.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line for each model.")
def sandwich_speed_command(models: tuple[str, ...], threads: int, runs: int, as_json: bool) -> None:
    """Seconds of encoding and decoding, beside the standard codec alone and matrix products of as many operations."""
    width, height = sandwich_speed.SIZE
    for model in [zoo.find(name) for name in models]:
        times = sandwich_speed.measure(model, threads, runs)
        if as_json:
            common = {"model": model.id, "revision": model.revision, "width": width, "height": height}
            click.echo(json.dumps({**common, "threads": threads, "runs": runs, **asdict(times)}))
            continue
        click.echo(
            f"{model.id} {width}x{height}, {times.bpp:.2f} bpp: "
            f"encode {times.encode:.3f} s (standard codec {times.standard_encode:.3f} s, product {times.encode_product:.3f} s), "
            f"decode {times.decode:.3f} s (standard codec {times.standard_decode:.3f} s, product {times.decode_product:.3f} s)"
        )


@click.command("deepen")
@click.argument("folder", metavar="FOLDER", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument("out", metavar="OUT", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--bits", type=click.IntRange(9, deepen.MOST_BITS), default=12, show_default=True, metavar="N", help="Per sample."
)
@click.option("-f", "--force", is_flag=True, help="Replace outputs that exist.")
def deepen_command(folder: Path, out: Path, bits: int, force: bool) -> None:
    """Makes 16-bit PNG files of the 8-bit ones in FOLDER, with samples of so many bits that round to theirs.

    They are for measuring models that keep more than 8 bits where there are no such pictures: what is added is noise.
    """
    paths = pictures_of(folder)
    out.mkdir(parents=True, exist_ok=True)
    for path in paths:
        check_target(out / path.name, force=force)
    for path in paths:
        images.save(deepen.deepened(images.load(path), bits, path.name), out / path.name, force=force)


@click.command("bottleneck")
@click.argument("picture", metavar="PICTURE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--model", "models", multiple=True, required=True, metavar="ID", help="Sandwich model; repeatable.")
@click.option("--quality", type=click.FloatRange(0, 100), default=50, show_default=True, metavar="Q", help="0 to 100.")
@click.option("--crop", metavar="WxH+X+Y", help="Detail to show, in pixels. Default: 192x224 in the middle.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Image.")
@click.option("-f", "--force", is_flag=True, help="Replace outputs that exist.")
def bottleneck_command(
    picture: Path, models: tuple[str, ...], quality: float, crop: str | None, out: Path, force: bool
) -> None:
    """A detail of PICTURE, of the standard file inside the sandwich, and of the restored picture, side by side.

    Above each are bits per pixel of the whole file, PSNR and MS-SSIM of the whole picture.
    """
    asked = None if crop is None else strip.Crop.parse(crop)
    chosen = [zoo.find(name) for name in models]
    find_format(out.suffix)
    check_target(out, force=force)
    loaded = images.load(picture, deep=True)
    detail = strip.Crop.middle(loaded) if asked is None else asked
    detail.require_within(loaded)
    drawn = strip.draw(bottleneck.panels(loaded, chosen, quality, detail))
    images.save(images.Picture(pixels=drawn, icc=None if loaded.is_gray else loaded.icc), out, force=force)
