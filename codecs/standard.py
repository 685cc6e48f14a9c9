"""Standard image codecs, by Pillow: what sandwiches are made around."""

import io
import math
import os
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError, features

from .. import pillow_settings
from ..errors import BackendError, FormatError, NicodecError, RequestError
from ..models.libjpeg import jpeg
from ..models.step_tables import FLAT, Tables, whole_steps
from .sandwich_header import Inner

Pixels = npt.NDArray[np.uint8]

_MODES = {1: "L", 3: "RGB"}

_MOST_SCANS = 100
"""Of a JPEG: each costs a pass over the whole picture, however few bytes it has. libjpeg writes 10 at most."""

_SCAN = b"\xff\xda"


@dataclass(frozen=True)
class StandardCodec:
    """One of the codecs.

    Attributes:
        inner: its number in files.
        name: for people and `--inner`.
        suffix: of its files, with the dot.
        pillow: its name in Pillow.
        longest: side in pixels that it can hold.
        feature: that Pillow must have been built with, None if none.
    """

    inner: Inner
    name: str
    suffix: str
    pillow: str
    longest: int
    feature: str | None = None

    def require(self) -> None:
        """Refuses a codec that this Pillow cannot do.

        Raises:
            BackendError: it cannot.
        """
        if self.feature is not None and not features.check(self.feature):
            raise BackendError(
                f"this Pillow was built without {self.name}: install Pillow's own wheels (pip install --force-reinstall pillow)"
            )

    def require_size(self, height: int, width: int) -> None:
        """Refuses a picture that the codec cannot hold.

        Raises:
            RequestError: a side is too long.
        """
        if max(height, width) > self.longest:
            raise RequestError(
                f"{width}x{height} is over {self.longest} pixels a side, more than {self.name} holds: make it smaller"
            )


CODECS = {
    codec.inner: codec
    for codec in (
        StandardCodec(Inner.JPEG, "jpeg", ".jpg", "JPEG", 65500),
        StandardCodec(Inner.WEBP, "webp", ".webp", "WEBP", 16383, "webp"),
        StandardCodec(Inner.AVIF, "avif", ".avif", "AVIF", 65535, "avif"),
        StandardCodec(Inner.JPEG2000, "jpeg2000", ".jp2", "JPEG2000", 65535, "jpg_2000"),
    )
}


def encode(inner: Inner, pixels: Pixels, step: int, tables: Tables = FLAT, *, subsampled: bool) -> bytes:
    """A file of the standard codec.

    Args:
        inner: which codec.
        pixels: (h, w, 1) for gray or (h, w, 3) for RGB.
        step: 1..255: what the tables are multiplied by for JPEG; for other codecs, the quality of theirs that has about its
            error.
        tables: for JPEG, see `step_tables`.
        subsampled: whether colour has half the resolution, where the codec has the choice.

    Raises:
        RequestError: the picture is too large for the codec.
        BackendError: this Pillow cannot do the codec, or fails.
    """
    codec = CODECS[inner]
    codec.require()
    codec.require_size(*pixels.shape[:2])
    try:
        if inner is Inner.JPEG:
            return jpeg(pixels, step, tables, subsampled=subsampled, progressive=True)
        image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
        stream = io.BytesIO()
        image.save(stream, codec.pillow, **_options(inner, step, gray=pixels.shape[2] == 1, subsampled=subsampled))
        return stream.getvalue()
    except (OSError, ValueError, RuntimeError) as error:
        raise BackendError(
            f"Pillow failed to write the {codec.name} file ({_one_line(error)}): update Pillow"
        ) from error


def decode(inner: Inner, data: bytes, height: int, width: int, channels: int) -> Pixels:
    """The pixels of a file of the standard codec, (height, width, channels); of an animation, those of the first frame.

    Raises:
        FormatError: the file is damaged, of another codec, size or number of channels.
        BackendError: this Pillow cannot do the codec.
    """
    codec = CODECS[inner]
    codec.require()
    if inner is Inner.JPEG and data.count(_SCAN) > _MOST_SCANS:
        raise FormatError(f"the jpeg file inside has more than {_MOST_SCANS} scans: get an undamaged copy")
    try:
        with ExitStack() as stack:
            stack.enter_context(pillow_settings.limited(height * width))
            image = stack.enter_context(Image.open(io.BytesIO(data), formats=(codec.pillow,)))
            # Before anything is decoded: what that costs depends on the size.
            _require_same(codec, image, height, width, channels)
            samples = np.asarray(image)
    except (NicodecError, MemoryError):
        raise
    except UnidentifiedImageError as error:
        raise FormatError(f"the file inside is no {codec.name} file: get an undamaged copy") from error
    except Image.DecompressionBombError as error:
        raise FormatError(
            f"the {codec.name} file inside has more pixels than the header says: get an undamaged copy"
        ) from error
    except Exception as error:  # whatever Pillow's plugins raise for damaged files
        raise FormatError(
            f"the {codec.name} file inside is damaged ({_one_line(error)}): get an undamaged copy"
        ) from error
    # WebP has no gray: what was gray comes back as equal colours.
    return samples[..., 1:2] if samples.ndim == 3 and channels == 1 else samples.reshape(height, width, channels)


def _require_same(codec: StandardCodec, image: Any, height: int, width: int, channels: int) -> None:
    if image.size != (width, height):
        raise FormatError(
            f"the {codec.name} file inside has {image.width}x{image.height} pixels, the header says {width}x{height}: "
            "get an undamaged copy"
        )
    if image.mode not in (_MODES[channels], "RGB"):
        raise FormatError(
            f"the {codec.name} file inside has samples of the kind {image.mode}, not {_MODES[channels]}: "
            "get an undamaged copy"
        )


def _options(inner: Inner, step: int, *, gray: bool, subsampled: bool) -> dict[str, Any]:
    """What Pillow is to be told."""
    if inner is Inner.WEBP:
        return {"quality": quality_of(step), "method": 6}
    if inner is Inner.AVIF:
        subsampling = "4:2:0" if subsampled else "4:4:4"
        return {"quality": quality_of(step), "subsampling": "4:0:0" if gray else subsampling, "speed": 6}
    return {"quality_mode": "dB", "quality_layers": [decibel_of(step)], "irreversible": True}


def _one_line(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


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


def estimated_step(source: str | bytes, pixels: int, tables: Tables = FLAT) -> int:
    """The quantisation step of a file, 1..255.

    Args:
        source: path or content of an image file that has been read before.
        pixels: width x height.
        tables: what its tables may have been made of.

    Returns:
        Of a JPEG, what its luma table is the given one times; or if it is another, the geometric mean of it. Of other files, an
        estimate from the size.
    """
    table = _luma_table(source, pixels)
    if table:
        mean = float(np.clip(np.exp(np.mean(np.log(np.maximum(table, 1)))), 1, 255))
        exact = [step for step in range(1, 256) if whole_steps(tables[0], step).ravel().tolist() == table]
        return min(exact, key=lambda step: abs(step - mean), default=round(mean))
    size = len(source) if isinstance(source, bytes) else os.path.getsize(source)
    return _step_of_rate(8 * size / pixels)


def _luma_table(source: str | bytes, pixels: int) -> list[int]:
    """The first quantisation table of a JPEG; empty if there is none."""
    try:
        with (
            pillow_settings.limited(pixels),
            Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=("JPEG",)) as image,
        ):
            tables: dict[int, list[int]] = getattr(image, "quantization", {})
            return list(tables.get(0, []))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return []


def _step_of_rate(bpp: float) -> int:
    """The step at which JPEG needs so many bits per pixel for a photo.

    >>> _step_of_rate(1.83), _step_of_rate(0.282)
    (10, 80)
    """
    return int(np.clip(round(10.0 * (1.83 / bpp) ** 1.112), 1, 255)) if bpp > 0 else 255
