"""A sweep runs every setting on every picture."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from nicodec import images
from nicodec.errors import RequestError
from nicodec.evaluation.sweeps import Coded, measure, pictures_of
from nicodec.metrics.psnr import psnr

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


@pytest.fixture
def folder(tmp_path: Path, samples: "Samples") -> Path:
    for name, size in (("b.png", (40, 50)), ("a.png", (64, 64))):
        images.save(images.from_array(samples.photo(*size)), tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def brighter(picture: images.Picture) -> Coded:
    pixels = np.clip(picture.pixels.astype(int) + 8, 0, 255).astype(np.uint8)
    return Coded(picture.width * picture.height // 4, pixels)


def lossless(picture: images.Picture) -> Coded:
    return Coded(picture.pixels.size, picture.pixels)


def test_points_are_means_in_the_order_of_the_settings(folder: Path) -> None:
    exact, changed = measure("fake", {"lossless": lossless, "brighter": brighter}, pictures_of(folder))
    assert [score.picture for score in changed.pictures] == ["a.png", "b.png"]
    assert [score.size for score in changed.pictures] == [64 * 64 // 4, 40 * 50 // 4]
    assert (changed.setting, changed.bpp) == ("brighter", 2.0)
    expected = [psnr(p.pixels, brighter(p).pixels) for p in (images.load(folder / name) for name in ("a.png", "b.png"))]
    assert changed.psnr == pytest.approx(sum(expected) / 2)
    assert (exact.setting, exact.bpp, exact.psnr) == ("lossless", 24.0, None)
    assert exact.msssim == pytest.approx(1.0)


def test_transparency_is_not_coded(tmp_path: Path, samples: "Samples") -> None:
    images.save(images.from_array(samples.photo(32, 32), np.zeros((32, 32), np.uint8)), tmp_path / "a.png")

    def check(picture: images.Picture) -> Coded:
        assert picture.alpha is None
        return lossless(picture)

    assert len(measure("fake", {"": check}, [tmp_path / "a.png"])) == 1


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="has no PNG files"):
        pictures_of(tmp_path)
