"""Strips show the right pixels under the right captions."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import nicodec
from nicodec import api, images
from nicodec.errors import RequestError
from nicodec.evaluation.strip import Crop, Panel, draw, panels
from nicodec.images import Picture
from nicodec.metrics.ssim import ms_ssim
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


def test_crops_are_read_and_taken(samples: "Samples") -> None:
    crop = Crop.parse("20x30+4+6")
    pixels = samples.photo(64, 96)
    assert np.array_equal(crop.of(pixels), pixels[6:36, 4:24])
    crop.require_within(Picture(pixels=pixels[:36, :24]))
    for height, width in ((35, 24), (36, 23)):
        with pytest.raises(RequestError, match="the detail 20x30\\+4\\+6 is not within"):
            crop.require_within(Picture(pixels=pixels[:height, :width]))


@pytest.mark.parametrize("text", ["", "20x30", "0x30+1+1", "20x30-1+1", "20x30+1+1 ", "20x30+1+1+1", "2²x30+1+1"])
def test_other_crops_are_refused(text: str) -> None:
    with pytest.raises(RequestError, match="is not a detail"):
        Crop.parse(text)


def test_the_middle_is_in_the_middle(samples: "Samples") -> None:
    assert Crop.middle(Picture(pixels=samples.noise(512, 768, 3))) == (192, 224, 288, 144)
    assert Crop.middle(Picture(pixels=samples.noise(100, 200, 3))) == (192, 100, 4, 0)


def test_panels_are_what_the_files_restore(samples: "Samples", gru: Model) -> None:
    picture = images.from_array(samples.photo(64, 96))
    crop = Crop(32, 24, 40, 8)
    *levels, original = panels(picture, gru, [9, 2], crop)
    data = nicodec.encode(picture, model=gru)
    for panel, level in zip(levels, (2, 9), strict=True):
        restored = nicodec.decode(data, level=level).pixels
        assert np.array_equal(panel.pixels, restored[8:32, 40:72])
        assert panel.title == f"level {level}"
        bpp = 8 * len(api.truncate(data, level)) / (64 * 96)
        assert panel.note == f"{bpp:.2f} bpp, MS-SSIM {ms_ssim(picture.pixels, restored):.3f}"
    assert (original.title, original.note) == ("original", "24 bpp")
    assert np.array_equal(original.pixels, picture.pixels[8:32, 40:72])


def test_six_panels_are_1200_pixels_wide_and_keep_their_pixels(samples: "Samples") -> None:
    shown = [Panel(f"level {k}", "0.12 bpp, MS-SSIM 0.837", samples.noise(224, 192, 3, seed=k)) for k in range(6)]
    strip = draw(shown)
    assert strip.shape[1] == 1200
    top = strip.shape[0] - 4 - 224
    for k, panel in enumerate(shown):
        left = 4 + k * 200
        assert np.array_equal(strip[top : top + 224, left : left + 192], panel.pixels)
        # Letters stand above their own panel, on white that goes on between and below the panels.
        assert strip[:top, left : left + 192].min() < 64
        assert (strip[:, left + 192 : left + 200] == 255).all()
    assert (strip[top + 224 :] == 255).all()
    assert (strip[:4] == 255).all()


def test_captions_wider_than_their_panels_do_not_meet() -> None:
    shown = [Panel("level 10", "0.12 bpp, MS-SSIM 0.837", np.zeros((8, 16, 1), np.uint8)) for _ in range(2)]
    strip = draw(shown)
    letters = (strip[:-12] < 255).any(axis=(0, 2))
    (columns,) = np.nonzero(letters)
    gaps = np.diff(columns)
    assert gaps.max() >= 8
    assert strip.shape[1] > 2 * 150
    # Gray stands as gray.
    assert (strip[-12:-4, 4:20] == 0).all()


def test_strips_of_gray_pictures(tmp_path: Path, samples: "Samples", gru: Model) -> None:
    picture = images.from_array(samples.gray_photo(40, 40))
    level, original = panels(picture, gru, [0], Crop.middle(picture))
    assert original.note == "8 bpp"
    assert draw([level, original]).shape[2] == 3
