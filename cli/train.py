"""`nicodec train`: makes new weights."""

from pathlib import Path

import click

from ..extras import training_packages

_FOLDER = click.Path(file_okay=False, path_type=Path)
_PHOTOS = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    short_help="Train a model.",
    epilog="""\b
Examples:
  nicodec train l3ic-64c --data photos/train --valid photos/valid --out runs/64
  nicodec train l3ic-32c --data photos/train --start runs/64 --out runs/32
  nicodec train l3ic-32c --data photos/train --start l3ic-64c --out runs/32
  nicodec train shallow-jpegl --data photos/train --start runs/two-layer --steps 5000 --out runs/jpegl
  nicodec export runs/32 --data photos/train

Needs the train extra: pip install nicodec[train]
""",
)
@click.argument("config", metavar="CONFIG")
@click.option("--data", required=True, type=_PHOTOS, metavar="DIR", help="Folder of photos, searched recursively.")
@click.option("--out", "run", required=True, type=_FOLDER, metavar="RUN", help="Folder for checkpoint and logs.")
@click.option("--valid", type=_PHOTOS, metavar="DIR", help="Folder of photos to measure rate and quality on.")
@click.option(
    "--start",
    type=click.Path(),
    metavar="RUN|MODEL",
    help="Start from the folder of a run or of a model, or from an installed model, with as many or more channels.",
)
@click.option(
    "--steps",
    type=click.IntRange(min=2),
    metavar="N",
    help="Steps in all, instead of as many as the configuration says; the learning rate falls accordingly.",
)
def command(config: str, data: Path, run: Path, valid: Path | None, start: str | None, steps: int | None) -> None:
    """Train a model with the configuration CONFIG, for instance l3ic-32c.

    An interrupted run continues at its last checkpoint when the same command is given again.
    """
    from ..training.config import load_config

    settings = load_config(config)
    if steps is not None:
        settings = settings.of_length(steps)
    with training_packages():
        from ..training.loop import train
    train(settings, data, run, validation=valid, start=start)
    click.echo(f"{run}: trained for {settings.steps} steps; next: nicodec export {run} --data {data}", err=True)
