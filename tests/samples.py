"""Pictures for tests: a real photo and made ones."""

import struct
import zlib
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]


class Samples:
    """Handed to tests by the fixture `samples`."""

    @staticmethod
    def photo(height: int = 64, width: int = 96) -> Bytes:
        """A detail of the portrait of the astronaut Eileen Collins: uint8 (height, width, 3), up to 512x512."""
        photo: Bytes = import_module("skimage.data").astronaut()
        return np.ascontiguousarray(photo[-height:, -width:])

    @staticmethod
    def gray_photo(height: int = 64, width: int = 96) -> Bytes:
        """The green channel of the photo: uint8 (height, width)."""
        return np.ascontiguousarray(Samples.photo(height, width)[..., 1])

    @staticmethod
    def noise(*shape: int, seed: int = 0) -> Bytes:
        """Uniform noise."""
        return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)

    @staticmethod
    def noisy(picture: Bytes, sigma: float, seed: int = 0) -> Bytes:
        """The picture with Gaussian noise of that standard deviation."""
        noise = np.random.default_rng(seed).normal(0.0, sigma, picture.shape)
        return np.clip(np.rint(picture + noise), 0, 255).astype(np.uint8)

    @staticmethod
    def png(samples: npt.NDArray[Any], bits: int, extra: dict[bytes, bytes] | None = None) -> bytes:
        """A PNG of any depth, which Pillow does not write: integers (H, W) or (H, W, 2..4), unfiltered."""
        height, width = samples.shape[:2]
        colour_type = {2: 4, 3: 2, 4: 6}[samples.shape[2]] if samples.ndim == 3 else 0
        rows = samples.reshape(height, -1)
        if bits == 16:
            packed = rows.astype(">u2").view(np.uint8)
        else:
            places = np.unpackbits(rows.astype(np.uint8)[..., None], axis=-1)[..., 8 - bits :]
            packed = np.packbits(places.reshape(height, -1), axis=-1)
        header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
        pixels = zlib.compress(b"".join(b"\0" + row.tobytes() for row in packed))
        chunks = {b"IHDR": header, **(extra or {}), b"IDAT": pixels, b"IEND": b""}
        return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks.items())


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
