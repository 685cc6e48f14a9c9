"""Writes a run of the residual GRU as a zoo entry; see `export.Exporter`."""

from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..bitstream.code_context import Codes
from ..codecs import gru_engine, recurrence
from ..codecs.gru_header import NUMBER
from ..codecs.gru_model import GruModel, GruShape, Memories, Reconstruction
from ..codecs.level_header import LEVELS
from ..codecs.recurrence import Networks
from ..errors import RequestError
from ..models import keras_weights, onnx_graph, residual_gru, zoo
from ..models.backends import onnx_runtime
from ..models.complexity import macs_per_pixel
from ..models.residual_gru import ALIGNMENT, STRIDE, GruArchitecture, State
from . import code_entropy
from .config import ProgressiveConfig
from .data import read_cropped
from .export import Entry
from .progressive import ProgressiveCodec

_MODEL_NUMBERS = {"residual-gru": 1}
_RECONSTRUCTIONS = {"one_shot": Reconstruction.ONE_SHOT, "additive": Reconstruction.ADDITIVE}
_MAX_SIDE = 384


def write(codec: ProgressiveCodec, config: ProgressiveConfig, folder: Path, pictures: list[Path]) -> Entry:
    """One iteration of each network in half precision, and the entropy model of their codes."""
    if config.model not in _MODEL_NUMBERS:
        raise RequestError(f"{config.model} has no number in the format: choose one of {', '.join(_MODEL_NUMBERS)}")
    shape = shape_of(config.architecture)
    for network in (codec.encoder, codec.decoder):
        keras_weights.round_to_half(network)
    (folder / "encoder.onnx").write_bytes(onnx_graph.float_graph(codec.encoder))
    (folder / "decoder.onnx").write_bytes(onnx_graph.float_graph(codec.decoder))
    context = code_entropy.fit(_codes(folder, shape, pictures))
    np.savez_compressed(folder / "entropy.npz", **GruModel(context, shape).to_arrays())  # type: ignore[arg-type]
    encoder_states, decoder_states = (
        f(config.architecture) for f in (residual_gru.encoder_states, residual_gru.decoder_states)
    )
    encode = macs_per_pixel(codec.encoder, 1, *(state.stride for state in encoder_states))
    decode = macs_per_pixel(codec.decoder, STRIDE, *(state.stride for state in decoder_states))
    return Entry(
        codec=NUMBER,
        model=_MODEL_NUMBERS[config.model],
        architecture={"family": gru_engine.RECURRENT, **config.architecture.to_json()},
        parameters={"encoder": codec.encoder.count_params(), "decoder": codec.decoder.count_params()},
        # To encode a level is to decode it too, so that the next one knows what is left.
        macs=(encode + decode, decode),
        facts={"levels": LEVELS, "kmac_is_of": zoo.ONE_LEVEL},
    )


def shape_of(architecture: GruArchitecture) -> GruShape:
    """How the networks go together.

    Raises:
        RequestError: in a way that files cannot say.
    """
    if architecture.reconstruction not in _RECONSTRUCTIONS:
        raise RequestError(
            f"the reconstruction {architecture.reconstruction} has no form in files: "
            f"train one of {', '.join(_RECONSTRUCTIONS)}"
        )
    return GruShape(
        architecture.codes,
        _RECONSTRUCTIONS[architecture.reconstruction],
        _memories(residual_gru.encoder_states(architecture)),
        _memories(residual_gru.decoder_states(architecture)),
        tuple(architecture.gain(level) for level in range(LEVELS)),
    )


def _memories(states: tuple[State, ...]) -> Memories:
    return tuple((state.channels, state.stride) for state in states)


def _codes(folder: Path, shape: GruShape, pictures: list[Path]) -> list[Codes]:
    """The codes of every picture, from the networks as they ship."""
    entry = zoo.Model(id="residual-gru", codec=NUMBER, number=0, hash=b"", revision=1, folder=folder, card={})
    encoder, decoder = (onnx_runtime.load_float(entry, part, None) for part in ("encoder", "decoder"))
    networks = Networks(encoder, decoder, shape)
    cropped = (read_cropped(path, _MAX_SIDE, ALIGNMENT) for path in tqdm(pictures, "codes", disable=None))
    return [recurrence.analyse(networks, pixels, LEVELS) for pixels in cropped]
