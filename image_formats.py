"""The image file formats that pictures are written in: what each can hold, and its bytes."""

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .errors import RequestError

if TYPE_CHECKING:
    from PIL import Image

METADATA: tuple[str, ...] = ("icc", "exif", "xmp")
_TIFF_XMP = 700


@dataclass(frozen=True)
class ImageFormat:
    """How one format is written.

    Attributes:
        name: Pillow's name of the format.
        options: what Pillow is asked for.
        carries: the metadata that the format can carry, with the most bytes of it.
        has_alpha: whether it can hold transparency.
        has_gray: whether it can hold a single channel.
        max_side: the largest width and height.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    carries: Mapping[str, int] = field(default_factory=dict[str, int])
    has_alpha: bool = True
    has_gray: bool = True
    max_side: int = 2**31 - 1


_UNLIMITED: dict[str, int] = dict.fromkeys(METADATA, 2**31 - 1)
# A JPEG marker holds 65533 bytes, less the prefix of what is in it; ICC profiles go over up to 255 markers.
_JPEG_LIMITS: dict[str, int] = {"icc": 255 * (65533 - 14), "exif": 65533 - 6, "xmp": 65533 - 29}
# Level 2 takes a third of the time of the default 6 for two per cent more bytes: of a decode, that is a noticeable part.
_PNG = ImageFormat("PNG", {"compress_level": 2}, carries=_UNLIMITED)
_JPEG = ImageFormat("JPEG", {"quality": 95, "subsampling": 0}, _JPEG_LIMITS, has_alpha=False, max_side=65535)
_WEBP = ImageFormat("WEBP", {"lossless": True, "exact": True}, _UNLIMITED, has_gray=False, max_side=16383)
_TIFF = ImageFormat("TIFF", {"compression": "tiff_adobe_deflate"}, _UNLIMITED)
_BMP = ImageFormat("BMP", has_alpha=False)
_PPM = ImageFormat("PPM", has_alpha=False)
_BY_SUFFIX = {
    "png": _PNG,
    "jpg": _JPEG,
    "jpeg": _JPEG,
    "webp": _WEBP,
    "tif": _TIFF,
    "tiff": _TIFF,
    "bmp": _BMP,
    "ppm": _PPM,
    "pgm": _PPM,
    "pnm": _PPM,
}


def supported_suffixes() -> tuple[str, ...]:
    """The file name suffixes that can be written, each with its dot."""
    return tuple(f".{suffix}" for suffix in _BY_SUFFIX)


def find_format(suffix: str) -> ImageFormat:
    """The format of a file name suffix, with or without its dot, in any case; `RequestError` if there is none."""
    found = _BY_SUFFIX.get(suffix.lower().removeprefix("."))
    if found is None:
        raise RequestError(
            f"cannot tell the image format from {suffix!r}: use one of {', '.join(supported_suffixes())}"
        )
    return found


def require_fitting(shape: tuple[int, ...], image_format: ImageFormat) -> None:
    """Raise `RequestError` unless samples of that shape, as for `encode`, fit into the format."""
    name = image_format.name
    if _has_alpha(shape) and not image_format.has_alpha:
        advice = "write PNG, WebP or TIFF, or give a --background to put behind it"
        raise RequestError(f"{name} cannot hold transparency: {advice}")
    if max(shape[:2]) > image_format.max_side:
        limit = f"at most {image_format.max_side} pixels a side, not {shape[1]}x{shape[0]}"
        raise RequestError(f"{name} holds {limit}: write PNG or TIFF")


def encode(
    samples: npt.NDArray[np.uint8], metadata: Mapping[str, bytes], image_format: ImageFormat
) -> tuple[bytes, tuple[str, ...]]:
    """Make a file in memory, so that failures of the encoder and of the disk cannot be confused.

    Args:
        samples: uint8 (H, W), or (H, W, C) with C = 2 gray and alpha, 3 RGB, 4 RGB and alpha.
        metadata: ICC profile, EXIF (a TIFF structure) and XMP packet under the names of `METADATA`.
        image_format: a format in which the samples fit.

    Returns:
        The file, and remarks about what it does not carry.
    """
    from PIL import Image

    image = Image.fromarray(samples)
    kept, notes = choose_metadata(metadata, image_format)
    if image.mode in ("L", "LA") and not image_format.has_gray:
        notes += (f"{image_format.name} has no gray: written as RGB",)
    try:
        return _encode(image, kept, image_format), notes
    # To TIFF, Pillow writes EXIF tag by tag; damaged EXIF makes it raise almost anything.
    except Exception:
        if image_format is not _TIFF or "exif" not in kept:
            raise
        del kept["exif"]
        return _encode(image, kept, image_format), (*notes, "EXIF is not kept: it is damaged")


def _has_alpha(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] in (2, 4)


def choose_metadata(
    metadata: Mapping[str, bytes], image_format: ImageFormat
) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The metadata that the format takes, and a remark about each part that it does not."""
    kept: dict[str, bytes] = {}
    notes: list[str] = []
    for kind, data in metadata.items():
        if kind not in image_format.carries:
            notes.append(f"{kind.upper()} is not kept: {image_format.name} cannot carry it")
        elif len(data) > image_format.carries[kind]:
            notes.append(f"{kind.upper()} is not kept: its {len(data)} bytes are too many for {image_format.name}")
        elif kind == "xmp" and image_format is _PNG and not _is_utf8(data):
            notes.append("XMP is not kept: PNG takes it only in UTF-8")
        else:
            kept[kind] = data
    return kept, tuple(notes)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _encode(image: "Image.Image", metadata: Mapping[str, bytes], image_format: ImageFormat) -> bytes:
    options = dict(image_format.options)
    if "icc" in metadata:
        options["icc_profile"] = metadata["icc"]
    if image_format is _TIFF:
        options |= _tiff_options(metadata)
    else:
        options |= _marker_options(metadata, image_format)
    buffer = io.BytesIO()
    image.save(buffer, image_format.name, **options)
    return buffer.getvalue()


def _marker_options(metadata: Mapping[str, bytes], image_format: ImageFormat) -> dict[str, Any]:
    """EXIF and XMP for the formats that carry them as they are."""
    from PIL import PngImagePlugin

    from .image_metadata import add_exif_prefix

    options: dict[str, Any] = {}
    if "exif" in metadata:
        options["exif"] = add_exif_prefix(metadata["exif"])
    if "xmp" in metadata and image_format is _PNG:
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", metadata["xmp"].decode())
    elif "xmp" in metadata:
        options["xmp"] = metadata["xmp"]
    return options


def _tiff_options(metadata: Mapping[str, bytes]) -> dict[str, Any]:
    """EXIF and XMP as tags of the TIFF's own directory."""
    from PIL import Image

    from .image_metadata import keep_descriptive

    tags = Image.Exif()
    if "exif" in metadata:
        tags.load(metadata["exif"])
        keep_descriptive(tags)
    if "xmp" in metadata:
        tags[_TIFF_XMP] = metadata["xmp"]
    # libtiff, which does the compression, cannot write the EXIF and GPS directories.
    return {"exif": tags, "compression": None} if "exif" in metadata else {"exif": tags}
