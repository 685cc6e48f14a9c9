"""`nicodec import`: makes an installed model of the original residual GRU's graph."""

from pathlib import Path

import click

from ..extras import training_packages

_FILE = click.Path(path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)
_EXISTING = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command(
    short_help="Make a model of the original residual GRU's graph.",
    epilog="""\b
Examples:
  nicodec import residual_gru.pb --zoo models
  nicodec import residual_gru.pb --data photos/train      smaller files

\b
Then, with NICODEC_MODELS=models:
  nicodec encode -m residual-gru-original photo.png
  nicodec decode -m residual-gru-original codes.npz

Needs the train extra: pip install nicodec[train]
""",
)
@click.argument("graph", type=_FILE, metavar="PB")
@click.option(
    "--zoo", "zoo_folder", type=_FOLDER, metavar="DIR", help="Folder for the model. Default: the package's own."
)
@click.option(
    "--id",
    "name",
    default="residual-gru-original",
    show_default=True,
    metavar="NAME",
    help="Name of the model.",
)
@click.option(
    "--data",
    type=_EXISTING,
    metavar="DIR",
    help="Photos to fit the entropy coder to. Default: every code takes one bit, as in the original's code files.",
)
def command(graph: Path, zoo_folder: Path | None, name: str, data: Path | None) -> None:
    """Make a model of PB, the frozen TensorFlow graph residual_gru.pb that was published with the original residual GRU.

    Files that its own encoder wrote decode with the model, and nicodec's files hold what it makes of a picture. It runs in
    TensorFlow, all iterations at once, so that pictures are limited to 2.3 megapixels. PB must have the node names that the
    original's encoder.py and decoder.py use; this was built and tested against a graph with the same names, for the
    published file was not at hand. Graphs that can do more than compute are refused.

    Prints the folder of the new model on stdout. With a --zoo outside of the package, name it in the environment variable
    NICODEC_MODELS to use the model. Files coded with it need it to decode: whoever imports the same PB without --data has
    the same model, but one made with --data must be handed on with them.
    """
    with training_packages():
        from ..training.graph_import import import_graph
    click.echo(import_graph(graph, zoo_folder, name=name, pictures=data))
