"""The parts that a .nic file consists of after its header.

Layout: FORMAT.md §2, §4 and §9.
"""

import zlib
from dataclasses import dataclass
from enum import IntEnum

_ANCILLARY_BIT = 0x80
_UNSAFE_TO_COPY_BIT = 0x40


class ChunkType(IntEnum):
    """The chunk types known to this version."""

    HEAD = 0x01
    SEGM = 0x02
    TABL = 0x03
    ICC = 0x81
    EXIF = 0xC2
    XMP = 0xC3


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk other than the header and the segments: tables of the codec, or ancillary data.

    Attributes:
        type: type byte, 0 to 255; ancillary types need not be known.
        payload: its bytes.
    """

    type: int
    payload: bytes

    @property
    def ancillary(self) -> bool:
        """Whether the picture decodes without this chunk."""
        return is_ancillary(self.type)

    @property
    def safe_to_copy(self) -> bool:
        """Whether the chunk stays true when the picture has been edited, so that a rewrite may copy it unread."""
        return self.ancillary and not self.type & _UNSAFE_TO_COPY_BIT


@dataclass(frozen=True, slots=True)
class Segment:
    """One independently checked piece of coded picture.

    Attributes:
        index: position in the order of FORMAT.md §4, counted from 0.
        payload: the codec's bytes; a prefix of them if not complete.
        complete: whether all bytes arrived and their checksum matched.
        absent: payload bytes that should have come and did not.
    """

    index: int
    payload: bytes
    complete: bool = True
    absent: int = 0

    @property
    def size(self) -> int:
        """Number of payload bytes that arrived."""
        return len(self.payload)

    @property
    def crc32(self) -> int:
        """CRC-32 of the payload alone, 0 to 2**32 - 1 (the one stored in the file also covers the framing)."""
        return zlib.crc32(self.payload)


def is_ancillary(chunk_type: int) -> bool:
    """Tell whether a reader that does not know the type may skip the chunk."""
    return bool(chunk_type & _ANCILLARY_BIT)


def chunk_name(chunk_type: int) -> str:
    """Return what to call a chunk of that type in a message."""
    try:
        return f"the {ChunkType(chunk_type).name} chunk"
    except ValueError:
        return f"the chunk of unknown type 0x{chunk_type:02x}"
