"""Moves ICC, EXIF and XMP between pictures and ancillary chunks."""

import numpy as np
import numpy.typing as npt

from ..bitstream.container import Chunk, ChunkType, Container
from ..images import Picture

Pixels = npt.NDArray[np.uint8]


def chunks_of(picture: Picture) -> tuple[Chunk, ...]:
    """The ancillary chunks that carry a picture's metadata."""
    payloads = ((ChunkType.ICC, picture.icc), (ChunkType.EXIF, picture.exif), (ChunkType.XMP, picture.xmp))
    return tuple(Chunk(kind, payload) for kind, payload in payloads if payload)


def picture_of(pixels: Pixels, alpha: Pixels | None, container: Container) -> Picture:
    """The decoded picture: uint8 pixels (h, w, c), alpha (h, w) or None, and the container's metadata."""
    return Picture(pixels=pixels, alpha=alpha, icc=container.icc, exif=container.exif, xmp=container.xmp)
