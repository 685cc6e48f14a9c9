"""Training pictures: packed once into a memory map of crops, then sampled in an order that depends only on the step."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from ..errors import PictureError, RequestError

Pixels = npt.NDArray[np.uint8]

_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp"}


def find_pictures(folder: Path) -> list[Path]:
    """All image files below a folder, sorted by path.

    Raises:
        RequestError: there is none.
    """
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in _SUFFIXES)
    if not found:
        raise RequestError(f"no images found below {folder}; give --data a folder of photos")
    return found


def spread(paths: list[Path], count: int) -> list[Path]:
    """At most so many of some paths, evenly spaced."""
    return [paths[k * len(paths) // count] for k in range(count)] if len(paths) > count else paths


def read_rgb(path: Path) -> Pixels:
    """The pixels of an image file as uint8 (h, w, 3).

    Raises:
        PictureError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise PictureError(f"cannot read {path}: {' '.join(str(error).split())}; repair or remove it") from error


def read_cropped(path: Path, max_side: int, multiple: int) -> Pixels:
    """The upper left part of a picture, sides multiples of `multiple` and at most `max_side`.

    Raises:
        PictureError: it cannot be read.
    """
    pixels = read_rgb(path)[:max_side, :max_side]
    height, width = (side // multiple * multiple for side in pixels.shape[:2])
    return np.ascontiguousarray(pixels[:height, :width])


def pack_crops(folder: Path, target: Path, size: int) -> Pixels:
    """Cuts every picture of a folder into square crops and stores them as one memory-mapped .npy file.

    Crops tile each picture; the last row and column are shifted inwards so that nothing is lost. Pictures smaller than
    a crop are skipped. An existing target is reused.

    Args:
        folder: pictures, searched recursively.
        target: the .npy file to create.
        size: side of a crop in pixels.

    Returns:
        Read-only memory map, uint8 (n, size, size, 3).

    Raises:
        RequestError: there is no picture of that size.
        PictureError: a picture cannot be read.
    """
    if not target.exists():
        crops = [crop for path in tqdm(find_pictures(folder), "packing", disable=None) for crop in _cut(path, size)]
        if not crops:
            raise RequestError(f"every image below {folder} is smaller than {size}x{size} pixels")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}.partial.npy")  # runs that start together pack at once
        np.save(partial, np.stack(crops))
        os.replace(partial, target)
    packed: Pixels = np.load(target, mmap_mode="r")
    return packed


def sample_batch(packed: Pixels, *, step: int, batch: int, size: int, seed: int) -> Pixels:
    """The training batch of one step: random crops, flipped left-right half of the time.

    The result depends only on the arguments, so an interrupted run continues with the same data.

    Returns:
        uint8 (batch, size, size, 3).
    """
    rng = np.random.default_rng((seed, step))
    room = packed.shape[1] - size + 1
    out = np.empty((batch, size, size, 3), np.uint8)
    for k, index in enumerate(rng.integers(len(packed), size=batch)):
        y, x, flip = rng.integers(room), rng.integers(room), rng.integers(2)
        crop = packed[index, y : y + size, x : x + size]
        out[k] = crop[:, ::-1] if flip else crop
    return out


def load_validation(folder: Path, count: int, multiple: int, max_side: int = 512) -> list[Pixels]:
    """The first pictures of a folder, centre-cropped to sides that are multiples of `multiple`.

    Returns:
        A list of uint8 arrays (h, w, 3), sides at most `max_side`.

    Raises:
        RequestError: there is none, or one is smaller than `multiple`.
        PictureError: one cannot be read.
    """
    pictures: list[Pixels] = []
    for path in find_pictures(folder)[:count]:
        pixels = read_rgb(path)
        if min(pixels.shape[:2]) < multiple:
            raise RequestError(f"{path} is smaller than {multiple}x{multiple} pixels; validate on larger pictures")
        h, w = (min(side, max_side) // multiple * multiple for side in pixels.shape[:2])
        y, x = (pixels.shape[0] - h) // 2, (pixels.shape[1] - w) // 2
        pictures.append(pixels[y : y + h, x : x + w])
    return pictures


def blocks_of(packed: Pixels, side: int, limit: int) -> Pixels:
    """Non-overlapping blocks of evenly spaced crops, for block statistics.

    Returns:
        uint8 (n, side, side, 3) with n about `limit`.
    """
    per_crop = (packed.shape[1] // side) ** 2
    chosen = packed[:: max(1, len(packed) * per_crop // limit)]
    n, whole = len(chosen), packed.shape[1] // side
    split = chosen[:, : whole * side, : whole * side].reshape(n, whole, side, whole, side, 3)
    return split.transpose(0, 1, 3, 2, 4, 5).reshape(-1, side, side, 3)


def _cut(path: Path, size: int) -> Iterator[Pixels]:
    pixels = read_rgb(path)
    h, w = pixels.shape[:2]
    if min(h, w) < size:
        return
    for y in _starts(h, size):
        for x in _starts(w, size):
            yield pixels[y : y + size, x : x + size]


def _starts(length: int, size: int) -> list[int]:
    return sorted({*range(0, length - size + 1, size), length - size})
