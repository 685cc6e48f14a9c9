"""Metadata of image files: orientation, EXIF, XMP, and the depth that a file's header declares."""

import re
import struct
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

_Sample = TypeVar("_Sample", np.uint8, np.uint16)
_EXIF_PREFIX = b"Exif\x00\x00"
_ORIENTATION = 274
_SHORT = 3
_BITS_PER_SAMPLE = 258
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:=[\"']|>)\s*)[2-8]")
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/"

# The tags of a TIFF's first directory that describe the photo. All others describe how the file stores its samples.
_DESCRIPTIVE_TAGS = frozenset(
    {
        *(270, 271, 272, 282, 283, 296, 305, 306, 315, 316),  # description, make, model, resolution ... host computer
        *(18246, 18249, 33432),  # rating, rating in percent, copyright
        *(34665, 34853),  # the EXIF and GPS directories
        *range(40091, 40096),  # the title, comment, author, keywords and subject of Windows
    }
)

# What brings the samples of an image with EXIF orientation 2..8 upright.
_UPRIGHT: dict[int, Callable[[Any], Any]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


def make_upright(samples: npt.NDArray[_Sample], orientation: int) -> npt.NDArray[_Sample]:
    """Samples (H, W, ...) turned as EXIF's orientation tag (1..8) asks; other values change nothing."""
    turn = _UPRIGHT.get(orientation)
    return samples if turn is None else turn(samples)


def declared_bits(image: Image.Image, header: bytes) -> int:
    """Bits per channel that an opened file declares, of which Pillow may keep fewer.

    Args:
        image: the opened image.
        header: the first bytes of its file, 64 KiB or the whole file.

    Returns:
        1..32; 8 for formats that have nothing else or do not say.
    """
    if image.format == "PNG":
        return header[24]
    if image.format == "TIFF":
        bits = _tiff_tags(image).get(_BITS_PER_SAMPLE, (1,))
        return max(bits) if isinstance(bits, tuple) else int(bits)
    if image.format == "PPM" and header[:2] in (b"P2", b"P3", b"P5", b"P6"):
        return int(re.sub(rb"#[^\n]*", b"", header[:1024]).split()[3]).bit_length()
    if image.format == "SGI":
        return 8 * header[3]
    if image.format == "JPEG2000" and (size_marker := header.find(b"\xff\x4f\xff\x51")) >= 0:
        return (header[size_marker + 42] & 0x7F) + 1
    if image.format == "AVIF" and (depth_box := header.find(b"pixi")) >= 0:
        return header[depth_box + 9]
    return 8


def read_exif(image: Image.Image) -> bytes | None:
    """EXIF of a loaded image as a TIFF structure without the prefix of JPEG, or None."""
    if image.format == "TIFF":
        exif = image.getexif()
        keep_descriptive(exif)
        return strip_exif_prefix(exif.tobytes()) if len(exif) else None
    blob = image.info.get("exif")
    if not blob and (text := image.info.get("Raw profile type exif")):
        # ImageMagick's way of EXIF in PNG: an empty line, the kind, the length, then hexadecimal digits.
        blob = bytes.fromhex("".join(text.split("\n")[3:]))
    return strip_exif_prefix(blob) or None if blob else None


def read_xmp(image: Image.Image) -> bytes | None:
    """The XMP packet of a loaded image, or None."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp")
    return (packet.encode() if isinstance(packet, str) else bytes(packet)) if packet else None


def has_extended_xmp(image: Image.Image) -> bool:
    """Whether a JPEG has XMP beyond its first 64 KiB, which Pillow does not read."""
    return any(data.startswith(_EXTENDED_XMP) for _, data in getattr(image, "applist", ()))


def keep_descriptive(exif: Image.Exif) -> None:
    """Delete the tags that describe the storage of one particular file: they would be wrong in any other."""
    for tag in [tag for tag in exif if tag not in _DESCRIPTIVE_TAGS]:
        del exif[tag]


def strip_exif_prefix(exif: bytes) -> bytes:
    """EXIF without the `Exif` marker(s) in front of the TIFF structure."""
    while exif.startswith(_EXIF_PREFIX):
        exif = exif[len(_EXIF_PREFIX) :]
    return exif


def add_exif_prefix(exif: bytes) -> bytes:
    """EXIF as JPEG carries it."""
    return _EXIF_PREFIX + exif


def read_orientation(exif: bytes | None) -> int:
    """The orientation tag of EXIF, 1 where there is none or it is not in 1..8."""
    position = _find_orientation(exif)
    if exif is None or position is None:
        return 1
    (value,) = struct.unpack_from(_byte_order(exif) + "H", exif, position)
    return value if 1 <= value <= 8 else 1


def reset_orientation(exif: bytes | None, xmp: bytes | None) -> tuple[bytes | None, bytes | None]:
    """EXIF and XMP with their orientation set to 1 in place; every other byte stays, maker notes included."""
    position = _find_orientation(exif)
    if exif is not None and position is not None:
        upright = struct.pack(_byte_order(exif) + "H", 1)
        exif = exif[:position] + upright + exif[position + 2 :]
    return exif, _XMP_ORIENTATION.sub(rb"\g<1>1", xmp) if xmp else xmp


def _find_orientation(exif: bytes | None) -> int | None:
    """Where the value of the orientation tag lies; None if there is none or the structure is damaged."""
    if exif is None or exif[:2] not in (b"II", b"MM"):
        return None
    order = _byte_order(exif)
    try:
        (directory,) = struct.unpack_from(order + "I", exif, 4)
        (entries,) = struct.unpack_from(order + "H", exif, directory)
        for entry in range(directory + 2, directory + 2 + 12 * entries, 12):
            if struct.unpack_from(order + "HHI", exif, entry) == (_ORIENTATION, _SHORT, 1):
                struct.unpack_from(order + "H", exif, entry + 8)
                return entry + 8
    except struct.error:
        pass
    return None


def _byte_order(exif: bytes) -> str:
    return "<" if exif[:2] == b"II" else ">"


def _tiff_tags(image: Image.Image) -> Any:
    """The first directory of a TIFF."""
    return getattr(image, "tag_v2", {})
