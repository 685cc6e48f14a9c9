"""Turns a training run into a zoo entry: ONNX transforms, integer tables fitted to their latents, a model card."""

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from ..bitstream.context import Planes
from ..errors import RequestError
from ..models import keras_weights, l3ic, onnx_graph, zoo
from ..models.backends import onnx_runtime
from ..models.quantiser import quantise
from . import entropy
from .checkpoint import CHECKPOINT
from .config import L3icConfig
from .data import Pixels, find_pictures, read_rgb
from .run_folder import load_average

KERAS_WEIGHTS = "codec.weights.h5"
CARD = "card.json"

_CODEC_NUMBER = 1
_MODEL_NUMBERS = {16: 1, 32: 2, 64: 3}
_MAX_SIDE = 1024


def export(run: Path, target: Path | None, *, pictures: Path, samples: int = 160, revision: int | None = None) -> Path:
    """Writes the averaged weights of a run as a zoo entry.

    The transforms are rounded to half precision first, so that the tables are fitted to exactly the latents which the
    shipped encoder makes. The Keras weights are written to the run folder as well, in full precision, for training on.

    Args:
        run: folder of a training run.
        target: zoo folder, None for the one inside the package.
        pictures: training pictures to count latents on.
        samples: how many of them, evenly spaced.
        revision: number to write, replacing an entry of that number; None for the next free one.

    Returns:
        The folder of the new entry.

    Raises:
        RequestError: the run has no checkpoint, or there are no pictures.
    """
    if not (run / CHECKPOINT).exists():
        raise RequestError(f"{run} has no {CHECKPOINT}; give the --out folder of a training run")
    codec, config, state = load_average(run)
    if not isinstance(config, L3icConfig):
        raise RequestError(f"{run} is no run of l3ic: only those can be exported")
    codec.save_weights(str(run / KERAS_WEIGHTS))
    for transform in (codec.analysis, codec.synthesis):
        keras_weights.round_to_half(transform)
    folder = _entry_folder(target or zoo.search_path()[-1], config.model, revision)
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (partial / "encoder.onnx").write_bytes(onnx_graph.encoder_graph(codec.analysis))
    (partial / "decoder.onnx").write_bytes(onnx_graph.decoder_graph(codec.synthesis))
    latents = list(_latents(partial / "encoder.onnx", config, _spread(find_pictures(pictures), samples)))
    model = entropy.fit_context(latents, l3ic.CODEBOOK)
    shared = entropy.fit_shared_tables(latents, l3ic.CODEBOOK)
    arrays: dict[str, Any] = entropy.to_arrays(model, shared)
    np.savez_compressed(partial / "entropy.npz", **arrays)
    training = {**config.to_json(), "steps_done": state.step, "cpu_hours": round(state.cpu_seconds / 3600, 2)}
    training |= {"wall_hours": round(state.seconds / 3600, 2), "pictures": len(find_pictures(pictures))}
    _write_card(partial, _card(codec, config, training, partial))
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(partial, folder)
    return folder


def add_measurement(folder: Path, measurement: dict[str, Any]) -> None:
    """Adds a measured rate-distortion point to a card, replacing the one of the same data set."""
    card = json.loads((folder / CARD).read_text())
    others = [point for point in card["measured"] if point["dataset"] != measurement["dataset"]]
    card["measured"] = [*others, measurement]
    _write_card(folder, card)


def _entry_folder(target: Path, model: str, revision: int | None) -> Path:
    existing = [int(p.name) for p in (target / model).glob("*") if p.name.isdigit()]
    return target / model / str(revision or max(existing, default=0) + 1)


def _spread(paths: list[Path], count: int) -> list[Path]:
    return [paths[k * len(paths) // count] for k in range(min(count, len(paths)))] if len(paths) > count else paths


def _latents(encoder: Path, config: L3icConfig, paths: Iterable[Path]) -> Iterator[Planes]:
    """Quantised latents int32 (channels, h, w) of each picture, from the encoder as it ships."""
    entry = zoo.Model(
        id=config.model, codec=_CODEC_NUMBER, number=0, hash=b"", revision=1, folder=encoder.parent, card={}
    )
    network = onnx_runtime.load(entry, "encoder", None)
    for path in tqdm(list(paths), "latents", disable=None):
        yield quantise(network(_picture(path)[None])[0], 1.0, config.dead_zone, l3ic.CODEBOOK).astype(np.int32)


def _picture(path: Path) -> Pixels:
    pixels = read_rgb(path)[:_MAX_SIDE, :_MAX_SIDE]
    height, width = (side // l3ic.STRIDE * l3ic.STRIDE for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def _card(codec: Any, config: L3icConfig, training: dict[str, Any], folder: Path) -> dict[str, Any]:
    encode, decode = l3ic.macs_per_pixel(config.channels)
    return {
        "schema": zoo.CARD_SCHEMA,
        "id": config.model,
        "codec": _CODEC_NUMBER,
        "model": _MODEL_NUMBERS[config.channels],
        "hash": zoo.model_hash(folder).hex(),
        "encoder_hash": zoo.file_hash(folder / zoo.ENCODER).hex(),
        "architecture": {
            "family": "l3ic",
            "channels": config.channels,
            "codebook": list(l3ic.CODEBOOK),
            "dead_zone": config.dead_zone,
            "latent_type": "float32",
        },
        "parameters": {"encoder": codec.analysis.count_params(), "decoder": codec.synthesis.count_params()},
        "kmac_per_pixel": {"encode": round(encode / 1000, 1), "decode": round(decode / 1000, 1)},
        "training": training,
        "measured": [],
        "licence": "Apache-2.0",
    }


def _write_card(folder: Path, card: dict[str, Any]) -> None:
    (folder / CARD).write_text(json.dumps(card, indent=2) + "\n")
