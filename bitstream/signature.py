"""The five bytes in front of every .nic file, and what else a file without them may be.

Layout: FORMAT.md §2.
"""

from typing import BinaryIO

from ..errors import FormatError, NewerVersionError, NotNicError, TruncatedError
from .wire import read_up_to

MAGIC = b"\x8fNIC"
MAJOR = 1
MINOR = 0
SIGNATURE = MAGIC + bytes((MAJOR << 4 | MINOR,))

_SNIFF_BYTES = 12
_FOREIGN = (
    ("a PNG image", 0, (b"\x89PNG",)),
    ("a JPEG image", 0, (b"\xff\xd8\xff",)),
    ("a GIF image", 0, (b"GIF8",)),
    ("a TIFF image", 0, (b"II*\0", b"MM\0*")),
    ("a WebP image", 8, (b"WEBP",)),
    ("an AVIF or HEIF image", 4, (b"ftyp",)),
    ("a JPEG XL image", 0, (b"\xff\x0a", b"\0\0\0\x0cJXL ")),
    ("a BMP image", 0, (b"BM",)),
)


def read_signature(stream: BinaryIO) -> bytes:
    """Read and check magic and version.

    Returns:
        The bytes that the header's checksum also covers.

    Raises:
        NotNicError: this is some other file.
        NewerVersionError: the major version is newer than this reader.
        TruncatedError: the file is empty or ends before the version.
    """
    magic = read_up_to(stream, len(MAGIC))
    if not magic:
        raise TruncatedError("the file is empty, not a .nic file; get it again")
    if not MAGIC.startswith(magic):
        raise NotNicError(_what_instead(magic + read_up_to(stream, _SNIFF_BYTES - len(magic))))
    version = read_up_to(stream, 1)
    if not version:
        raise TruncatedError(f"the data ends after {len(magic)} bytes, before the header; get the file again")
    _check_major(version[0])
    return magic + version


def _check_major(version: int) -> None:
    major, minor = version >> 4, version & 0b1111
    if major > MAJOR:
        raise NewerVersionError(
            f"the file has format version {major}.{minor}, this nicodec reads version {MAJOR}; update nicodec"
        )
    if major < MAJOR:
        raise FormatError(f"the file has format version {major}.{minor}, which never existed; the data is damaged")


def _what_instead(start: bytes) -> str:
    for name, offset, patterns in _FOREIGN:
        if start[offset:].startswith(patterns):
            return f"this is {name}, not a .nic file; encode it first"
    return "this is not a .nic file; its first bytes are wrong"
