"""Any Pillow image as 8-bit gray or RGB samples, with or without alpha.

`to_bytes` chooses the conversion by the image's mode. Values are scaled by their full range and rounded, never clipped:
full scale of the file is 255 here. Of colours of more than 8 bits, Pillow's images hold no more than the upper 8;
`image_depth` adds the others where they can be had.
"""

import io
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageCms

from .errors import PictureError

_Bytes = npt.NDArray[np.uint8]
_PHOTOMETRIC = 262
_WHITE_IS_ZERO = 0
_CONVERTED = {
    "1": "L",
    "La": "LA",
    "PA": "RGBA",
    "RGBX": "RGB",
    "RGBa": "RGBA",
    "YCbCr": "RGB",
    "HSV": "RGB",
}


class Samples(NamedTuple):
    """Decoded samples.

    Attributes:
        array: uint8 (H, W) or (H, W, C), C = 2 gray and alpha, 3 RGB, 4 RGB and alpha.
        notes: what was converted.
        keeps_profile: whether the image's ICC profile still describes the samples.
        deep: uint16 of the same shape, 0 to 65535, if the samples have more than 8 bits and are all there.
    """

    array: _Bytes
    notes: tuple[str, ...] = ()
    keeps_profile: bool = True
    deep: npt.NDArray[np.uint16] | None = None


def to_bytes(image: Image.Image, bits: int, profile: bytes | None, *, deep: bool = False) -> Samples:
    """Convert a decoded image.

    Args:
        image: a loaded image of any mode that Pillow's readers give.
        bits: bits per channel of the file, of which Pillow may have dropped some already.
        profile: the file's ICC profile, used where colours leave CMYK.
        deep: whether to keep gray of more than 8 bits beside its 8; of colours, `image_depth` has the other bits.

    Returns:
        8-bit samples.

    Raises:
        PictureError: samples whose range is not known, or colours that this Pillow cannot convert.
    """
    mode = image.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return _reduce_wide(image, bits, deep)
    reduced = (f"{bits} bits per channel reduced to 8",) if bits > 8 else ()
    if mode in ("CMYK", "LAB"):
        converted = _convert_cmyk(image, profile) if mode == "CMYK" else _convert_lab(image)
        return converted._replace(notes=reduced + converted.notes)
    if mode == "P":
        target = "RGBA" if image.has_transparency_data else "RGB"
        return Samples(_convert(image, target), ("palette expanded to RGB",))
    samples = _convert(image, _CONVERTED.get(mode, mode))
    key = image.info.get("transparency")
    if mode in ("1", "L", "RGB") and key is not None:
        # Pillow has scaled the key to 8 bits only in black and white images.
        return _apply_colour_key(samples, key, 8 if mode == "1" else bits)
    return Samples(samples, reduced)


def reduce_depth(samples: npt.NDArray[Any], full_scale: int = 65535) -> _Bytes:
    """Integers in 0..full_scale (at most 65535) as round(255 v / full_scale), same shape."""
    table = (np.arange(full_scale + 1, dtype=np.uint32) * 255 + full_scale // 2) // full_scale
    reduced: _Bytes = table.astype(np.uint8)[samples]
    return reduced


def _reduce_wide(image: Image.Image, bits: int, keep: bool) -> Samples:
    """Gray with more than 8 bits per sample: unsigned, signed or float."""
    samples = np.asarray(image)
    # Pillow opens signed and 32-bit integers, and any 16-bit gray in its older versions, as mode "I".
    known_range = image.mode != "F" and bits <= 16
    # TIFF samples of 12 bits arrive as they are; the other formats' come scaled to 16.
    full_scale = 4095 if image.format == "TIFF" and bits == 12 else 65535
    if not known_range:
        full_scale = _guess_full_scale(samples, is_float=image.mode == "F")
    elif samples.min() < 0:
        raise PictureError("holds negative samples: convert it to 8 or 16 unsigned bits per channel")
    if image.mode == "F":
        gray = np.rint(samples * (255.0 / full_scale)).astype(np.uint8)
    else:
        gray = reduce_depth(samples, full_scale)
    deep = _in_sixteen_bits(samples, full_scale) if keep and known_range and full_scale > 255 else None
    if _is_white_zero(image):
        gray = 255 - gray
        deep = None if deep is None else 65535 - deep
    source = "floating-point samples" if image.mode == "F" else f"{bits} bits per channel"
    notes = (f"{source} reduced to 8 bits" + ("" if known_range else f", taken as 0..{full_scale}"),)
    key = image.info.get("transparency")
    if isinstance(key, int):
        alpha = np.where(samples == key, 0, 255).astype(np.uint8)
        deep = None if deep is None else np.dstack([deep, alpha.astype(np.uint16) * 257])
        return Samples(np.dstack([gray, alpha]), notes, deep=deep)
    return Samples(gray, notes, deep=deep)


def _in_sixteen_bits(samples: npt.NDArray[Any], full_scale: int) -> npt.NDArray[np.uint16]:
    if full_scale == 65535:
        return samples.astype(np.uint16)
    table = (np.arange(full_scale + 1, dtype=np.uint32) * 65535 + full_scale // 2) // full_scale
    wide: npt.NDArray[np.uint16] = table.astype(np.uint16)[samples]
    return wide


def _guess_full_scale(samples: npt.NDArray[Any], *, is_float: bool) -> int:
    """The smallest usual full scale that holds every sample of a type that does not imply one."""
    low, high = float(samples.min()), float(samples.max())
    for full_scale in (1, 255, 65535) if is_float else (255, 65535):
        if low >= 0.0 and high <= full_scale:
            return full_scale
    raise PictureError(
        f"holds samples from {low:g} to {high:g}, of unknown full scale: convert it to 8 or 16 bits per channel"
    )


def _is_white_zero(image: Image.Image) -> bool:
    """Whether a TIFF stores white as 0, which Pillow inverts for 8 bits per sample but not for more."""
    tags = getattr(image, "tag_v2", None)
    return tags is not None and tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO


def _convert_cmyk(image: Image.Image, profile: bytes | None) -> Samples:
    if profile:
        try:
            rgb = _transform(image, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
            return Samples(rgb, ("CMYK converted to sRGB through its ICC profile, which is dropped",), False)
        except (ImageCms.PyCMSError, OSError, ImportError):
            note = "CMYK converted to RGB without its ICC profile, which cannot be used and is dropped"
            return Samples(_convert(image, "RGB"), (note,), False)
    return Samples(_convert(image, "RGB"), ("CMYK converted to RGB without a colour profile",))


def _convert_lab(image: Image.Image) -> Samples:
    try:
        rgb = _transform(image, ImageCms.createProfile("LAB"))
    except (ImageCms.PyCMSError, ImportError) as error:
        raise PictureError("holds Lab colours, which this Pillow cannot convert: convert it to RGB first") from error
    return Samples(rgb, ("Lab converted to sRGB",), False)


def _transform(image: Image.Image, source: Any) -> _Bytes:
    """Colours from a source profile to sRGB."""
    rgb = ImageCms.profileToProfile(
        image,
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
        flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    if rgb is None:
        raise ImageCms.PyCMSError("no image came out of the transform")
    return np.asarray(rgb)


def _apply_colour_key(opaque: _Bytes, key: Any, bits: int) -> Samples:
    """Alpha from PNG's transparent colour, which the file gives in its own depth.

    Args:
        opaque: uint8 (H, W) or (H, W, 3).
        key: the transparent value, or one for each channel.
        bits: bits per channel of the key.
    """
    if bits > 8:
        notes = (f"{bits} bits per channel reduced to 8", "the transparent colour has 16 bits and is ignored")
        return Samples(opaque, notes)
    matches = opaque == np.asarray(key) * (255 // (2**bits - 1))
    transparent = matches.all(axis=-1) if opaque.ndim == 3 else matches
    return Samples(np.dstack([opaque, np.where(transparent, 0, 255).astype(np.uint8)]))


def _convert(image: Image.Image, mode: str) -> _Bytes:
    """The samples in a mode; in the image's own without the copy of the image that Pillow would make."""
    return np.asarray(image if image.mode == mode else image.convert(mode))
