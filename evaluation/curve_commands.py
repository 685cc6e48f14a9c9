"""The commands that measure, compare and plot rate-distortion curves."""

import itertools
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..api import EncodeOptions
from ..errors import RequestError
from ..models import zoo
from ..outputs import atomic_output, check_target
from . import curve_files, model_curves, plots, selection
from . import standards as standard_codecs
from .bd_rate import at_rate, bd_rate
from .curves import METRICS, Curve, CurvePoint, Metric
from .sweeps import pictures_of

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(dir_okay=False, path_type=Path)
_MAX_QUALITY = 100
_LOW_OVERLAP = 0.75

STANDARD_NAMES = (
    *("jpeg", "jpeg-optimised", "jpeg-truncated", "jpeg-sloped", "jpeg-bent", "jpeg-restored", "jpeg-444", "jpeg-half"),
    *("webp", "avif", "avif-psnr"),
)
"""Those of `standards.standards()`."""

_DEFAULT_STANDARDS = ("jpeg", "webp", "avif", "avif-psnr")

_force_option = click.option("-f", "--force", is_flag=True, help="Replace the output if it exists.")
_out_option = click.option("--out", required=True, type=_FILE, metavar="FILE", help="Where to write the result.")
_reference_option = click.option(
    "--reference",
    "references",
    multiple=True,
    type=_FILE,
    metavar="FILE",
    help="File of published curves, which may then be named; repeatable.",
)


def read_qualities(ctx: click.Context, param: click.Parameter, text: str | None) -> tuple[float, ...]:
    """Reads a list such as 0,10,37.5; the callback of an option."""
    if text is None:
        return ()
    try:
        values = tuple(float(part) for part in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of numbers: write for example 0,25,50.") from None
    if not all(0 <= value <= _MAX_QUALITY for value in values):
        raise click.BadParameter(f"{text!r} is not within 0 to {_MAX_QUALITY}.")
    return tuple(dict.fromkeys(values))


@click.command("curve")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option("--model", "models", multiple=True, required=True, metavar="ID", help="Model; repeatable.")
@click.option(
    "--quality", "qualities", callback=read_qualities, metavar="Q,Q,...", help="Qualities to sweep, 0 to 100."
)
@click.option("--effort", type=int, metavar="N", help="Encoder effort.")
@click.option("--fast-decode", is_flag=True, help="Files that decode faster.")
@click.option("--join", metavar="NAME", help="Make one curve of that name out of all points.")
@_out_option
@_force_option
def curve_command(
    folder: Path,
    models: tuple[str, ...],
    qualities: tuple[float, ...],
    effort: int | None,
    fast_decode: bool,
    join: str | None,
    out: Path,
    force: bool,
) -> None:
    """Measures models on the PNG files of DIR: one point at each quality, or one in all if no quality is given.

    Every model becomes a curve, unless --join makes one of them all. Prints one JSON line for each point.
    """
    paths = pictures_of(folder)
    check_target(out, force=force)
    chosen = [zoo.find(name) for name in dict.fromkeys(models)]
    settings: EncodeOptions = {}
    if effort is not None:
        settings["effort"] = effort
    if fast_decode:
        settings["fast_decode"] = True
    curves = [
        Curve(
            name=" ".join([model.id, *([f"effort {effort}"] if effort else []), *(["fast"] if fast_decode else [])]),
            points=tuple(model_curves.measure_model(model, paths, qualities, **settings)),
            dataset=folder.resolve().name,
            source=model_curves.source(model),
        )
        for model in chosen
    ]
    _finish(curves if join is None else [_joined(join, curves)], out, force)


def _joined(name: str, curves: Sequence[Curve]) -> Curve:
    return Curve(
        name=name,
        points=tuple(point for curve in curves for point in curve.points),
        dataset=curves[0].dataset,
        source="; ".join(curve.source for curve in curves),
    )


@click.command("standards")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "--codec",
    "names",
    multiple=True,
    type=click.Choice(STANDARD_NAMES),
    help=f"Codec; repeatable. Default: {', '.join(_DEFAULT_STANDARDS)}.",
)
@click.option(
    "--quality",
    "qualities",
    callback=read_qualities,
    metavar="Q,Q,...",
    help=f"Qualities of every codec, 1 to 100. Default: {','.join(map(str, standard_codecs.QUALITIES))}.",
)
@click.option(
    "--avif-speed",
    type=click.IntRange(0, 10),
    default=standard_codecs.AVIF_SPEED,
    show_default=True,
    metavar="N",
    help="0 (slowest, smallest files) to 10.",
)
@_out_option
@_force_option
def standards_command(
    folder: Path, names: tuple[str, ...], qualities: tuple[float, ...], avif_speed: int, out: Path, force: bool
) -> None:
    """Measures JPEG, WebP and AVIF on the PNG files of DIR. Prints one JSON line for each point.

    What this Pillow cannot write is left out, with a note on stderr. avif is as Pillow writes it by default, avif-psnr
    is 4:4:4 and tuned for PSNR.
    """
    whole = [int(quality) for quality in qualities or standard_codecs.QUALITIES]
    if list(qualities or whole) != whole or 0 in whole:
        raise RequestError("standard codecs have whole qualities from 1 to 100: write for example 10,50,90")
    paths = pictures_of(folder)
    check_target(out, force=force)
    wanted = names or _DEFAULT_STANDARDS
    found = _usable([codec for codec in standard_codecs.standards(avif_speed) if codec.name in wanted])
    dataset = folder.resolve().name
    curves = [standard_codecs.measure_standard(codec, dataset, paths, whole) for codec in found]
    _finish(curves, out, force)


def _usable(codecs: Sequence[standard_codecs.Standard]) -> list[standard_codecs.Standard]:
    usable: list[standard_codecs.Standard] = []
    for codec in codecs:
        obstacle = standard_codecs.obstacle(codec)
        if obstacle is None:
            usable.append(codec)
        else:
            click.echo(f"note: {codec.name} is left out: {obstacle}", err=True)
    if not usable:
        raise RequestError("none of the codecs can be measured with this Pillow: install one that writes them")
    return usable


@click.command("bd")
@click.argument("anchor", metavar="ANCHOR")
@click.argument("test", metavar="TEST")
@click.option("--metric", type=click.Choice(METRICS), default="psnr", show_default=True, help="Quality that is equal.")
@_reference_option
@click.pass_context
def bd_command(ctx: click.Context, anchor: str, test: str, metric: Metric, references: tuple[Path, ...]) -> None:
    """BD-rate of TEST against ANCHOR in percent: negative where TEST needs fewer bits at equal quality.

    Both are files of curves, or names: published/jpeg, published/bpg444, or those of curves in a --reference file.
    Prints one JSON line for each pair of curves, with the range of quality that the mean is taken over, and the mean gain
    of TEST at equal bits. MS-SSIM counts on its scale of decibel.
    """
    code = 0
    for first, second in itertools.product(*selection.select([anchor, test], references)):
        try:
            click.echo(json.dumps(_difference(first, second, metric)))
        except RequestError as error:
            # Of several pairs, the others may still be comparable.
            click.echo(f"error: {error}", err=True)
            code = error.exit_code
    ctx.exit(code)


def _difference(anchor: Curve, test: Curve, metric: Metric) -> dict[str, Any]:
    result = bd_rate(anchor, test, metric)
    if result.shared < _LOW_OVERLAP:
        text = f"{anchor.name} and {test.name} have only {result.low:.2f} to {result.high:.2f} dB in common"
        click.echo(f"note: {text}: measure at more qualities to compare them as a whole", err=True)
    scale = "psnr" if metric == "psnr" else "msssim_db"
    return {
        "anchor": anchor.name,
        "test": test.name,
        "bd_rate_percent": round(result.percent, 2),
        f"bd_{metric}_db": None if result.gain is None else round(result.gain, 2),
        f"{scale}_low": round(result.low, 2),
        f"{scale}_high": round(result.high, 2),
        "shared": round(result.shared, 2),
    }


@click.command("at")
@click.argument("curves", metavar="CURVES...", nargs=-1, required=True)
@click.option(
    "--bpp", type=click.FloatRange(min=0, min_open=True), required=True, multiple=True, help="Rate; repeatable."
)
@_reference_option
@click.pass_context
def at_command(
    ctx: click.Context, curves: tuple[str, ...], bpp: tuple[float, ...], references: tuple[Path, ...]
) -> None:
    """PSNR and MS-SSIM of CURVES, as for `bd`, at rates between their points.

    Prints one JSON line for each curve and rate; null for rates that the curve does not reach.
    """
    code = 0
    for curve in itertools.chain(*selection.select(curves, references)):
        try:
            for rate in bpp:
                found = {metric: at_rate(curve, metric, rate) for metric in METRICS}
                rounded = {metric: None if value is None else round(value, 4) for metric, value in found.items()}
                click.echo(json.dumps({"curve": curve.name, "bpp": rate, **rounded}))
        except RequestError as error:
            # The other curves may still be read.
            click.echo(f"error: {error}", err=True)
            code = error.exit_code
    ctx.exit(code)


@click.command("plot")
@click.argument("names", metavar="CURVES...", nargs=-1, required=True)
@_reference_option
@click.option("--title", default="", help="Heading.")
@click.option("--max-bpp", type=click.FloatRange(min=0, min_open=True), metavar="X", help="Leave out higher rates.")
@_out_option
@_force_option
def plot_command(
    names: tuple[str, ...], references: tuple[Path, ...], title: str, max_bpp: float | None, out: Path, force: bool
) -> None:
    """Plots curves: bpp against PSNR and MS-SSIM in decibel, as SVG or PNG by the suffix of the output.

    CURVES are files, all of whose curves are drawn, or names: published/jpeg, published/bpg444, or those of curves in a
    --reference file.
    """
    check_target(out, force=force)
    curves = [curve for selected in selection.select(names, references) for curve in selected]
    drawn = plots.render(curves, out.suffix.removeprefix(".").lower(), title=title, max_bpp=max_bpp)
    with atomic_output(out, force=force) as file:
        file.write(drawn)


def _finish(curves: Sequence[Curve], out: Path, force: bool) -> None:
    for curve in curves:
        for point in curve.points:
            click.echo(json.dumps({"curve": curve.name, **_summary(point)}))
    with atomic_output(out, force=force) as file:
        file.write(curve_files.to_json(curves).encode())


def _summary(point: CurvePoint) -> dict[str, Any]:
    values = {name: value for name, value in asdict(point).items() if name != "pictures"}
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
