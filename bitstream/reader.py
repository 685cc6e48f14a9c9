"""Reads a .nic file chunk by chunk from a stream.

Rules for damaged and truncated files: FORMAT.md §5.
"""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from ..errors import ChecksumError, FormatError, TruncatedError, UnknownChunkError
from .chunks import Chunk, ChunkType, Segment, chunk_name, is_ancillary
from .frames import Frame, FrameState, read_frame
from .header import Header
from .inventory import Inventory
from .limits import DEFAULT_LIMITS, Limits
from .signature import read_signature
from .wire import Cursor

_GET_IT_AGAIN = "get the file again"


def read_header_from(stream: BinaryIO, limits: Limits) -> Header:
    """Read the signature and the HEAD chunk, and not a byte more.

    Args:
        stream: binary stream at the start of a file; it need not be seekable.
        limits: the sizes to accept.

    Raises:
        FormatError: they are not what FORMAT.md describes (see the subclasses).
    """
    signature = read_signature(stream)
    frame = read_frame(stream, limits, zlib.crc32(signature))
    if frame is None or frame.state is FrameState.TRUNCATED:
        raise TruncatedError("the data ends inside the header; get the file again")
    if frame.type != ChunkType.HEAD:
        raise FormatError(f"{chunk_name(frame.type)} comes before the header; the data is damaged")
    if frame.state is FrameState.DAMAGED:
        raise ChecksumError("the header is damaged: its checksum does not match; get the file again")
    return Header.from_bytes(frame.payload, limits)


class ContainerReader:
    """Reads the header at once; iteration yields the other chunks lazily, in file order, one in memory at a time.

    By default whatever is missing, damaged or superfluous raises an error. With `allow_partial` the iteration passes
    over damaged chunks, hands out a segment that is cut off with `complete=False`, and ends quietly where the data
    ends; `damaged` and `intact` then say what was dropped. With `allow_cut` it does the same at the end of the data, but
    whatever is damaged or superfluous before it raises an error.

    Args:
        stream: binary stream at the start of a file; it need not be seekable.
        limits: the sizes to accept.
        allow_partial: whether to make do with what arrived.

    Attributes:
        allow_cut: whether to make do with the beginning of a file; may be set until iteration begins, when the header
            has told whether the codec can.

    Raises:
        FormatError: signature or header are not what FORMAT.md describes (see the subclasses).
    """

    def __init__(self, stream: BinaryIO, limits: Limits = DEFAULT_LIMITS, *, allow_partial: bool = False) -> None:
        self._header = read_header_from(stream, limits)
        self._stream = stream
        self._limits = limits
        self._allow_partial = allow_partial
        self.allow_cut = False
        self._inventory = Inventory(self._header, limits, FormatError)
        self._damaged: set[int] = set()
        self._intact = True
        # False after a damaged chunk until an intact one: if the damage hit a length, what follows is not framed.
        self._synchronised = True

    @property
    def header(self) -> Header:
        """The header."""
        return self._header

    @property
    def damaged(self) -> tuple[int, ...]:
        """Indices of the segments that arrived damaged so far, as far as they can be told, ascending."""
        return tuple(sorted(filter(self._inventory.expects, self._damaged)))

    @property
    def intact(self) -> bool:
        """Whether all that was read so far arrived whole and undamaged."""
        return self._intact

    @property
    def complete(self) -> bool:
        """Whether every segment has been read, whole and undamaged, as everything else so far."""
        return self._intact and not self._inventory.missing()

    def __iter__(self) -> Iterator[Chunk | Segment]:
        """Yield tables and ancillary chunks as `Chunk`, segments as `Segment`.

        Raises:
            FormatError: the data is not what FORMAT.md describes (see the subclasses).
        """
        while (frame := self._next_frame()) is not None:
            item = self._accept(frame)
            if item is not None:
                yield item
        if not (self._allow_partial or self.allow_cut):
            self._check_complete()

    def _next_frame(self) -> Frame | None:
        try:
            return read_frame(self._stream, self._limits)
        except FormatError:
            if not self._allow_partial:
                raise
            self._intact = False
            return None

    def _accept(self, frame: Frame) -> Chunk | Segment | None:
        if frame.state is FrameState.INTACT:
            self._synchronised = True
            return self._accept_intact(frame)
        if not (self._allow_partial or (self.allow_cut and frame.state is FrameState.TRUNCATED)):
            raise self._failure(frame)
        salvaged = self._salvage(frame)
        self._intact = self._synchronised = False
        return salvaged

    def _accept_intact(self, frame: Frame) -> Chunk | Segment:
        if frame.type == ChunkType.SEGM:
            index, payload = self._split_segment(frame.payload)
            self._inventory.add_segment(index)
            return Segment(index, payload)
        if frame.type == ChunkType.HEAD:
            raise FormatError("a second header follows the first; the data is damaged or two files are joined")
        if frame.type != ChunkType.TABL and not is_ancillary(frame.type):
            raise UnknownChunkError(f"{chunk_name(frame.type)} is needed to decode the file; update nicodec")
        self._inventory.add_chunk(frame.type, len(frame.payload))
        return Chunk(frame.type, frame.payload)

    def _salvage(self, frame: Frame) -> Segment | None:
        if frame.type == ChunkType.SEGM:
            return self._salvage_segment(frame)
        if frame.type == ChunkType.TABL and frame.state is FrameState.DAMAGED and self._synchronised:
            raise self._failure(frame)
        return None

    def _salvage_segment(self, frame: Frame) -> Segment | None:
        index = self._claimed_index(frame)
        if index is None or not self._inventory.expects(index):
            return None
        if frame.state is FrameState.DAMAGED:
            self._damaged.add(index)
            return None
        if not self._synchronised:
            return None
        if frame.length is None:
            return None
        self._inventory.add_segment(index)
        absent = frame.length - len(frame.payload)
        return Segment(index, self._split_segment(frame.payload)[1], complete=False, absent=absent)

    def _split_segment(self, payload: bytes) -> tuple[int, bytes]:
        if self._header.segments == 1:
            return 0, payload
        cursor = Cursor(payload, "the index of a segment")
        return cursor.varint(), cursor.rest()

    def _claimed_index(self, frame: Frame) -> int | None:
        try:
            index, _ = self._split_segment(frame.payload)
        except FormatError:
            return None
        return index if index < self._header.segments else None

    def _failure(self, frame: Frame) -> FormatError:
        index = self._claimed_index(frame) if frame.type == ChunkType.SEGM else None
        name = chunk_name(frame.type) if index is None else f"segment {index}"
        arrived = f"{self._inventory.arrived} arrived before it"
        if frame.state is FrameState.DAMAGED:
            message = f"{name} is damaged: its checksum does not match ({arrived}); {_GET_IT_AGAIN}"
            return ChecksumError(message, segment=index)
        wanted = "unknown" if frame.length is None else frame.length
        received = f"{len(frame.payload)} of {wanted} bytes"
        return TruncatedError(f"the data ends inside {name}, after {received} ({arrived}); {_GET_IT_AGAIN}")

    def _check_complete(self) -> None:
        missing = self._inventory.missing()
        if missing:
            arrived = f"{self._inventory.arrived} arrived, segment {missing[0]} is the first missing"
            raise TruncatedError(f"the data ends too early: {arrived}; {_GET_IT_AGAIN}")
