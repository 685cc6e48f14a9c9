"""Writes an l3ic run as a zoo entry; see `export.Exporter`."""

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
from .config import L3icConfig
from .data import read_cropped
from .export import Entry

_CODEC_NUMBER = 1
_MODEL_NUMBERS = {16: 1, 32: 2, 64: 3}
_MAX_SIDE = 1024


def write(codec: Any, config: L3icConfig, folder: Path, pictures: list[Path]) -> Entry:
    """The two transforms in half precision, and the integer tables counted on their latents."""
    if config.channels not in _MODEL_NUMBERS:
        raise RequestError(f"l3ic has no model of {config.channels} channels: train one of {sorted(_MODEL_NUMBERS)}")
    for transform in (codec.analysis, codec.synthesis):
        keras_weights.round_to_half(transform)
    (folder / "encoder.onnx").write_bytes(onnx_graph.encoder_graph(codec.analysis))
    (folder / "decoder.onnx").write_bytes(onnx_graph.decoder_graph(codec.synthesis))
    latents = list(_latents(folder / "encoder.onnx", config, pictures))
    model = entropy.fit_context(latents, l3ic.CODEBOOK)
    shared = entropy.fit_shared_tables(latents, l3ic.CODEBOOK)
    arrays: dict[str, Any] = entropy.to_arrays(model, shared)
    np.savez_compressed(folder / "entropy.npz", **arrays)
    return Entry(
        codec=_CODEC_NUMBER,
        model=_MODEL_NUMBERS[config.channels],
        architecture={
            "family": "l3ic",
            "channels": config.channels,
            "codebook": list(l3ic.CODEBOOK),
            "dead_zone": config.dead_zone,
            "latent_type": "float32",
        },
        parameters={"encoder": codec.analysis.count_params(), "decoder": codec.synthesis.count_params()},
        macs=l3ic.macs_per_pixel(config.channels),
    )


def _latents(encoder: Path, config: L3icConfig, paths: Iterable[Path]) -> Iterator[Planes]:
    """Quantised latents int32 (channels, h, w) of each picture, from the encoder as it ships."""
    entry = zoo.Model(
        id=config.model, codec=_CODEC_NUMBER, number=0, hash=b"", revision=1, folder=encoder.parent, card={}
    )
    network = onnx_runtime.load(entry, "encoder", None)
    for path in tqdm(list(paths), "latents", disable=None):
        yield quantise(
            network(read_cropped(path, _MAX_SIDE, l3ic.STRIDE)[None])[0], 1.0, config.dead_zone, l3ic.CODEBOOK
        ).astype(np.int32)
