"""All 16 bits of the colours of PNG and TIFF.

Pillow has no mode for colours of more than 8 bits and drops the lower byte of every sample as it reads. But it can be
told that the bytes are in the other order, and then drops the upper one: a second reading brings the lower bytes.

Not for JPEG 2000, SGI, CMYK, colours premultiplied with alpha or in separate planes: there the upper byte is all there is.
"""

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFile

from .errors import PictureError
from .image_samples import reduce_depth

_Bytes = npt.NDArray[np.uint8]
_PLANAR_CONFIGURATION = 284
_SEPARATE_PLANES = 2
_ROWS = 256
_OTHER_ORDER = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

# How Pillow reads a file by its mode and the layout of its samples, and the layout that gives the lower bytes. Gray with
# alpha, which Pillow expands to RGBA, comes with all of its four bytes.
_LOWER = {
    (mode, f"{layout};16{order}"): f"{layout};16{other}"
    for mode, layout in (("RGB", "RGB"), ("RGB", "RGBX"), ("RGBA", "RGBA"))
    for order, other in _OTHER_ORDER.items()
}
_LOWER["RGBA", "LA;16B"] = "RGBA"


def has_lower_bytes(image: Image.Image, bits: int) -> bool:
    """Whether a second reading of the file, after `prepare_lower_bytes`, brings the lower bytes of its samples.

    Args:
        image: the opened image, before it is loaded.
        bits: bits per channel of the file.

    Raises:
        PictureError: its samples are laid out so that Pillow would read them wrongly.
    """
    layouts = _layouts(image)
    if bits > 8 and layouts & {"R", "G", "B", "A", "C", "M", "Y", "K"}:
        raise PictureError(f"holds {bits}-bit colours in separate planes: save it with its colours pixel by pixel")
    separate = getattr(image, "tag_v2", {}).get(_PLANAR_CONFIGURATION) == _SEPARATE_PLANES
    return not separate and bool(layouts) and all((image.mode, layout) in _LOWER for layout in layouts)


def prepare_lower_bytes(image: Image.Image) -> None:
    """Makes an image that `has_lower_bytes`, opened anew, load these instead of the upper ones."""
    assert isinstance(image, ImageFile.ImageFile)
    image.tile = [tile._replace(args=_for_lower_bytes(image.mode, tile.args)) for tile in image.tile]


def joined(upper: _Bytes, lower: Image.Image) -> npt.NDArray[np.uint16]:
    """All 16 bits of samples.

    Args:
        upper: the upper bytes, uint8 (H, W, C).
        lower: the loaded image of the lower bytes.

    Returns:
        uint16 (H, W, C).
    """
    whole = np.empty(upper.shape, np.uint16)
    for rows, samples in _joined_rows(upper, lower):
        whole[rows] = samples
    return whole


def reduce_exactly(upper: _Bytes, lower: Image.Image) -> _Bytes:
    """Rounds 16-bit samples to 8 bits, some rows at a time.

    Args:
        upper: the upper bytes, uint8 (H, W, C).
        lower: the loaded image of the lower bytes.

    Returns:
        round(255 v / 65535) of every sample v, uint8 (H, W, C).
    """
    rounded = np.empty_like(upper)
    for rows, samples in _joined_rows(upper, lower):
        rounded[rows] = reduce_depth(samples)
    return rounded


def _joined_rows(upper: _Bytes, lower: Image.Image) -> Iterator[tuple[slice, npt.NDArray[np.uint16]]]:
    height, width, channels = upper.shape
    for top in range(0, height, _ROWS):
        bottom = min(top + _ROWS, height)
        low = np.asarray(lower.crop((0, top, width, bottom)))
        if channels == 2:
            low = low[..., 1::2]
        samples: npt.NDArray[np.uint16] = upper[top:bottom].astype(np.uint16)
        samples <<= 8
        samples |= low
        yield slice(top, bottom), samples


def _for_lower_bytes(mode: str, args: tuple[Any, ...] | str | None) -> tuple[Any, ...] | str:
    lower = _LOWER[mode, _layout(args)]
    return (lower, *args[1:]) if isinstance(args, tuple) else lower


def _layouts(image: Image.Image) -> set[str]:
    tiles = image.tile if isinstance(image, ImageFile.ImageFile) else []
    return {_layout(tile.args) for tile in tiles}


def _layout(args: tuple[Any, ...] | str | None) -> str:
    """The layout of samples among the arguments of one of Pillow's decoders."""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""
