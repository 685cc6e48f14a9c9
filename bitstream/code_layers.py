"""Codes layers of binary codes, one stream of the entropy coder for each; see `code_context`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..errors import TruncatedError
from .ans import AnsDecoder, AnsEncoder
from .code_context import BACK, CHANNEL, DOWN, MAX_BACK, NOTHING, PHASES, REACH, RIGHT, CodeContext, Codes

UNKNOWN = 2
"""What stands for a code that did not arrive."""

# Contexts are made for so many positions at once, so that memory stays small.
_BLOCK = 1 << 15

_Sites = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Phase:
    """Positions of one phase in raster order.

    Attributes:
        sites: numbered row by row.
        places: where they are in a padded plane.
    """

    sites: _Sites
    places: _Sites


class LayerCoder:
    """Codes or decodes the layers of one picture in their order; remembers those that later ones look at.

    Args:
        model: the entropy model.
        height: positions from top to bottom.
        width: positions from left to right.
    """

    def __init__(self, model: CodeContext, height: int, width: int) -> None:
        self._model = model
        self._shape = height, width
        padded = (MAX_BACK + 1, model.channels, height + 2 * REACH, width + 2 * REACH)
        self._known: Codes = np.zeros(padded, np.uint8)
        self._phases = [_Phase(sites, self._padded(sites)) for sites in _phases(height, width)]
        self._layer = 0

    def encode(self, codes: Codes) -> bytes:
        """Codes the next layer, uint8 (channels, height, width) of 0 and 1, into the bytes of its segment."""
        encoder = AnsEncoder()
        self._inside(self._layer)[:] = codes
        for channels, phase in self._steps():
            indexes = self._indexes(channels, phase)
            encoder.append_grouped(self._values(channels, phase).ravel(), indexes.ravel(), self._model.tables)
        self._layer += 1
        return encoder.finish()

    def decode(self, payload: bytes) -> Codes:
        """Restores what `encode` coded.

        Raises:
            FormatError: the payload is not a layer of that size.
        """
        decoder = AnsDecoder(payload)
        self._inside(self._layer)[:] = 0
        for step in self._steps():
            self._decode_step(decoder, *step)
        decoder.finish()
        self._layer += 1
        return self._inside(self._layer - 1).copy()

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
        decoder = AnsDecoder(payload, total)
        self._inside(self._layer)[:] = 0
        codes = np.full((self._model.channels, *self._shape), UNKNOWN, np.uint8)
        try:
            for channels, phase in self._steps():
                self._decode_step(decoder, channels, phase)
                sites = self._phases[phase].sites
                codes.reshape(len(codes), -1)[channels, sites] = self._values(channels, phase).T
        except TruncatedError:
            pass
        return codes

    def _decode_step(self, decoder: AnsDecoder, channels: slice, phase: int) -> None:
        indexes = self._indexes(channels, phase)
        values = decoder.take_grouped(indexes.ravel(), self._model.tables).reshape(indexes.shape)
        self._flat(self._layer)[channels, self._phases[phase].places] = values.T

    def _steps(self) -> Iterator[tuple[slice, int]]:
        """Channels and phase of what is coded together, in coding order."""
        for start, stop in self._model.groups():
            for phase in range(PHASES):
                yield slice(start, stop), phase

    def _indexes(self, channels: slice, phase: int) -> npt.NDArray[np.uint8]:
        """The tables of a step, (positions, channels)."""
        seen = self._model.seen[self._layer, channels, phase].astype(np.int64)
        tables = self._model.contexts[self._layer, channels, phase]
        offsets, there = self._offsets(seen), seen[..., BACK] != NOTHING
        known, places = self._known.reshape(-1), self._phases[phase].places
        indexes = np.empty((len(places), len(tables)), np.uint8)
        for start in range(0, len(places), _BLOCK):
            block = places[start : start + _BLOCK]
            for channel, table in enumerate(tables):
                context = np.zeros(len(block), np.uint16)
                for bit in np.flatnonzero(there[channel]).tolist():
                    context |= known.take(block + offsets[channel, bit]).astype(np.uint16) << bit
                indexes[start : start + _BLOCK, channel] = table.take(context)
        return indexes

    def _offsets(self, seen: _Sites) -> _Sites:
        """Where the codes seen by each channel of the current layer are, from a position, (channels, n)."""
        _, channels, height, width = self._known.shape
        slots = (self._layer - seen[..., BACK]) % (MAX_BACK + 1)
        offsets: _Sites = (slots * channels + seen[..., CHANNEL]) * height * width
        offsets += seen[..., DOWN] * width + seen[..., RIGHT]
        return offsets

    def _padded(self, sites: _Sites) -> _Sites:
        """Where positions are in a padded plane."""
        rows, columns = np.divmod(sites, self._shape[1])
        places: _Sites = (rows + REACH) * self._known.shape[-1] + columns + REACH
        return places

    def _values(self, channels: slice, phase: int) -> Codes:
        """Codes of the current layer, (positions, channels)."""
        values: Codes = self._flat(self._layer)[channels, self._phases[phase].places].T
        return values

    def _flat(self, layer: int) -> Codes:
        """A layer as padded planes, (channels, padded positions)."""
        planes: Codes = self._known[layer % (MAX_BACK + 1)].reshape(self._model.channels, -1)
        return planes

    def _inside(self, layer: int) -> Codes:
        """A layer without padding, (channels, height, width)."""
        inside: Codes = self._known[layer % (MAX_BACK + 1), :, REACH:-REACH, REACH:-REACH]
        return inside


def _phases(height: int, width: int) -> tuple[_Sites, ...]:
    """Positions, numbered row by row, whose row and column add up to an even number, and the others."""
    rows, columns = np.divmod(np.arange(height * width), width)
    return tuple(np.flatnonzero((rows + columns) % PHASES == phase) for phase in range(PHASES))
