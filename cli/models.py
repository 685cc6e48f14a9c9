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

    bpp, PSNR and MS-SSIM are means over the pictures of a data set, whole files counted. Models are searched in the folders
    of the environment variable NICODEC_MODELS, then in the package; those with a damaged card are named on stderr.
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
        if name not in ("schema", "id", "hash"):
            console.result(f"  {name:14}  {_flat(value)}")


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
    point = _point(model)
    cost = _mapping(model.card.get("kmac_per_pixel"))
    return [
        model.id,
        str(model.revision),
        *(_number(point.get(name), decimals) for name, decimals in _POINT),
        _number(cost.get("encode"), 1),
        _number(cost.get("decode"), 1),
        human_size(_size(model)),
        str(point.get("dataset", _UNKNOWN)),
    ]


def _point(model: "Model") -> Mapping[str, Any]:
    """The measured point to show: that on Kodak, on which codecs are usually compared, or else the first."""
    measured = model.card.get("measured")
    points = [_mapping(point) for point in measured] if isinstance(measured, list) else []
    on_kodak = [point for point in points if _PREFERRED_DATASET in str(point.get("dataset", "")).lower()]
    return next(iter([*on_kodak, *points]), {})


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
        return ", ".join(f"{key} {_flat(item)}" for key, item in cast(Mapping[str, Any], value).items())
    if isinstance(value, list):
        return "; ".join(_flat(item) for item in value) or "none"
    return str(value)
