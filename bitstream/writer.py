"""Writes a .nic file chunk by chunk to a stream."""

import zlib
from typing import BinaryIO

from ..errors import RequestError
from .chunks import ChunkType, is_ancillary
from .frames import write_frame
from .header import Header
from .inventory import Inventory
from .limits import DEFAULT_LIMITS, Limits
from .signature import SIGNATURE
from .wire import encode_varint


class ContainerWriter:
    """Writes the header at once, then each chunk and segment as it comes; holds none of them.

    Args:
        stream: buffered binary stream; it need not be seekable.
        header: the header.
        limits: the sizes to accept; a file over the default limits is refused by readers with the default limits.

    Raises:
        LimitError: a size in the header is over its limit.
        RequestError: the header is too long.
    """

    def __init__(self, stream: BinaryIO, header: Header, *, limits: Limits = DEFAULT_LIMITS) -> None:
        header.check_limits(limits)
        payload = header.to_bytes()
        self._stream = stream
        self._limits = limits
        self._indexed = header.segments > 1
        self._inventory = Inventory(header, limits, RequestError)
        stream.write(SIGNATURE)
        write_frame(stream, ChunkType.HEAD, (payload,), zlib.crc32(SIGNATURE))

    def write_chunk(self, chunk_type: int, payload: bytes) -> None:
        """Write a table or ancillary chunk. Write them before the segments, so that a cut file keeps them.

        Args:
            chunk_type: `ChunkType.TABL`, or 0x80 to 0xff.
            payload: its bytes.

        Raises:
            RequestError: the type is no table and not ancillary, or is repeated though allowed once.
            LimitError: the payload, or all ancillary payloads together, are too large.
        """
        if chunk_type != ChunkType.TABL and not 0x80 <= chunk_type <= 0xFF:
            raise RequestError(f"chunk type {chunk_type:#04x} cannot be written; use TABL (0x03) or 0x80 to 0xff")
        if is_ancillary(chunk_type):
            self._limits.check("ancillary", len(payload))
        self._limits.check("chunk", len(payload))
        self._inventory.add_chunk(chunk_type, len(payload))
        write_frame(self._stream, chunk_type, (payload,))

    def write_segment(self, index: int, payload: bytes) -> None:
        """Write a segment. Any order is allowed; ascending indices let a cut file keep the most important ones.

        Args:
            index: 0 to the header's number of segments - 1.
            payload: the codec's bytes; may be empty.

        Raises:
            RequestError: the index is out of range or repeated.
            LimitError: the segment is too large.
        """
        self._inventory.check_segment(index)
        prefix = encode_varint(index) if self._indexed else b""
        self._limits.check("chunk", len(prefix) + len(payload))
        self._inventory.add_segment(index)
        write_frame(self._stream, ChunkType.SEGM, (prefix, payload))

    def finish(self) -> None:
        """Make sure that the file is whole. The stream stays open.

        Raises:
            RequestError: segments have not been written.
        """
        missing = self._inventory.missing()
        if missing:
            raise RequestError(
                f"segment {missing[0]} was not written: {self._inventory.arrived} are; write all of them"
            )
