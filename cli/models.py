"""`nicodec models`: what is installed, how good it is and what it costs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import click

from . import options
from .console import Console, human_size
from .tables import aligned

if TYPE_CHECKING:
    from ..models.zoo import Model

_UNKNOWN = "-"
_PREFERRED_DATASET = "kodak"
_POINT = (("bpp", 3), ("psnr", 2), ("msssim", 4))
_CURVE = (("quality", 1), ("level", 0), ("bpp", 4), ("psnr", 2), ("ssim", 4), ("msssim", 4))


@click.group(
    short_help="List the installed models, or show one.",
    invoke_without_command=True,
    epilog="""\b
Examples:
  nicodec models
  nicodec models show l3ic-32c
""",
)
@options.console_options
@click.pass_context
def command(ctx: click.Context, console: Console) -> None:
    """List the installed models: rate, quality, cost per pixel and size.

    bpp, PSNR and MS-SSIM are means over the pictures of a data set, whole files counted; for a model of variable rate the
    lowest and the highest of those measured. Models are searched in the folders of the environment variable
    NICODEC_MODELS, then in the package; those with a damaged card are named on stderr.
    """
    if ctx.invoked_subcommand is not None:
        return
    from ..models import zoo

    for card in zoo.broken():
        console.note(f"{card.id} revision {card.revision} is left out: {card.reason}")
    models = zoo.installed()
    for model in models:
        console.record(_record(model))
    newest = {model.id: model for model in reversed(models)}
    console.result(_table(list(reversed(newest.values()))) if models else "no models are installed")


@command.command("show", epilog="\b\nExample:\n  nicodec models show l3ic-32c")
@click.argument("model_id", metavar="ID")
@options.console_options
def show(model_id: str, console: Console) -> None:
    """Show everything about one model."""
    from ..models import zoo

    model = zoo.find(model_id)
    console.record({**_record(model), "card": dict(model.card)})
    console.result(f"{model.id} revision {model.revision}")
    console.result(f"  hash            {model.hash.hex()}")
    console.result(f"  folder          {model.folder}")
    console.result(f"  size            {human_size(_size(model))}")
    for name, value in model.card.items():
        if name not in ("schema", "id", "hash", "measured"):
            console.result(f"  {name:14}  {_flat(value)}")
    for measurement in _measurements(model) or [{}]:
        summary = {key: value for key, value in measurement.items() if key != "points"}
        console.result(f"  {'measured':14}  {_flat(summary)}")
        for line in _curve(measurement):
            console.result(f"  {'':14}  {line}")


def _record(model: "Model") -> dict[str, Any]:
    return {
        "command": "models",
        "model": model.id,
        "revision": model.revision,
        "hash": model.hash.hex(),
        "codec": model.codec,
        "number": model.number,
        "folder": str(model.folder),
        "bytes": _size(model),
        "parameters": model.card.get("parameters"),
        "kmac_per_pixel": model.card.get("kmac_per_pixel"),
        "measured": model.card.get("measured", []),
    }


def _table(models: list["Model"]) -> str:
    head = ["model", "rev", "bpp", "PSNR", "MS-SSIM", "kMAC/px enc", "dec", "size", "measured on"]
    return aligned([head, *(_row(model) for model in models)])


def _row(model: "Model") -> list[str]:
    measurement = _preferred(model)
    points = _points(measurement)
    cost = _mapping(model.card.get("kmac_per_pixel"))
    return [
        model.id,
        str(model.revision),
        *(_span([point.get(name) for point in points], decimals) for name, decimals in _POINT),
        _number(cost.get("encode"), 1),
        _number(cost.get("decode"), 1),
        human_size(_size(model)),
        str(measurement.get("dataset", _UNKNOWN)),
    ]


def _measurements(model: "Model") -> list[Mapping[str, Any]]:
    """What was measured on each data set."""
    return _mappings(model.card.get("measured"))


def _preferred(model: "Model") -> Mapping[str, Any]:
    """The measurement to show: that on Kodak, on which codecs are usually compared, or else the first."""
    found = _measurements(model)
    on_kodak = [one for one in found if _PREFERRED_DATASET in str(one.get("dataset", "")).lower()]
    return next(iter([*on_kodak, *found]), {})


def _points(measurement: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The points of a model of variable rate by rising quality, or the one that the measurement itself is."""
    return _mappings(measurement["points"]) if "points" in measurement else [measurement]


def _curve(measurement: Mapping[str, Any]) -> list[str]:
    """The points of a model of variable rate as the lines of a table; none of another model."""
    if "points" not in measurement:
        return []
    points = _points(measurement)
    columns = [(name, decimals) for name, decimals in _CURVE if any(name in point for point in points)]
    rows = [[_number(point.get(name), decimals) for name, decimals in columns] for point in points]
    return aligned([[name for name, _ in columns], *rows]).splitlines()


def _span(values: list[Any], decimals: int) -> str:
    """The least and the greatest of some values, or the only one."""
    numbers = [value for value in values if isinstance(value, (int, float))]
    ends = dict.fromkeys(_number(end(numbers), decimals) for end in (min, max)) if numbers else [_UNKNOWN]
    return "-".join(ends)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [_mapping(item) for item in value] if isinstance(value, list) else []


def _mapping(value: Any) -> Mapping[str, Any]:
    """A part of a card, which anyone may have written."""
    return cast(Mapping[str, Any], value) if isinstance(value, Mapping) else {}


def _number(value: Any, decimals: int) -> str:
    return f"{value:.{decimals}f}" if isinstance(value, (int, float)) else _UNKNOWN


def _size(model: "Model") -> int:
    """Bytes on disk."""
    return sum(file.stat().st_size for file in model.folder.iterdir() if file.is_file())


def _flat(value: Any) -> str:
    """A value of a card on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_flat(item)}" for key, item in cast(Mapping[str, Any], value).items()) or "none"
    if isinstance(value, list):
        return "; ".join(_flat(item) for item in value) or "none"
    return str(value)
