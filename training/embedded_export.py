"""Writes a run of the embedded codec as a zoo entry; see `export.Exporter`."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..bitstream.code_trees import Cells
from ..codecs.cells import CellTables
from ..codecs.embedded_header import NUMBER
from ..codecs.embedded_model import EmbeddedModel
from ..codecs.samples import to_floats
from ..errors import RequestError
from ..models import keras_weights, onnx_graph, zoo
from ..models.backends import onnx_runtime
from ..models.complexity import macs_per_pixel
from ..models.embedded import STRIDE
from . import tree_entropy
from .config import EmbeddedConfig
from .data import read_cropped
from .embedded import EmbeddedCodec
from .export import Entry

_MODEL_NUMBERS = {"embedded": 1}
_MAX_SIDE = 512


def write(codec: EmbeddedCodec, config: EmbeddedConfig, folder: Path, pictures: list[Path]) -> Entry:
    """The networks and the trees in half precision, and the entropy model of the codes."""
    if config.model not in _MODEL_NUMBERS:
        raise RequestError(f"{config.model} has no number in the format: choose one of {', '.join(_MODEL_NUMBERS)}")
    for network in (codec.analysis, codec.synthesis):
        keras_weights.round_to_half(network)
    (folder / "encoder.onnx").write_bytes(onnx_graph.float_graph(codec.analysis))
    (folder / "decoder.onnx").write_bytes(onnx_graph.float_graph(codec.synthesis))
    tables = _in_half_precision(codec.tables)
    context = tree_entropy.fit(tables, _cells(folder, tables, pictures))
    model = EmbeddedModel(context, tables, config.architecture.halo)
    np.savez_compressed(folder / "entropy.npz", **model.to_arrays())  # type: ignore[arg-type]
    return Entry(
        codec=NUMBER,
        model=_MODEL_NUMBERS[config.model],
        architecture={"family": config.family, **config.architecture.to_json()},
        parameters={"encoder": codec.analysis.count_params(), "decoder": codec.synthesis.count_params()},
        macs=(macs_per_pixel(codec.analysis, 1), macs_per_pixel(codec.synthesis, STRIDE, STRIDE)),
        facts={"levels": config.levels},
    )


def _in_half_precision(tables: CellTables) -> CellTables:
    """As they will be read from the file."""
    return CellTables.from_arrays(tables.trees, tables.to_arrays())


def _cells(folder: Path, tables: CellTables, pictures: list[Path]) -> list[Cells]:
    """The cells of every picture, from the analysis as it ships."""
    entry = zoo.Model(id="embedded", codec=NUMBER, number=0, hash=b"", revision=1, folder=folder, card={})
    encoder = onnx_runtime.load_float(entry, "encoder", None)
    cropped = (read_cropped(path, _MAX_SIDE, STRIDE) for path in tqdm(pictures, "coefficients", disable=None))
    return [tables.find(encoder(to_floats(pixels))[0][0]) for pixels in cropped]
