"""What a residual-GRU model says beside its networks, read from its `entropy.npz`."""

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
from .gru_header import LEVELS

Memories = tuple[tuple[int, int], ...]
"""Channels, and pixels per position, of every memory of a network."""


class Reconstruction(IntEnum):
    """What the decoder's result is."""

    ONE_SHOT = 0
    ADDITIVE = 1


@dataclass(frozen=True)
class GruShape:
    """How the networks of a model go together.

    Attributes:
        codes: binary codes per position and level.
        reconstruction: whether a decoder's result is the picture or adds to it.
        encoder_memories: of the encoder.
        decoder_memories: of the decoder.
    """

    codes: int
    reconstruction: Reconstruction
    encoder_memories: Memories
    decoder_memories: Memories

    def __post_init__(self) -> None:
        """Checks the memories.

        Raises:
            FormatError: a number is out of range.
        """
        for channels, stride in (*self.encoder_memories, *self.decoder_memories):
            if channels < 1 or stride not in (1, 2, 4, 8, 16):
                raise FormatError("the model's memories are damaged: reinstall the model")


@dataclass(frozen=True, eq=False)
class GruModel:
    """Everything but the networks.

    Attributes:
        context: entropy model of the codes.
        shape: how the networks go together.
    """

    context: CodeContext
    shape: GruShape

    def __post_init__(self) -> None:
        """Checks the number of levels.

        Raises:
            FormatError: it is out of range.
        """
        if not 1 <= self.context.layers <= LEVELS:
            raise FormatError(f"the model has {self.context.layers} levels: reinstall the model")

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an entropy.npz."""
        return {
            **self.context.to_arrays(),
            "reconstruction": np.array(self.shape.reconstruction, np.uint8),
            "encoder_memories": np.array(self.shape.encoder_memories, np.uint16),
            "decoder_memories": np.array(self.shape.decoder_memories, np.uint16),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "GruModel":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        context = CodeContext.from_arrays(arrays)
        try:
            reconstruction = Reconstruction(int(arrays["reconstruction"]))
            memories = [_memories(arrays[f"{part}_memories"]) for part in ("encoder", "decoder")]
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"the model has no valid {error}: reinstall the model") from error
        return cls(context, GruShape(context.channels, reconstruction, *memories))


def _memories(array: npt.NDArray[Any]) -> Memories:
    return tuple((channels, stride) for channels, stride in array.tolist())


@lru_cache(maxsize=4)
def load(model: Model) -> GruModel:
    """The entropy model of a zoo entry.

    Raises:
        ModelError: the files are missing or damaged.
    """
    return entropy_file.read(model, GruModel.from_arrays)
