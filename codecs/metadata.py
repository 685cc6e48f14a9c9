"""Moves ICC, EXIF and XMP between pictures and ancillary chunks."""

from ..bitstream.container import Chunk, ChunkType, Container
from ..images import Picture


def chunks_of(picture: Picture) -> tuple[Chunk, ...]:
    """The ancillary chunks that carry a picture's metadata."""
    payloads = ((ChunkType.ICC, picture.icc), (ChunkType.EXIF, picture.exif), (ChunkType.XMP, picture.xmp))
    return tuple(Chunk(kind, payload) for kind, payload in payloads if payload)


def metadata_of(container: Container) -> dict[str, bytes | None]:
    """The metadata arguments for a `Picture` from a container's ancillary chunks."""
    return {"icc": container.icc, "exif": container.exif, "xmp": container.xmp}
