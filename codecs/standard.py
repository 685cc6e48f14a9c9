"""Standard image codecs, by Pillow: what sandwiches are made around."""

import io
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError, features

from ..errors import BackendError, FormatError
from .sandwich_header import Inner

Pixels = npt.NDArray[np.uint8]

_COEFFICIENTS = 64
_MODES = {1: "L", 3: "RGB"}


@dataclass(frozen=True)
class StandardCodec:
    """One of the codecs.

    Attributes:
        inner: its number in files.
        name: for people and `--inner`.
        suffix: of its files, with the dot.
        pillow: its name in Pillow.
        feature: that Pillow must have been built with, None if none.
    """

    inner: Inner
    name: str
    suffix: str
    pillow: str
    feature: str | None

    def require(self) -> None:
        """Refuses a codec that this Pillow cannot do.

        Raises:
            BackendError: it cannot.
        """
        if self.feature is not None and not features.check(self.feature):
            raise BackendError(
                f"this Pillow was built without {self.name}: install Pillow's own wheels (pip install --force-reinstall pillow)"
            )


CODECS = {
    codec.inner: codec
    for codec in (
        StandardCodec(Inner.JPEG, "jpeg", ".jpg", "JPEG", None),
        StandardCodec(Inner.WEBP, "webp", ".webp", "WEBP", "webp"),
        StandardCodec(Inner.AVIF, "avif", ".avif", "AVIF", "avif"),
        StandardCodec(Inner.JPEG2000, "jpeg2000", ".jp2", "JPEG2000", "jpg_2000"),
    )
}


def encode(inner: Inner, pixels: Pixels, step: int, *, subsampled: bool) -> bytes:
    """A file of the standard codec.

    Args:
        inner: which codec.
        pixels: (h, w, 1) for gray or (h, w, 3) for RGB.
        step: 1..255: of all coefficients for JPEG; for other codecs, the quality of theirs that has about its error.
        subsampled: whether colour has half the resolution, where the codec has the choice.

    Raises:
        BackendError: this Pillow cannot do the codec.
    """
    codec = CODECS[inner]
    codec.require()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    stream = io.BytesIO()
    image.save(stream, codec.pillow, **_options(inner, step, gray=pixels.shape[2] == 1, subsampled=subsampled))
    return stream.getvalue()


def decode(inner: Inner, data: bytes, height: int, width: int, channels: int) -> Pixels:
    """The pixels of a file of the standard codec, (height, width, channels).

    Raises:
        FormatError: the file is damaged, of another codec, size or number of channels.
        BackendError: this Pillow cannot do the codec.
    """
    codec = CODECS[inner]
    codec.require()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(data), formats=(codec.pillow,)) as image:
                # Before anything is decoded: what that costs depends on the size.
                _require_same(codec, image, height, width, channels)
                return np.asarray(image).reshape(height, width, channels)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, Warning) as error:
        if isinstance(error, FormatError):
            raise
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"the {codec.name} file inside is damaged ({reason}): get an undamaged copy") from error


def _require_same(codec: StandardCodec, image: Any, height: int, width: int, channels: int) -> None:
    if image.size != (width, height):
        raise FormatError(
            f"the {codec.name} file inside has {image.width}x{image.height} pixels, the header says {width}x{height}: "
            "get an undamaged copy"
        )
    if image.mode != _MODES[channels]:
        raise FormatError(
            f"the {codec.name} file inside has samples of the kind {image.mode}, not {_MODES[channels]}: "
            "get an undamaged copy"
        )


def _options(inner: Inner, step: int, *, gray: bool, subsampled: bool) -> dict[str, Any]:
    """What Pillow is to be told."""
    subsampling = "4:2:0" if subsampled else "4:4:4"
    if inner is Inner.JPEG:
        # No quality: with one, Pillow scales the tables by it.
        tables = [[step] * _COEFFICIENTS] * (1 if gray else 2)
        colour = {} if gray else {"subsampling": subsampling}
        return {"optimize": True, "progressive": True, "qtables": tables, **colour}
    if inner is Inner.WEBP:
        return {"quality": quality_of(step), "method": 6}
    if inner is Inner.AVIF:
        return {"quality": quality_of(step), "subsampling": "4:0:0" if gray else subsampling, "speed": 6}
    return {"quality_mode": "dB", "quality_layers": [decibel_of(step)], "irreversible": True}


def quality_of(step: float) -> int:
    """The quality, 0..100, of WebP and AVIF that has about the error of a quantisation step.

    >>> quality_of(1), quality_of(16), quality_of(255)
    (100, 50, 0)
    """
    return int(np.clip(round(100.0 - 12.5 * math.log2(step)), 0, 100))


def decibel_of(step: float) -> float:
    """The PSNR that JPEG of a quantisation step has on photos: 3.75 dB less for every doubling.

    >>> decibel_of(20)
    34.9
    """
    return 34.9 - 3.75 * math.log2(step / 20.0)


def estimated_step(data: bytes, pixels: int) -> int:
    """The quantisation step of a file, 1..255: of a JPEG, the geometric mean of its luma table; else from its size.

    Args:
        data: an image file.
        pixels: width x height.
    """
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            tables: dict[int, list[int]] = getattr(image, "quantization", {})
            if 0 in tables:
                return int(np.clip(np.rint(np.exp(np.mean(np.log(np.maximum(tables[0], 1))))), 1, 255))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        pass
    return _step_of_rate(8 * len(data) / pixels)


def _step_of_rate(bpp: float) -> int:
    """The step at which JPEG needs so many bits per pixel for a photo.

    >>> _step_of_rate(1.83), _step_of_rate(0.282)
    (10, 80)
    """
    return int(np.clip(round(10.0 * (1.83 / bpp) ** 1.112), 1, 255))
