"""`python -m nicodec.evaluation`: the measurements behind the README."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from ..api import DEFAULT_MODEL
from ..codecs.base import EncodeSettings
from ..errors import NicodecError
from ..models import zoo
from . import curve_commands, decode_speed, level_commands, rate_distortion, sandwich_commands, speed
from .efforts import measure_efforts
from .sweeps import pictures_of
from .timing import Row


class _Group(click.Group):
    """Turns our errors into one line on stderr and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except NicodecError as error:
            click.echo(f"error: {' '.join(str(error).split())}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=_Group)
def main() -> None:
    """Measures the installed models, and compares them with other codecs."""


for _command in (
    curve_commands.curve_command,
    curve_commands.standards_command,
    curve_commands.bd_command,
    curve_commands.at_command,
    curve_commands.plot_command,
    level_commands.levels_command,
    level_commands.level_speed_command,
    level_commands.strip_command,
    sandwich_commands.proxy_command,
    sandwich_commands.bottleneck_command,
    sandwich_commands.deepen_command,
    sandwich_commands.sandwich_speed_command,
):
    main.add_command(_command)


@main.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", "models", multiple=True, help="Model id; repeatable. Default: all installed.")
@click.option("--quality", type=click.FloatRange(0, 100), metavar="Q", help="0 to 100, for models of variable rate.")
@click.option(
    "--effort", type=click.IntRange(1, 9), default=5, show_default=True, metavar="1..9", help="Encoder effort."
)
@click.option("--details", is_flag=True, help="Also print every picture, as JSON lines.")
def rd(folder: Path, models: tuple[str, ...], quality: float | None, effort: int, details: bool) -> None:
    """Rate and distortion of whole files, averaged over the PNG files of FOLDER, one JSON line for each model."""
    settings = EncodeSettings(quality=quality, effort=effort)
    paths = pictures_of(folder)
    for name in models or tuple(dict.fromkeys(model.id for model in zoo.installed())):
        points = rate_distortion.measure_folder(zoo.find(name), paths, settings)
        shown = {"model": name, "quality": quality, "effort": effort}
        if details:
            for point in rate_distortion.as_json(points):
                click.echo(json.dumps({**shown, **point}))
        click.echo(json.dumps({**shown, **rate_distortion.summarise(folder.resolve().name, points)}))


@main.command("efforts")
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model", default=DEFAULT_MODEL, show_default=True, metavar="ID", help="Model.")
@click.option(
    "--quality",
    "qualities",
    callback=curve_commands.read_qualities,
    default="14,43,71,100",
    show_default=True,
    metavar="Q,Q,...",
    help="Qualities that make a curve, two or more.",
)
@click.option(
    "--effort",
    "efforts",
    type=click.IntRange(1, 9),
    multiple=True,
    default=(1, 5, 7, 8, 9),
    show_default=True,
    metavar="1..9",
    help="Effort; repeatable. All are compared with the first.",
)
def efforts_command(folder: Path, model: str, qualities: tuple[float, ...], efforts: tuple[int, ...]) -> None:
    """What each effort gains on the PNG files of DIR (BD-rate over PSNR) and what it takes, one JSON line for each.

    From 7 on an effort takes minutes for a picture and quality.
    """
    paths, chosen = pictures_of(folder), zoo.find(model)
    for gain in measure_efforts(chosen, paths, qualities, dict.fromkeys(efforts)):
        rounded = {name: round(value, 2) for name, value in asdict(gain).items()}
        click.echo(json.dumps({"model": chosen.id, "pictures": len(paths), **rounded}))


@main.command("speed")
@click.option("--model", default="l3ic-32c", show_default=True, help="Model id.")
@click.option("--memory/--no-memory", default=False, help="Also code a 100-megapixel picture (minutes).")
def speed_command(model: str, memory: bool) -> None:
    """Start-up, decode, entropy-coding share, coding overhead and, if asked, peak memory."""
    chosen = zoo.find(model)
    measurements: list[Callable[[zoo.Model], list[Row]]]
    measurements = [speed.start_up, speed.whole_decode, speed.shares, speed.overhead]
    if memory:
        measurements.append(speed.memory)
    for measure in measurements:
        _show(measure(chosen))


@main.command("decode-speed")
@click.option("--model", default="shallow-two-layer", show_default=True, help="Model id.")
@click.option(
    "--threads", type=click.IntRange(min=1), default=2, show_default=True, metavar="N", help="Threads and cores."
)
def decode_speed_command(model: str, threads: int) -> None:
    """Decoding in process, without and with the context profile, beside a matrix product of as many operations."""
    chosen = zoo.find(model)
    for width, height in decode_speed.SIZES:
        _show(decode_speed.measure(chosen, width, height, threads))


def _show(rows: list[Row]) -> None:
    for label, value in rows:
        click.echo(f"{label:<55} {value}")


if __name__ == "__main__":
    main()
