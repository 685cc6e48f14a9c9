"""Framing of chunks in a stream: type, length, payload, checksum.

Layout: FORMAT.md §2.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import BinaryIO

from ..errors import FormatError
from .chunks import ChunkType, is_ancillary
from .header import HEADER_BYTES
from .limits import Limits
from .wire import VARINT_BYTES, Cursor, encode_varint, read_up_to

_CRC_BYTES = 4


class FrameState(Enum):
    """How a chunk arrived."""

    INTACT = auto()
    DAMAGED = auto()
    TRUNCATED = auto()


@dataclass(frozen=True, slots=True)
class Frame:
    """A chunk as it arrived.

    Attributes:
        type: type byte.
        payload: the payload bytes that arrived.
        length: the payload bytes that were declared, or None if the length itself is cut off.
        state: whether the checksum matches.
    """

    type: int
    payload: bytes
    length: int | None
    state: FrameState


def write_frame(stream: BinaryIO, chunk_type: int, parts: Iterable[bytes], crc: int = 0) -> None:
    """Write one chunk.

    Args:
        stream: where to; the chunk is not held in memory twice.
        chunk_type: type byte.
        parts: the payload, in pieces.
        crc: checksum of what precedes the chunk and is covered by it.
    """
    pieces = tuple(parts)
    head = bytes((chunk_type,)) + encode_varint(sum(map(len, pieces)))
    for piece in (head, *pieces):
        crc = zlib.crc32(piece, crc)
        stream.write(piece)
    stream.write(crc.to_bytes(_CRC_BYTES, "little"))


def read_frame(stream: BinaryIO, limits: Limits, crc: int = 0) -> Frame | None:
    """Read one chunk, damaged or not.

    Args:
        stream: read up to the end of the chunk and no further.
        limits: the lengths to accept.
        crc: checksum of what precedes the chunk and is covered by it.

    Returns:
        The chunk, or None at the end of the stream.

    Raises:
        FormatError: the length is not a canonical integer.
        LimitError: the length is over the limit for that type; none of the payload has been read.
    """
    head = read_up_to(stream, 1)
    if not head:
        return None
    chunk_type = head[0]
    encoded_length = _read_length(stream)
    if encoded_length is None:
        return Frame(chunk_type, b"", None, FrameState.TRUNCATED)
    length = Cursor(encoded_length, "a chunk length").varint()
    _check_length(chunk_type, length, limits)
    payload = read_up_to(stream, length)
    stored = read_up_to(stream, _CRC_BYTES)
    if len(stored) < _CRC_BYTES:
        return Frame(chunk_type, payload, length, FrameState.TRUNCATED)
    computed = zlib.crc32(payload, zlib.crc32(head + encoded_length, crc))
    state = FrameState.INTACT if computed == int.from_bytes(stored, "little") else FrameState.DAMAGED
    return Frame(chunk_type, payload, length, state)


def _read_length(stream: BinaryIO) -> bytes | None:
    encoded = b""
    while len(encoded) < VARINT_BYTES:
        byte = read_up_to(stream, 1)
        if not byte:
            return None
        encoded += byte
        if byte[0] < 0x80:
            break
    return encoded


def _check_length(chunk_type: int, length: int, limits: Limits) -> None:
    if chunk_type == ChunkType.HEAD and length > HEADER_BYTES:
        raise FormatError(f"the header has {length} bytes, the format allows {HEADER_BYTES}; the data is damaged")
    if is_ancillary(chunk_type):
        limits.check("ancillary", length)
    limits.check("chunk", length)
