"""Codes layers of binary codes, one stream of the entropy coder for each; which table codes which code is up to a context
model, of which there are two: `code_layers` and `tree_layers`."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import TruncatedError
from .ans import AnsDecoder, AnsEncoder
from .code_context import PHASES, Codes
from .tables import TableSet

UNKNOWN = 2
"""What stands for a code that did not arrive."""

Sites = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Step:
    """What is coded together, once everything before it is known.

    Attributes:
        channels: whose codes, ascending.
        phase: of the positions.
    """

    channels: npt.NDArray[np.int64]
    phase: int


class LayerCoder(ABC):
    """Codes or decodes the layers of one picture in their order; remembers those that later ones look at.

    Args:
        channels: codes of a layer for each position.
        tables: what codes are coded under.
        height: positions from top to bottom.
        width: positions from left to right.
    """

    def __init__(self, channels: int, tables: TableSet, height: int, width: int) -> None:
        self._tables = tables
        self._shape = channels, height, width
        self._sites = sites_of(height, width)
        self._layer = 0

    @abstractmethod
    def _steps(self) -> Iterator[Step]:
        """What the current layer consists of, in coding order."""

    @abstractmethod
    def _open(self) -> None:
        """Called before the first step of a layer."""

    @abstractmethod
    def _indexes(self, step: Step) -> npt.NDArray[np.uint8]:
        """The tables of a step, (positions, channels)."""

    @abstractmethod
    def _learn(self, step: Step, codes: Codes) -> None:
        """Takes note of the codes of a step, (positions, channels)."""

    def encode(self, codes: Codes) -> bytes:
        """Codes the next layer, uint8 (channels, height, width) of 0 and 1, into the bytes of its segment."""
        encoder = AnsEncoder()
        flat = codes.reshape(len(codes), -1)
        self._open()
        for step in self._steps():
            values = flat[np.ix_(step.channels, self._sites[step.phase])].T
            encoder.append_grouped(values.ravel(), self._indexes(step).ravel(), self._tables)
            self._learn(step, values)
        self._layer += 1
        return encoder.finish()

    def decode(self, payload: bytes) -> Codes:
        """Restores what `encode` coded.

        Raises:
            FormatError: the payload is not a layer of that size.
        """
        codes = self._unknown()
        decoder = AnsDecoder(payload)
        self._decode_into(codes, decoder)
        decoder.finish()
        self._layer += 1
        return codes

    def decode_prefix(self, payload: bytes, total: int) -> Codes:
        """Restores of a layer that was cut off what is certain; no layer can follow it.

        Args:
            payload: what arrived.
            total: bytes that there should be.

        Returns:
            uint8 (channels, height, width): 0, 1 or `UNKNOWN`.

        Raises:
            FormatError: the payload is not the beginning of a layer.
        """
        codes = self._unknown()
        with suppress(TruncatedError):
            self._decode_into(codes, AnsDecoder(payload, total))
        return codes

    def _unknown(self) -> Codes:
        return np.full(self._shape, UNKNOWN, np.uint8)

    def _decode_into(self, codes: Codes, decoder: AnsDecoder) -> None:
        """Fills in the codes of one step after the other."""
        flat = codes.reshape(len(codes), -1)
        self._open()
        for step in self._steps():
            indexes = self._indexes(step)
            values = decoder.take_grouped(indexes.ravel(), self._tables).astype(np.uint8).reshape(indexes.shape)
            self._learn(step, values)
            flat[np.ix_(step.channels, self._sites[step.phase])] = values.T


def sites_of(height: int, width: int) -> tuple[Sites, ...]:
    """Positions, numbered row by row, whose row and column add up to an even number, and the others."""
    rows, columns = np.divmod(np.arange(height * width), width)
    return tuple(np.flatnonzero((rows + columns) % PHASES == phase) for phase in range(PHASES))
