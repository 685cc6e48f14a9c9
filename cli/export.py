"""`nicodec export`: makes an installed model of a training run."""

from pathlib import Path
from typing import Any

import click

from ..extras import training_packages

_FOLDER = click.Path(file_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    short_help="Make a model of a training run.",
    epilog="""\b
Examples:
  nicodec export runs/32 --data photos/train
  nicodec export runs/32 --data photos/train --valid photos/valid --zoo ~/models

Needs the train extra: pip install nicodec[train]
""",
)
@click.argument("run", type=_EXISTING, metavar="RUN")
@click.option("--data", required=True, type=_EXISTING, metavar="DIR", help="Photos to count latents on.")
@click.option("--valid", type=_EXISTING, metavar="DIR", help="Photos to measure rate and quality on, for the card.")
@click.option(
    "--zoo", "zoo_folder", type=_FOLDER, metavar="DIR", help="Folder for the model. Default: the package's own."
)
@click.option(
    "--samples", type=click.IntRange(min=1), default=160, show_default=True, help="Photos of --data to count."
)
@click.option(
    "--revision", type=click.IntRange(min=1), metavar="N", help="Replace revision N. Default: the next free number."
)
def command(
    run: Path, data: Path, valid: Path | None, zoo_folder: Path | None, samples: int, revision: int | None
) -> None:
    """Write the weights of a training run as a model that encode and decode can use.

    Prints the folder of the new model on stdout. With a --zoo outside of the package, name it in the environment
    variable NICODEC_MODELS to use the model. Files coded with a revision need it to decode: replace one only if there
    are none.
    """
    with training_packages():
        from ..training.export import add_measurement, export
    folder = export(run, zoo_folder, pictures=data, samples=samples, revision=revision)
    if valid is not None:
        add_measurement(folder, _measure(folder, valid))
    click.echo(folder)


def _measure(folder: Path, photos: Path) -> dict[str, Any]:
    """Rate and quality of whole coded files of all photos in a folder."""
    from ..evaluation.rate_distortion import measure_for_card
    from ..models import zoo
    from ..training.data import find_pictures

    return measure_for_card(zoo.open_folder(folder), photos.resolve().name, find_pictures(photos))
