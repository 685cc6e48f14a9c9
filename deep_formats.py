"""Image files with 16 bits per sample, which Pillow cannot write in colour."""

import io
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from .errors import RequestError

NAMES = ("PNG", "TIFF")
"""Pillow's names of the formats that can be written."""

_TIFF_XMP = 700
_PNG_START = 8 + 25
"""Bytes of a PNG's signature and its first chunk, behind which others may stand."""

_PNG_FILTER = 4
"""Paeth's, for every row: nearly as small as the best of all, which would take six times as long to find."""

_PROFILE_NAME = "ICC profile"


def encode(samples: npt.NDArray[np.uint16], metadata: Mapping[str, bytes], name: str) -> tuple[bytes, tuple[str, ...]]:
    """Makes a file in memory.

    Args:
        samples: uint16 (H, W), or (H, W, C) with C = 2 gray and alpha, 3 RGB, 4 RGB and alpha.
        metadata: ICC profile, EXIF (a TIFF structure) and XMP packet in UTF-8 as "icc", "exif" and "xmp".
        name: one of `NAMES`.

    Returns:
        The file, and remarks about what it does not carry.

    Raises:
        RequestError: the format is none of them.
    """
    if name == "PNG":
        return _png(samples, metadata), ()
    if name == "TIFF":
        return _tiff(samples, metadata)
    raise RequestError(f"{name} holds no 16-bit samples here: choose one of {', '.join(NAMES)}")


def _png(samples: npt.NDArray[np.uint16], metadata: Mapping[str, bytes]) -> bytes:
    import numpngw

    profile = (_PROFILE_NAME, metadata["icc"]) if "icc" in metadata else None
    stream = io.BytesIO()
    numpngw.write_png(stream, samples, filter_type=_PNG_FILTER, iccp=profile)
    written = stream.getvalue()
    more = b""
    if "exif" in metadata:
        more += _png_chunk(b"eXIf", metadata["exif"])
    if "xmp" in metadata:
        # Keyword, not compressed, no language, no translated keyword (PNG 1.2, section 4.2.3.3).
        more += _png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata["xmp"])
    return written[:_PNG_START] + more + written[_PNG_START:]


def _png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _tiff(samples: npt.NDArray[np.uint16], metadata: Mapping[str, bytes]) -> tuple[bytes, tuple[str, ...]]:
    import tifffile

    notes: tuple[str, ...] = ()
    if "exif" in metadata:
        notes += ("EXIF is not kept: TIFF of 16 bits is written without it; write PNG",)
    channels = samples.shape[2] if samples.ndim == 3 else 1
    if channels == 2:
        # Pillow and others cannot read gray with alpha of this depth.
        samples = samples[..., [0, 0, 0, 1]]
        notes += ("gray with transparency is written as RGB in TIFF of 16 bits",)
    xmp = [(_TIFF_XMP, 7, len(metadata["xmp"]), metadata["xmp"], True)] if "xmp" in metadata else []
    stream = io.BytesIO()
    tifffile.imwrite(
        stream,
        samples,
        photometric="rgb" if channels > 1 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        predictor=True,
        iccprofile=metadata.get("icc"),
        extratags=xmp,
        metadata=None,
        software=False,
    )
    return stream.getvalue(), notes
