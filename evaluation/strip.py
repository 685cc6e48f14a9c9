"""A strip of one detail of a picture: restored at several levels side by side, the original at the right."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from .. import api
from ..errors import RequestError
from ..images import Picture
from ..models.zoo import Model
from .sweeps import Coded, score

Pixels = npt.NDArray[np.uint8]

_GAP = 8
_MARGIN = 4
_TITLE_SIZE = 16
_NOTE_SIZE = 14
_LINE = 1.35
"""Height of a line of text over the size of its letters."""

_WHITE, _BLACK, _GREY = (255, 255, 255), (0, 0, 0), (85, 85, 85)


class Crop(NamedTuple):
    """A detail of a picture, in pixels, from its upper left corner."""

    width: int
    height: int
    left: int
    top: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads WxH+X+Y.

        >>> Crop.parse("192x224+300+80")
        Crop(width=192, height=224, left=300, top=80)

        Raises:
            RequestError: it is not of that form.
        """
        found = re.fullmatch(r"([1-9]\d{0,5})x([1-9]\d{0,5})\+(\d{1,6})\+(\d{1,6})", text, re.ASCII)
        if found is None:
            raise RequestError(f"{text!r} is not a detail: write WxH+X+Y, for example 192x224+300+80")
        return cls(*map(int, found.groups()))

    @classmethod
    def middle(cls, picture: Picture) -> Self:
        """A detail of 192x224 pixels, or less of a smaller picture: six of them are a strip of 1200 pixels."""
        width, height = min(192, picture.width), min(224, picture.height)
        return cls(width, height, (picture.width - width) // 2, (picture.height - height) // 2)

    def require_within(self, picture: Picture) -> None:
        """Refuses what is not wholly in a picture.

        Raises:
            RequestError: it is not.
        """
        if self.left + self.width > picture.width or self.top + self.height > picture.height:
            raise RequestError(
                f"the detail {self.width}x{self.height}+{self.left}+{self.top} is not within {picture.width}x"
                f"{picture.height} pixels: make it smaller or move it"
            )

    def of(self, pixels: Pixels) -> Pixels:
        """The detail of (H, W, C)."""
        return pixels[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, eq=False)
class Panel:
    """One picture of a strip.

    Attributes:
        title: what it is.
        note: under the title.
        pixels: uint8 (H, W, 1) or (H, W, 3).
    """

    title: str
    note: str
    pixels: Pixels


def panels(picture: Picture, model: Model, levels: Iterable[int], crop: Crop) -> list[Panel]:
    """A panel for each level, ascending, then the original.

    Notes give bits per pixel of the file truncated to the level, and MS-SSIM of the whole picture.

    Args:
        picture: coded without its metadata and transparency.
        model: a progressive one.
        levels: which, one or more.
        crop: what to show, within the picture.

    Raises:
        RequestError: the model lacks a level.
        ModelError: the model is damaged.
    """
    bare = Picture(pixels=picture.pixels)
    wanted = sorted(set(levels))
    data = api.encode(bare, model=model, level=wanted[-1])
    shown: list[Panel] = []
    for level, restored in api.decode_levels(data, wanted):
        found = score("", bare, Coded(len(api.truncate(data, level)), restored.pixels))
        note = f"{found.bpp:.2f} bpp, MS-SSIM {found.msssim:.3f}"
        shown.append(Panel(f"level {level}", note, crop.of(restored.pixels)))
    return [*shown, Panel("original", f"{8 * bare.pixels.shape[2]} bpp", crop.of(bare.pixels))]


def draw(shown: Sequence[Panel]) -> Pixels:
    """Puts panels of equal height side by side on white, each under its title and note.

    Returns:
        uint8 (H, W, 3).
    """
    from PIL import Image, ImageDraw, ImageFont

    title_font, note_font = (ImageFont.load_default(size) for size in (_TITLE_SIZE, _NOTE_SIZE))
    note_top = _MARGIN + round(_LINE * _TITLE_SIZE)
    top = note_top + round(_LINE * _NOTE_SIZE) + _MARGIN
    widths = [
        max(panel.pixels.shape[1], round(title_font.getlength(panel.title)), round(note_font.getlength(panel.note)))
        for panel in shown
    ]
    width = sum(widths) + _GAP * (len(shown) - 1) + 2 * _MARGIN
    strip = Image.new("RGB", (width, top + shown[0].pixels.shape[0] + _MARGIN), _WHITE)
    writer = ImageDraw.Draw(strip)
    left = _MARGIN
    for panel, column in zip(shown, widths, strict=True):
        writer.text((left, _MARGIN), panel.title, _BLACK, title_font)
        writer.text((left, note_top), panel.note, _GREY, note_font)
        rows, columns, _ = panel.pixels.shape
        strip.paste(Image.fromarray(np.broadcast_to(panel.pixels, (rows, columns, 3)).copy()), (left, top))
        left += column + _GAP
    return np.array(strip)
