"""The real JPEG that the differentiable one stands for: libjpeg, by Pillow, with quantisation tables of one's own."""

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from .step_tables import FLAT, Tables, whole_steps

Floats = npt.NDArray[np.float32]

_SCAN = b"\xff\xda"
"""The marker after which the coefficients come. Behind it, a baseline file does not contain it again."""


def jpeg(
    pixels: npt.NDArray[np.uint8],
    step: float,
    tables: Tables = FLAT,
    *,
    subsampled: bool = False,
    progressive: bool = False,
) -> bytes:
    """A JPEG file.

    Args:
        pixels: (h, w) or (h, w, 1) for gray, (h, w, 3) for RGB.
        step: 1..255, what the tables are multiplied by.
        tables: relative steps, see `step_tables`.
        subsampled: whether the colour of RGB is stored at half the resolution.
        progressive: in several scans, which makes large files smaller.

    Raises:
        OSError: libjpeg cannot write a picture of that size.
    """
    image = Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels)
    steps = whole_steps(tables, step).reshape(len(tables), -1).tolist()
    gray = image.mode == "L"
    colour = {} if gray else {"subsampling": "4:2:0" if subsampled else "4:4:4"}
    # No quality: with one, Pillow scales the tables by it, at 100 to tables of ones.
    options = {"qtables": steps[:1] if gray else steps, **colour}
    try:
        return _saved(image, optimize=True, progressive=progressive, **options)
    except OSError:
        # Files that need more than the buffer that Pillow expects them to fit in, such as noise at small steps.
        return _saved(image, **options)


def _saved(image: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "JPEG", **options)
    return stream.getvalue()


def jpeg_bits(
    images: Floats,
    steps: npt.ArrayLike,
    tables: Tables = FLAT,
    *,
    apart: bool,
    subsampled: bool = False,
    headers: bool = True,
) -> Floats:
    """Sizes of images as JPEG files.

    Args:
        images: (n, h, w, c) in 0..255, rounded and clipped here; c is 3 unless they are taken apart.
        steps: one for all or one for each image, in any shape, rounded and clipped to 1..255.
        tables: relative steps; of all files the first if they are taken apart.
        apart: whether every channel is a gray file of its own.
        subsampled: see `jpeg`; not used if they are taken apart.
        headers: whether to count all of a file, or only what comes after its headers.

    Returns:
        Bits of each image, (n,).
    """
    whole = np.broadcast_to(np.clip(np.rint(steps), 1, 255).astype(int).ravel(), len(images))
    pixels = np.clip(np.rint(images), 0, 255).astype(np.uint8)
    sizes = []
    for image, step in zip(pixels, whole.tolist(), strict=True):
        parts = np.split(image, image.shape[-1], axis=-1) if apart else [image]
        files = [jpeg(part, step, tables, subsampled=subsampled) for part in parts]
        sizes.append(sum(len(file) if headers else len(file) - file.rindex(_SCAN) for file in files))
    return 8.0 * np.array(sizes, np.float32)
