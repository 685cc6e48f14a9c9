"""A whole .nic file in memory: header, segments, tables, metadata.

`ContainerReader` and `ContainerWriter` do the same chunk by chunk. The format is FORMAT.md.
"""

import io
from dataclasses import dataclass
from typing import BinaryIO

from ..errors import RequestError
from .chunks import Chunk, ChunkType, Segment
from .header import ColourSpace, Header
from .limits import DEFAULT_LIMITS, Limits
from .reader import ContainerReader, read_header_from
from .writer import ContainerWriter

__all__ = [
    "Chunk",
    "ChunkType",
    "ColourSpace",
    "Container",
    "ContainerReader",
    "ContainerWriter",
    "Header",
    "Limits",
    "Segment",
    "collect",
    "read",
    "read_header",
    "write",
    "write_to",
]


@dataclass(frozen=True, slots=True)
class Container:
    """A .nic file, taken apart but not decoded.

    Attributes:
        header: the header.
        segments: the segments that are there; `read` gives them by ascending index.
        chunks: tables and ancillary chunks, known or not, in file order.
        damaged: indices of segments dropped because their checksum did not match (partial reads only).
        intact: whether nothing was damaged or cut off, be it a segment or another chunk (False in partial reads only).
    """

    header: Header
    segments: tuple[Segment, ...]
    chunks: tuple[Chunk, ...] = ()
    damaged: tuple[int, ...] = ()
    intact: bool = True

    @property
    def complete(self) -> bool:
        """Whether every segment is there whole and nothing was damaged or cut off."""
        return self.intact and not self.missing and all(segment.complete for segment in self.segments)

    @property
    def missing(self) -> tuple[int, ...]:
        """Indices of the segments that are not there, not even in part, ascending; includes the damaged ones."""
        present = {segment.index for segment in self.segments}
        return tuple(index for index in range(self.header.segments) if index not in present)

    @property
    def tables(self) -> tuple[bytes, ...]:
        """Payloads of the TABL chunks, in file order."""
        return tuple(chunk.payload for chunk in self.chunks if chunk.type == ChunkType.TABL)

    @property
    def icc(self) -> bytes | None:
        """The ICC profile, or None."""
        return self._payload(ChunkType.ICC)

    @property
    def exif(self) -> bytes | None:
        """The EXIF data, from its TIFF header on, or None."""
        return self._payload(ChunkType.EXIF)

    @property
    def xmp(self) -> bytes | None:
        """The XMP packet, UTF-8, or None."""
        return self._payload(ChunkType.XMP)

    def _payload(self, chunk_type: ChunkType) -> bytes | None:
        return next((chunk.payload for chunk in self.chunks if chunk.type == chunk_type), None)


def read(source: bytes | BinaryIO, *, limits: Limits = DEFAULT_LIMITS, allow_partial: bool = False) -> Container:
    """Read a whole file.

    Args:
        source: the file's bytes, or a binary stream that ends with the file; it need not be seekable.
        limits: the sizes to accept.
        allow_partial: whether to make do with what arrived. A segment that is cut off is then handed over with
            `complete=False`, unverified; damaged segments are dropped and listed in `Container.damaged`.

    Raises:
        FormatError: the data is not what FORMAT.md describes (see the subclasses). Without `allow_partial` this
            includes every missing or damaged part.
    """
    return collect(ContainerReader(_as_stream(source), limits, allow_partial=allow_partial))


def collect(reader: ContainerReader) -> Container:
    """Read what a reader has not given out yet.

    Raises:
        FormatError: as for `read`.
    """
    segments: list[Segment] = []
    chunks: list[Chunk] = []
    for item in reader:
        if isinstance(item, Segment):
            segments.append(item)
        else:
            chunks.append(item)
    segments.sort(key=lambda segment: segment.index)
    return Container(reader.header, tuple(segments), tuple(chunks), reader.damaged, reader.intact)


def read_header(source: bytes | BinaryIO, limits: Limits = DEFAULT_LIMITS) -> Header:
    """Read the header and nothing behind it.

    Args:
        source: the start of a file, or a binary stream; a stream is left right behind the header.
        limits: the sizes to accept.

    Raises:
        FormatError: the data is not what FORMAT.md describes (see the subclasses).
    """
    return read_header_from(_as_stream(source), limits)


def write(container: Container, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Return the bytes of the file; see `write_to`."""
    stream = io.BytesIO()
    write_to(container, stream, limits=limits)
    return stream.getvalue()


def write_to(container: Container, stream: BinaryIO, *, limits: Limits = DEFAULT_LIMITS) -> None:
    """Write header, chunks and segments, each in the order given. The stream stays open.

    Args:
        container: the file; all its segments must be there, complete.
        stream: buffered binary stream; it need not be seekable.
        limits: the sizes to accept.

    Raises:
        RequestError: a segment is missing, repeated or incomplete, or a chunk may not be written.
        LimitError: a size is over its limit.
    """
    incomplete = [segment.index for segment in container.segments if not segment.complete]
    if incomplete:
        raise RequestError(f"segment {incomplete[0]} is incomplete and cannot be written; read the file in whole")
    writer = ContainerWriter(stream, container.header, limits=limits)
    for chunk in container.chunks:
        writer.write_chunk(chunk.type, chunk.payload)
    for segment in container.segments:
        writer.write_segment(segment.index, segment.payload)
    writer.finish()


def _as_stream(source: bytes | BinaryIO) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else source
