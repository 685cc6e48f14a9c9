"""Two profiles for coding a stack of latent planes, and the segments they make.

*Context* gives the smaller file: stripes of rows, each one segment, coded under `context.ContextModel`. *Independent*
gives access: every channel is a segment of its own with its own checksum, coded under one table that the segment names
or carries. FORMAT.md §7, is normative.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError
from . import context
from .ans import AnsDecoder, AnsEncoder
from .context import ContextModel, Planes
from .tables import FREQUENCY_BITS, FrequencyTable, TableSet

OWN_TABLE = 255
"""First byte of a channel segment that carries its table; smaller values name a shared table."""

STRIPE_POSITIONS = 1 << 17
MIN_STRIPE_ROWS = 16


@dataclass(frozen=True)
class LatentTables:
    """The integer entropy model of one zoo entry.

    Attributes:
        context: model of the context profile.
        shared: at most 255 tables of the independent profile.
    """

    context: ContextModel
    shared: TableSet

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "LatentTables":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        model = ContextModel.from_arrays(arrays)
        try:
            shared = TableSet(arrays["shared_tables"].astype(np.int32), model.minimum)
        except KeyError as error:
            raise FormatError(f"the model has no {error}: reinstall the model") from error
        if shared.maximum != model.maximum or len(shared) > OWN_TABLE:
            raise FormatError("the model's shared tables do not fit its codebook: reinstall the model")
        return cls(model, shared)


@dataclass(frozen=True)
class ChannelTable:
    """The table of one channel segment.

    Attributes:
        shared: index of a shared table, or None if the segment carries its own.
        own: the segment's own table, or None.
        start: offset of the entropy-coded bytes in the payload.
    """

    shared: int | None
    own: FrequencyTable | None
    start: int


def stripe_rows(height: int, width: int) -> list[tuple[int, int]]:
    """First and last-plus-one latent row of each stripe: about 2^17 positions, at least 16 rows.

    >>> stripe_rows(64, 96), stripe_rows(40, 8000)
    ([(0, 64)], [(0, 16), (16, 32), (32, 40)])
    """
    rows = max(MIN_STRIPE_ROWS, STRIPE_POSITIONS // width)
    return [(top, min(top + rows, height)) for top in range(0, height, rows)]


def encode_stripe(latents: Planes, model: ContextModel) -> bytes:
    """Codes rows of all channels, int32 (channels, rows, width), into one segment of the context profile."""
    encoder = AnsEncoder()
    context.encode(model, latents, encoder)
    return encoder.finish()


def decode_stripe(payload: bytes, model: ContextModel, rows: int, width: int) -> Planes:
    """Restores what `encode_stripe` coded.

    Raises:
        FormatError: the payload is not a stripe of that size.
    """
    decoder = AnsDecoder(payload)
    latents = context.decode(model, rows, width, decoder)
    decoder.finish()
    return latents


def encode_channel(plane: Planes, shared: TableSet) -> bytes:
    """Codes one channel, int32 (h, w) within the codebook, into one segment of the independent profile.

    The cheapest shared table is named, or an own table is written if that makes the segment smaller.
    """
    values = plane.ravel()
    counts = np.bincount(values - shared.minimum, minlength=shared.maximum - shared.minimum + 1)
    best = int(((FREQUENCY_BITS - np.log2(shared.frequencies)) @ counts).argmin())
    own = _fitted(counts, shared.minimum)
    with_shared = bytes([best]) + _encode_values(values, shared[best])
    with_own = bytes([OWN_TABLE]) + own.to_bytes() + _encode_values(values, own)
    return min(with_shared, with_own, key=len)


def decode_channel(payload: bytes, shared: TableSet, height: int, width: int) -> Planes:
    """Restores what `encode_channel` coded.

    Raises:
        FormatError: the payload is not a channel of that size.
    """
    header = read_channel_table(payload)
    if header.own is not None:
        table = header.own
    elif header.shared is not None and header.shared < len(shared):
        table = shared[header.shared]
    else:
        raise FormatError(f"shared table {header.shared} does not exist: get an undamaged copy of the file")
    decoder = AnsDecoder(payload[header.start :])
    values = decoder.take(table, height * width)
    decoder.finish()
    if values.min() < shared.minimum or values.max() > shared.maximum:
        raise FormatError("latents decode to values outside the codebook: get an undamaged copy of the file")
    return values.reshape(height, width)


def read_channel_table(payload: bytes) -> ChannelTable:
    """Which table codes a channel segment.

    Raises:
        FormatError: the payload is empty or its own table is damaged.
    """
    if not payload:
        raise FormatError("a channel segment is empty: get an undamaged copy of the file")
    if payload[0] != OWN_TABLE:
        return ChannelTable(payload[0], None, 1)
    own, used = FrequencyTable.from_prefix(payload[1:])
    return ChannelTable(None, own, 1 + used)


def _fitted(counts: npt.NDArray[np.int64], minimum: int) -> FrequencyTable:
    """The cheapest own table: it covers the values that occur and, since a table has two entries, one more if need be."""
    occurring = np.flatnonzero(counts)
    first = min(int(occurring[0]), counts.size - 2)
    last = max(int(occurring[-1]), first + 1)
    return FrequencyTable.fit(counts[first : last + 1], minimum + first)


def _encode_values(values: npt.NDArray[np.int32], table: FrequencyTable) -> bytes:
    encoder = AnsEncoder()
    encoder.append(values, table)
    return encoder.finish()
