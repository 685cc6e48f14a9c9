"""Standard codecs are measured as Pillow writes them."""

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nicodec import images
from nicodec.evaluation import standards
from nicodec.evaluation.standards import Standard
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

ALL = {standard.name: standard for standard in standards.standards(avif_speed=10)}


def require(name: str) -> Standard:
    """The codec, if this Pillow has it."""
    if standards.obstacle(ALL[name]):
        pytest.skip(f"this Pillow does not write {name}")
    return ALL[name]


@pytest.fixture
def picture(samples: "Samples") -> images.Picture:
    return images.from_array(samples.photo(72, 96))


def test_jpeg_is_always_there() -> None:
    assert standards.obstacle(ALL["jpeg"]) is None


@pytest.mark.parametrize("name", ALL)
def test_a_photo_comes_back_better_at_higher_quality(name: str, picture: images.Picture) -> None:
    coarse, fine = (standards.code(require(name), quality, picture) for quality in (10, 90))
    assert coarse.size < fine.size
    assert 18 < psnr(picture.pixels, coarse.pixels) < psnr(picture.pixels, fine.pixels)


@pytest.mark.parametrize("name", ALL)
def test_gray_stays_gray(name: str, samples: "Samples") -> None:
    gray = images.from_array(samples.gray_photo())
    coded = standards.code(require(name), 90, gray)
    assert coded.pixels.shape == gray.pixels.shape
    assert psnr(gray.pixels, coded.pixels) > 28


def test_subsampling_is_what_the_name_says(picture: images.Picture) -> None:
    layers: list[tuple[int, int]] = []
    for name in ("jpeg", "jpeg-444"):
        with Image.open(io.BytesIO(ALL[name].write(picture, 50))) as image:
            # Pillow describes a component as (identifier, horizontal sampling, vertical sampling, table).
            layers.append(getattr(image, "layer")[0][1:3])  # noqa: B009
    assert layers == [(2, 2), (1, 1)]


def test_avif_speed_is_an_option() -> None:
    slow = next(standard for standard in standards.standards(avif_speed=2) if standard.name == "avif")
    assert slow.options["speed"] == 2
    assert "speed 2" in slow.about


def test_what_pillow_cannot_write_is_said() -> None:
    unknown = replace(ALL["jpeg"], format="NONSENSE")
    assert "cannot write it (KeyError: 'NONSENSE')" in str(standards.obstacle(unknown))


def test_a_curve_is_what_pillow_gives(tmp_path: Path, picture: images.Picture) -> None:
    images.save(picture, tmp_path / "a.png")
    curve = standards.measure_standard(ALL["jpeg"], "set", [tmp_path / "a.png"], [80, 20])
    assert [point.setting for point in curve.points] == ["quality 20", "quality 80"]
    target = io.BytesIO()
    Image.fromarray(picture.pixels).save(target, "JPEG", quality=20, subsampling="4:2:0")
    with Image.open(target) as decoded:
        restored = np.asarray(decoded)
    point = curve.points[0]
    assert point.bpp == 8 * len(target.getvalue()) / (72 * 96)
    assert point.psnr == psnr(picture.pixels, restored)
    assert point.msssim == ms_ssim(picture.pixels, restored)
    assert point.pictures[0].size == len(target.getvalue())
    assert (curve.name, curve.dataset) == ("jpeg", "set")
    assert "Pillow" in curve.source
    assert "4:2:0" in curve.source
