"""Puts a colour behind a transparent picture."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ..errors import RequestError

if TYPE_CHECKING:
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
    """The picture without alpha, in front of the colour; gray stays gray if the colour is gray, and 16 bits stay 16."""
    import numpy as np

    if picture.alpha is None:
        return picture
    gray = picture.is_gray and len(set(colour)) == 1
    background = np.array(colour[:1] if gray else colour, np.uint8)
    pixels = _in_front(picture.pixels, picture.alpha, background.astype(np.uint16))
    deep = None
    if picture.deep is not None:
        # 255 is 65535 / 257.
        deep = _in_front(picture.deep, picture.alpha, background.astype(np.uint32) * 257)
    return replace(picture, pixels=pixels, alpha=None, deep=deep)


def _in_front(samples: Any, alpha: Any, background: Any) -> Any:
    """Means of samples (h, w, c) and a colour (c,), weighted with alpha (h, w), rounded; of the samples' type.

    The colour's type is one that holds 255 times the largest sample.
    """
    import numpy as np

    blended = np.empty((*samples.shape[:2], len(background)), samples.dtype)
    for top in range(0, len(samples), _ROWS):
        rows = slice(top, top + _ROWS)
        weights = alpha[rows, :, np.newaxis].astype(background.dtype)
        blended[rows] = (samples[rows] * weights + background * (255 - weights) + 127) // 255
    return blended
