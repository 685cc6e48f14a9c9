"""`nicodec export`: makes an installed model of a training run."""

from pathlib import Path
from typing import Any

import click

from .extras import training_packages

_FOLDER = click.Path(file_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    short_help="Make a model of a training run.",
    epilog="""\b
Examples:
  nicodec export runs/32 --data photos/train
  nicodec export runs/32 --data photos/train --valid photos/kodak --zoo ~/models

Needs the train extra: pip install nicodec[train]
""",
)
@click.argument("run", type=_EXISTING, metavar="RUN")
@click.option("--data", required=True, type=_EXISTING, metavar="DIR", help="Photos to count latents on.")
@click.option("--valid", type=_EXISTING, metavar="DIR", help="Photos to measure rate and quality on, for the card.")
@click.option(
    "--zoo", "zoo_folder", type=_FOLDER, metavar="DIR", help="Folder for the model. Default: the package's own."
)
def command(run: Path, data: Path, valid: Path | None, zoo_folder: Path | None) -> None:
    """Write the weights of a training run as a model that encode and decode can use.

    Prints the folder of the new model on stdout. With a --zoo outside of the package, name it in the environment
    variable NICODEC_MODELS to use the model.
    """
    with training_packages():
        from ..training.export import add_measurement, export
    folder = export(run, zoo_folder, pictures=data)
    if valid is not None:
        add_measurement(folder, _measure(folder, valid))
    click.echo(folder)


def _measure(folder: Path, photos: Path) -> dict[str, Any]:
    """Means over whole coded files of all photos in a folder."""
    from ..models import zoo
    from ..training.data import find_pictures

    model = next(model for model in zoo.installed([folder.parents[1]]) if model.folder == folder)
    rows = [_measure_one(model, path) for path in find_pictures(photos)]
    means = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
    point = {name: round(mean, 4) for name, mean in zip(("bpp", "psnr", "msssim"), means, strict=True)}
    return {"dataset": photos.resolve().name, "pictures": len(rows), **point}


def _measure_one(model: Any, path: Path) -> tuple[float, float, float]:
    from ..bitstream.container import write
    from ..codecs.base import DecodeRequest, EncodeSettings
    from ..codecs.registry import codec_by_number
    from ..images import load
    from ..metrics.psnr import psnr
    from ..metrics.ssim import ms_ssim

    codec, picture = codec_by_number(model.codec), load(path)
    coded = codec.encode(picture, model, EncodeSettings())
    restored = codec.decode(coded, model, DecodeRequest()).pixels
    bpp = 8 * len(write(coded)) / (picture.width * picture.height)
    return bpp, psnr(picture.pixels, restored), ms_ssim(picture.pixels, restored)
