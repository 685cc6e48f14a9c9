"""Puts a colour behind a transparent picture."""

from dataclasses import replace
from typing import TYPE_CHECKING

from ..errors import RequestError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..images import Picture

Colour = tuple[int, int, int]

_ROWS = 256


def parse_colour(text: str) -> Colour:
    """Red, green and blue, 0..255, of a CSS colour such as #fff or white.

    Raises:
        RequestError: the text is no colour.
    """
    from PIL import ImageColor

    try:
        red, green, blue = ImageColor.getrgb(text)[:3]
    except ValueError as error:
        raise RequestError(f"{text!r} is not a colour: give for example '#fff' or white") from error
    return red, green, blue


def flatten(picture: "Picture", colour: Colour) -> "Picture":
    """The picture without alpha, in front of the colour, in 8 bits; gray stays gray if the colour is gray."""
    import numpy as np

    if picture.alpha is None:
        return picture
    gray = picture.is_gray and len(set(colour)) == 1
    background = np.array(colour[:1] if gray else colour, np.uint16)
    pixels = np.empty((picture.height, picture.width, len(background)), np.uint8)
    for top in range(0, picture.height, _ROWS):
        rows = slice(top, top + _ROWS)
        pixels[rows] = _blend(picture.pixels[rows], picture.alpha[rows, :, np.newaxis], background)
    return replace(picture, pixels=pixels, alpha=None, deep=None)


def _blend(
    pixels: "npt.NDArray[np.uint8]", alpha: "npt.NDArray[np.uint8]", background: "npt.NDArray[np.uint16]"
) -> "npt.NDArray[np.uint16]":
    """Weighted means, rounded; the largest sum, 255 * 255 + 127, fits 16 bits."""
    weights = alpha.astype(background.dtype)
    blended: npt.NDArray[np.uint16] = (pixels * weights + background * (255 - weights) + 127) // 255
    return blended
