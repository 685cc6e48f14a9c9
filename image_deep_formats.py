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
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_KINDS = {1: 0, 2: 4, 3: 2, 4: 6}
"""The number of channels, and what PNG calls them."""

_PNG_LEVEL = 2
"""As for 8 bits, see `image_formats`."""

_PAETH = 4
_ROWS = 64


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
    """PNG 1.2 (RFC 2083), every row with the filter of Paeth."""
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    header = struct.pack(">IIBBBBB", width, height, 16, _PNG_KINDS[channels], 0, 0, 0)
    parts = [_PNG_SIGNATURE, _png_chunk(b"IHDR", header)]
    if "icc" in metadata:
        parts.append(_png_chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata["icc"])))
    if "exif" in metadata:
        parts.append(_png_chunk(b"eXIf", metadata["exif"]))
    if "xmp" in metadata:
        # Keyword, not compressed, no language, no translated keyword.
        parts.append(_png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata["xmp"]))
    deflate = zlib.compressobj(_PNG_LEVEL)
    for top in range(0, height, _ROWS):
        rows = deflate.compress(_filtered(samples, top, min(height, top + _ROWS)))
        if rows:
            parts.append(_png_chunk(b"IDAT", rows))
    parts += [_png_chunk(b"IDAT", deflate.flush()), _png_chunk(b"IEND", b"")]
    return b"".join(parts)


def _filtered(samples: npt.NDArray[np.uint16], top: int, bottom: int) -> bytes:
    """Rows as bytes, each by how much it differs from what Paeth's filter predicts."""
    first = max(0, top - 1)
    whole = samples[first:bottom].reshape(bottom - first, -1)
    stride = 2 * (whole.shape[1] // samples.shape[1])
    rows = whole.astype(">u2").view(np.uint8).astype(np.int16)
    above = rows[:-1] if first < top else np.vstack([np.zeros_like(rows[:1]), rows[:-1]])
    rows = rows[-(bottom - top) :]
    left, above_left = (np.pad(part[:, :-stride], ((0, 0), (stride, 0))) for part in (rows, above))
    estimate = left + above - above_left
    near_left, near_above, near_both = (np.abs(estimate - part) for part in (left, above, above_left))
    upper = np.where(near_above <= near_both, above, above_left)
    predicted = np.where((near_left <= near_above) & (near_left <= near_both), left, upper)
    coded = np.empty((bottom - top, 1 + rows.shape[1]), np.uint8)
    coded[:, 0] = _PAETH
    coded[:, 1:] = rows - predicted
    return coded.tobytes()


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
