"""Makes a zoo entry of the original residual GRU's frozen graph, which a user has; see `models.backends.frozen_graph`."""

import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..bitstream.code_context import PHASES, CodeContext, Codes
from ..bitstream.tables import FREQUENCY_TOTAL
from ..codecs import gru_engine
from ..codecs.gru_header import ALIGN_LOG2, NUMBER
from ..codecs.gru_model import GruModel
from ..codecs.level_header import LEVELS
from ..codecs.unrolled import Unrolled
from ..errors import PictureError, RequestError
from ..models import zoo
from ..models.backends import frozen_graph
from ..models.backends.frozen_graph import CODES, FrozenGraph
from . import code_entropy
from .data import find_pictures, read_cropped, spread
from .entry_folder import new_entry, write_card

MODEL_NUMBER = 255
"""Of all imported graphs; their hashes tell them apart."""

_UNIX = 3
_PHOTOS = 64
_MAX_SIDE = 384
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def import_graph(graph: Path, target: Path | None, *, name: str, pictures: Path | None = None) -> Path:
    """Writes a graph as a zoo entry; the same graph without pictures gives the same hash on every machine.

    Args:
        graph: a frozen GraphDef with the node names of the published residual_gru.pb.
        target: zoo folder, None for the one inside the package.
        name: id of the model.
        pictures: folder of photos to fit the entropy model on, of which it takes up to 64; None for a neutral one, with
            which a code takes a bit, as in the original's own files.

    Returns:
        The folder of the new entry.

    Raises:
        RequestError: the name cannot be one of a graph, or there are no pictures.
        PictureError: a picture cannot be read or is too small.
        ModelError: the file is not such a graph.
        BackendError: the graph does not run.
    """
    _check_name(name)
    data = frozen_graph.read(graph)
    network = FrozenGraph(data, None, str(graph))
    network.check()
    found = [] if pictures is None else spread(find_pictures(pictures), _PHOTOS)
    context = code_entropy.fit(_codes(network, found)) if found else neutral()
    with new_entry(target, name) as (partial, folder):
        (partial / zoo.GRAPH).write_bytes(data)
        _write_tables(partial / zoo.TABLES, GruModel(context).to_arrays())
        write_card(partial, _card(name, partial, len(found)))
    return folder


def neutral() -> CodeContext:
    """The entropy model that knows nothing: every code takes one bit."""
    return CodeContext(
        bounds=np.array([0, CODES]),
        seen=np.zeros((LEVELS, CODES, PHASES, 0, 4), np.int16),
        contexts=np.zeros((LEVELS, CODES, PHASES, 1), np.uint8),
        ones=np.array([FREQUENCY_TOTAL // 2], np.int32),
    )


def _check_name(name: str) -> None:
    """Refuses what is no name of a folder, and the names of other models.

    Raises:
        RequestError: it is one of these.
    """
    if not _NAME.fullmatch(name):
        raise RequestError(f"a model cannot be called {name!r}: use letters, digits, '.', '_' and '-'")
    for model in zoo.installed():
        if model.id == name and model.card["architecture"].get("family") != gru_engine.GRAPH:
            raise RequestError(f"{name} is another model, in {model.folder}: choose another name")


def _codes(network: FrozenGraph, pictures: list[Path]) -> list[Codes]:
    """The codes of every picture."""
    engine = Unrolled(network)
    return [engine.analyse(_read(path), LEVELS) for path in tqdm(pictures, "codes", disable=None)]


def _read(path: Path) -> Any:
    alignment = 1 << ALIGN_LOG2
    pixels = read_cropped(path, _MAX_SIDE, alignment)
    if not pixels.size:
        raise PictureError(f"{path} is smaller than {alignment}x{alignment} pixels: leave it out")
    return pixels


def _write_tables(path: Path, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Writes an entropy.npz of the same bytes, and so of the same hash, with every version of zlib on every system."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.create_system = _UNIX
            with archive.open(entry, "w") as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def _card(name: str, folder: Path, pictures: int) -> dict[str, Any]:
    return {
        "schema": zoo.CARD_SCHEMA,
        "id": name,
        "codec": NUMBER,
        "model": MODEL_NUMBER,
        "hash": zoo.model_hash(folder).hex(),
        "architecture": {"family": gru_engine.GRAPH, "codes": CODES},
        "levels": LEVELS,
        "tables": f"fitted to photos, {pictures} of them" if pictures else "neutral: one bit for each code",
        "measured": [],
        "licence": "the user's own file: that of whoever published the graph",
    }
