"""What a residual-GRU model says beside its networks, read from its `entropy.npz`."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.code_context import CodeContext
from ..errors import FormatError
from ..models.zoo import Model
from . import entropy_file
from .level_header import LEVELS

Memories = tuple[tuple[int, int], ...]
"""Channels, and pixels per position, of every memory of a network."""

_RECONSTRUCTION = "reconstruction"
_GAINS = "gains"


class Reconstruction(IntEnum):
    """What the decoder's result is."""

    ONE_SHOT = 0
    ADDITIVE = 1


@dataclass(frozen=True)
class GruShape:
    """How the two networks of a model go together.

    Attributes:
        codes: binary codes per position and level.
        reconstruction: whether a decoder's result is the picture or adds to it.
        encoder_memories: of the encoder.
        decoder_memories: of the decoder.
        gains: of every level: what is left of the picture is multiplied by it before the encoder, and an additive decoder's
            result divided.
    """

    codes: int
    reconstruction: Reconstruction
    encoder_memories: Memories
    decoder_memories: Memories
    gains: tuple[float, ...]

    def __post_init__(self) -> None:
        """Checks memories and gains.

        Raises:
            FormatError: a number is out of range.
        """
        if not all(math.isfinite(gain) and gain > 0 for gain in self.gains):
            raise FormatError("the model's gains are damaged: reinstall the model")
        for channels, stride in (*self.encoder_memories, *self.decoder_memories):
            if channels < 1 or stride not in (1, 2, 4, 8, 16):
                raise FormatError("the model's memories are damaged: reinstall the model")

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Arrays of an entropy.npz; it says the number of codes elsewhere."""
        return {
            _RECONSTRUCTION: np.array(self.reconstruction, np.uint8),
            "encoder_memories": np.array(self.encoder_memories, np.uint16),
            "decoder_memories": np.array(self.decoder_memories, np.uint16),
            _GAINS: np.array(self.gains, np.float32),
        }

    @classmethod
    def from_arrays(cls, codes: int, arrays: Mapping[str, npt.NDArray[Any]]) -> "GruShape":
        """Reads the arrays of an entropy.npz, all but the number of codes.

        Raises:
            FormatError: arrays are missing or damaged.
        """
        try:
            reconstruction = Reconstruction(int(arrays[_RECONSTRUCTION]))
            encoder, decoder = (_memories(arrays[f"{part}_memories"]) for part in ("encoder", "decoder"))
            gains = tuple(float(gain) for gain in arrays[_GAINS])
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"the model has no valid {error}: reinstall the model") from error
        return cls(codes, reconstruction, encoder, decoder, gains)


@dataclass(frozen=True, eq=False)
class GruModel:
    """Everything but the networks.

    Attributes:
        context: entropy model of the codes.
        shape: how the networks go together; None if the model is one graph, in which they do.
    """

    context: CodeContext
    shape: GruShape | None = None

    def __post_init__(self) -> None:
        """Checks the numbers of levels and gains.

        Raises:
            FormatError: it is out of range.
        """
        if not 1 <= self.context.layers <= LEVELS:
            raise FormatError(f"the model has {self.context.layers} levels: reinstall the model")
        if self.shape is not None and len(self.shape.gains) != self.context.layers:
            raise FormatError(f"the model has {len(self.shape.gains)} gains: reinstall the model")

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an entropy.npz."""
        return {**self.context.to_arrays(), **({} if self.shape is None else self.shape.to_arrays())}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "GruModel":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        context = CodeContext.from_arrays(arrays)
        return cls(context, GruShape.from_arrays(context.channels, arrays) if _RECONSTRUCTION in arrays else None)


def _memories(array: npt.NDArray[Any]) -> Memories:
    return tuple((channels, stride) for channels, stride in array.tolist())


@lru_cache(maxsize=4)
def load(model: Model) -> GruModel:
    """The entropy model of a zoo entry.

    Raises:
        ModelError: the files are missing or damaged.
    """
    return entropy_file.read(model, GruModel.from_arrays)
