"""Curves of the standard codecs that Pillow can write: JPEG, WebP and AVIF."""

import functools
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import api, images
from ..models.libjpeg import jpeg
from ..models.step_tables import FOR_MSSIM, FOR_PSNR, TableShape
from .curves import Curve
from .sweeps import Coded, measure

QUALITIES = (5, 10, 20, 30, 50, 75, 90)
"""From under 0.25 to over 2 bpp on photos, with every codec."""

_COARSE, _FINE = 240.0, 8.0
"""Steps of qualities 0 and 100 where tables are not the codec's own, as sandwiches have them."""

AVIF_SPEED = 6
"""Pillow's default, from 0 (slow, smallest files) to 10."""


@dataclass(frozen=True)
class Standard:
    """A standard codec in one configuration; `quality` is left to vary.

    Attributes:
        name: short name, that of its curve.
        format: Pillow's name of the format.
        implementation: Pillow's name of the library behind it, for `PIL.features`.
        about: the configuration in words.
        options: arguments of `PIL.Image.Image.save`.
        halved: whether a picture of half the width and height is coded, made by bicubic and undone by Lanczos interpolation.
        shape: of the quantisation tables, instead of the codec's own: those of the sandwiches, without their networks.
        restorer: sandwich model whose post-processor restores what is decoded; empty for none.
        truncated: whether 16-bit samples lose their lower byte before, and are scaled up behind, instead of being rounded.
    """

    name: str
    format: str
    implementation: str
    about: str
    options: Mapping[str, Any]
    halved: bool = False
    truncated: bool = False
    shape: TableShape | None = None
    restorer: str = ""

    def write(self, picture: images.Picture, quality: int) -> bytes:
        """The whole file.

        Args:
            picture: gray or RGB; alpha and metadata are left out.
            quality: 1..100 on the codec's own scale.
        """
        from PIL import Image

        target = io.BytesIO()
        cut = self.truncated and picture.deep is not None
        samples = (images.to_deep_array(picture) >> 8).astype(np.uint8) if cut else images.to_array(picture)
        if self.shape is not None:
            step = round(_COARSE * (_FINE / _COARSE) ** (quality / 100))
            return jpeg(samples, step, self.shape.tables(), subsampled=True, progressive=True)
        image = Image.fromarray(samples)
        if self.halved:
            image = image.resize((-(-picture.width // 2), -(-picture.height // 2)), Image.Resampling.BICUBIC)
        image.save(target, self.format, quality=quality, **self.options)
        return target.getvalue()

    def source(self) -> str:
        """Library, version and configuration in one line."""
        import PIL
        from PIL import features

        version = features.version(self.implementation) or "of unknown version"
        return f"{self.implementation} {version} through Pillow {PIL.__version__}, {self.about}"


def standards(avif_speed: int = AVIF_SPEED) -> tuple[Standard, ...]:
    """The configurations that there are.

    `avif` is what users of Pillow get, and is tuned for the eye; `avif-psnr` needs about 10% fewer bits for equal
    RGB PSNR (Kodak, speed 8).

    Args:
        avif_speed: 0..10.
    """
    from PIL import features

    libjpeg = "libjpeg_turbo" if features.check("libjpeg_turbo") else "jpg"
    speed = f"speed {avif_speed}"
    return (
        Standard("jpeg", "JPEG", libjpeg, "4:2:0", {"subsampling": "4:2:0"}),
        Standard(
            "jpeg-optimised",
            "JPEG",
            libjpeg,
            "4:2:0, optimised, progressive",
            {"subsampling": "4:2:0", "optimize": True, "progressive": True},
        ),
        Standard(
            "jpeg-truncated", "JPEG", libjpeg, "4:2:0 of the upper 8 bits", {"subsampling": "4:2:0"}, truncated=True
        ),
        Standard(
            "jpeg-sloped",
            "JPEG",
            libjpeg,
            "4:2:0, optimised, progressive, tables as sandwich-rgb has",
            {},
            shape=FOR_PSNR,
        ),
        Standard(
            "jpeg-bent",
            "JPEG",
            libjpeg,
            "4:2:0, optimised, progressive, tables as sandwich-msssim has",
            {},
            shape=FOR_MSSIM,
        ),
        Standard(
            "jpeg-restored",
            "JPEG",
            libjpeg,
            "4:2:0, restored by the post-processor of sandwich-rgb",
            {"subsampling": "4:2:0"},
            restorer="sandwich-rgb",
        ),
        Standard("jpeg-444", "JPEG", libjpeg, "4:4:4", {"subsampling": "4:4:4"}),
        Standard(
            "jpeg-half", "JPEG", libjpeg, "4:2:0 of half the width and height", {"subsampling": "4:2:0"}, halved=True
        ),
        Standard("webp", "WEBP", "webp", "method 4", {"method": 4}),
        Standard("avif", "AVIF", "avif", f"4:2:0, {speed}", {"speed": avif_speed}),
        Standard(
            "avif-psnr",
            "AVIF",
            "avif",
            f"4:4:4, tuned for PSNR, {speed}",
            {"speed": avif_speed, "subsampling": "4:4:4", "advanced": {"tune": "psnr"}},
        ),
    )


def obstacle(standard: Standard) -> str | None:
    """Why this Pillow cannot write and read the codec, in a few words; None if it can."""
    picture = images.Picture(pixels=np.zeros((16, 16, 3), np.uint8))
    try:
        code(standard, 50, picture)
    # Pillow raises KeyError, ValueError or OSError, depending on which part of the library it was built without.
    except Exception as error:  # noqa: BLE001
        return f"this Pillow cannot write it ({type(error).__name__}: {' '.join(str(error).split())})"
    return None


def code(standard: Standard, quality: int, picture: images.Picture) -> Coded:
    """Codes a picture and decodes it again."""
    from PIL import Image

    data = standard.write(picture, quality)
    if standard.restorer:
        return Coded(len(data), api.restore(data, model=standard.restorer).pixels)
    with Image.open(io.BytesIO(data), formats=[standard.format]) as decoded:
        # WebP has no gray: what was written as gray comes back as RGB.
        image = decoded.convert("L" if picture.is_gray else "RGB")
        if standard.halved:
            image = image.resize((picture.width, picture.height), Image.Resampling.LANCZOS)
        samples = np.asarray(image)
    return Coded(len(data), samples.reshape(picture.pixels.shape))


def measure_standard(standard: Standard, dataset: str, paths: Sequence[Path], qualities: Sequence[int]) -> Curve:
    """The curve of one configuration.

    Args:
        standard: one without an `obstacle`.
        dataset: what to call the pictures.
        paths: the pictures.
        qualities: 1..100 each, one or more.

    Raises:
        PictureError: an image cannot be read.
    """
    codings = {f"quality {quality}": functools.partial(code, standard, quality) for quality in qualities}
    points = measure(standard.name, codings, paths)
    return Curve(name=standard.name, points=tuple(points), dataset=dataset, source=standard.source())
