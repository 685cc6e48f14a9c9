"""The code file of the original residual GRU: a NumPy archive of binary codes, without entropy coding or picture size.

Members: `shape`, integers (levels, 1, code height, code width, 32); `codes`, the codes of that shape as bits, -1 as 0,
packed into bytes of which the most significant bit comes first (`numpy.packbits`).

Source: tensorflow/models, research/compression/image_encoder, encoder.py and decoder.py.
"""

import io
import math
import zipfile
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from ..bitstream.code_context import Codes
from ..errors import FormatError, LimitError
from .archives import DAMAGED
from .gru_header import ALIGN_LOG2
from .level_header import LEVELS, STRIDE_LOG2

CHANNELS = 32
SUFFIX = ".npz"

_HEADER_BYTES = 4096
_ALIGNED = 1 << (ALIGN_LOG2 - STRIDE_LOG2)
_ADVICE = "give a file that the original encoder or 'nicodec encode --codes-npz' wrote"


def write(codes: Codes) -> bytes:
    """Makes a code file.

    Args:
        codes: uint8 (levels, 32, h, w), 0 or 1.
    """
    planes = codes.transpose(0, 2, 3, 1)[:, None]
    file = io.BytesIO()
    np.savez_compressed(file, shape=np.array(planes.shape, np.int64), codes=np.packbits(planes))
    return file.getvalue()


def read(data: bytes | BinaryIO, max_pixels: int) -> Codes:
    """Reads a code file; never unpickles.

    Args:
        data: the whole file, or a binary file, of which a pipe is read to its end.
        max_pixels: the largest picture to accept.

    Returns:
        uint8 (levels, 32, h, w), 0 or 1.

    Raises:
        FormatError: it is no such file, or its members contradict each other.
        LimitError: the picture is larger than accepted.
    """
    try:
        content = data if isinstance(data, bytes) or data.seekable() else data.read(_most_bytes(max_pixels))
        file = io.BytesIO(content) if isinstance(content, bytes) else content
        with zipfile.ZipFile(file) as archive:
            shape = _checked_shape(_member(archive, "shape", _HEADER_BYTES), max_pixels)
            bits = math.prod(shape)
            packed = _member(archive, "codes", bits // 8 + _HEADER_BYTES)
    except FormatError:
        raise
    except DAMAGED as error:
        raise FormatError(f"not a code file ({_one_line(error)}): {_ADVICE}") from error
    if packed.dtype != np.uint8 or packed.shape != (-(-bits // 8),):
        raise FormatError(f"codes are {packed.dtype} of shape {packed.shape}, not {-(-bits // 8)} bytes: {_ADVICE}")
    planes = np.unpackbits(packed.astype(np.uint8, copy=False), count=bits).reshape(shape)
    return np.ascontiguousarray(planes[:, 0].transpose(0, 3, 1, 2))


def _most_bytes(max_pixels: int) -> int:
    """The longest file of a picture of so many pixels, with something to spare for the archive."""
    return LEVELS * CHANNELS * (max_pixels >> 2 * STRIDE_LOG2) // 8 + 4 * _HEADER_BYTES


def _member(archive: zipfile.ZipFile, name: str, most: int) -> npt.NDArray[np.generic]:
    """One array of the archive, of at most so many bytes with its header."""
    try:
        entry = archive.getinfo(f"{name}.npy")
    except KeyError as error:
        raise FormatError(f"the code file has no {name!r}: {_ADVICE}") from error
    if entry.file_size > most:
        raise FormatError(f"{name!r} of the code file takes {entry.file_size} bytes, too many: {_ADVICE}")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{name!r} of the code file is compressed in an unknown way: {_ADVICE}")
    member = io.BytesIO(archive.read(entry))
    version = npy.read_magic(member)
    shape, _, dtype = (npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0)(member)
    content = member.read()
    if dtype.hasobject or len(shape) != 1 or shape[0] * dtype.itemsize != len(content):
        raise FormatError(f"{name!r} of the code file is {dtype} of shape {shape}: {_ADVICE}")
    array: npt.NDArray[np.generic] = np.frombuffer(content, dtype)
    return array


def _checked_shape(array: npt.NDArray[np.generic], max_pixels: int) -> tuple[int, ...]:
    if array.shape != (5,) or not np.issubdtype(array.dtype, np.integer):
        raise FormatError(f"'shape' of the code file is {array.dtype} of shape {array.shape}: {_ADVICE}")
    levels, batch, height, width, channels = shape = tuple(int(size) for size in array.tolist())
    sides = min(height, width) > 0 and height % _ALIGNED == width % _ALIGNED == 0
    if not 1 <= levels <= LEVELS or batch != 1 or channels != CHANNELS or not sides:
        raise FormatError(
            f"'shape' of the code file is {shape}, not (1 to {LEVELS}, 1, h, w, {CHANNELS}) with even h and w: {_ADVICE}"
        )
    if height * width << 2 * STRIDE_LOG2 > max_pixels:
        raise LimitError(
            f"the code file is of {height * width << 2 * STRIDE_LOG2} pixels: raise the limit of {max_pixels}"
        )
    return shape


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
