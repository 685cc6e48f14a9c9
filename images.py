"""Pictures in and out: any image file as 8-bit samples, or all 16, with its transparency and metadata, and back.

Reading and writing go through Pillow. What a file holds beyond 8-bit gray or RGB is converted, and every conversion
that changes values leaves a remark in `Picture.notes`, so that nothing is lost silently.
"""

import io
import os
from collections.abc import Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

import numpy as np
import numpy.typing as npt

from . import pillow_settings
from .errors import PictureError, RequestError
from .image_formats import METADATA, ImageFormat, choose_metadata, encode, find_format, require_fitting
from .outputs import atomic_output, check_target
from .sources import naming, path_of

if TYPE_CHECKING:
    from PIL import Image

    from .image_samples import Samples

MAX_PIXELS = 2**28

_Bytes = npt.NDArray[np.uint8]
_Words = npt.NDArray[np.uint16]
_Sample = TypeVar("_Sample", np.uint8, np.uint16)
_PathLike = str | os.PathLike[str]

_HEADER_BYTES = 1 << 16
# Raster formats that Pillow reads by itself; for EPS, for example, it would start another program.
_READABLE = (
    *("PNG", "JPEG", "MPO", "WEBP", "TIFF", "AVIF", "GIF", "BMP", "DIB", "PPM"),
    *("JPEG2000", "QOI", "TGA", "PCX", "SGI", "ICO", "ICNS"),
)


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture with all that belongs to it. Its arrays may be read-only.

    Attributes:
        pixels: uint8 (H, W, C), C = 1 for gray or 3 for RGB, values 0..255.
        deep: the same samples in 16 bits, uint16 (H, W, C), values 0..65535; None if there are 8 bits alone, or if more were
            not asked for. Where there are any, whoever changes one changes both.
        alpha: uint8 (H, W), 0 transparent to 255 opaque, not premultiplied; None if the picture has no transparency.
        source_depth: bits per channel of what the picture came from: 8 (or fewer), or 16 (more than 8).
        icc: ICC colour profile.
        exif: EXIF as the TIFF structure that begins with `II` or `MM`, without the `Exif` prefix of JPEG.
        xmp: XMP packet.
        notes: remarks about what was converted on the way in.
    """

    pixels: _Bytes
    alpha: _Bytes | None = None
    source_depth: int = 8
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    notes: tuple[str, ...] = ()
    deep: _Words | None = None

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        if self.pixels.dtype != np.uint8 or len(shape) != 3 or shape[2] not in (1, 3) or 0 in shape:
            raise RequestError(f"pixels must be uint8 (H, W, 1) or (H, W, 3), not {self.pixels.dtype}{shape}")
        if self.deep is not None and (self.deep.dtype != np.uint16 or self.deep.shape != shape):
            raise RequestError(f"deep must be uint16 {shape}, not {self.deep.dtype}{self.deep.shape}")
        if self.alpha is not None and (self.alpha.dtype != np.uint8 or self.alpha.shape != shape[:2]):
            raise RequestError(f"alpha must be uint8 {shape[:2]}, not {self.alpha.dtype}{self.alpha.shape}")

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def is_gray(self) -> bool:
        """Whether the picture has one channel."""
        return bool(self.pixels.shape[2] == 1)


def from_array(array: npt.NDArray[Any], alpha: npt.NDArray[Any] | None = None, *, deep: bool = False) -> Picture:
    """Make a picture of an array.

    Args:
        array: uint8, uint16 (reduced to 8 bits, noted, unless it is kept) or bool, of shape (H, W) or (H, W, 1) for gray,
            (H, W, 2) for gray and alpha, (H, W, 3) for RGB, (H, W, 4) for RGB and alpha.
        alpha: (H, W), of one of the same dtypes, if `array` has no alpha channel.
        deep: whether to keep uint16 beside the 8 bits.

    Returns:
        The picture. Its arrays may share memory with the arguments.

    Raises:
        RequestError: another dtype or shape, or alpha given twice.
    """
    samples = _as_bytes(array)
    pixels, own_alpha = _separate(samples)
    if alpha is not None:
        if own_alpha is not None:
            raise RequestError(f"alpha is given twice: once as channel {array.shape[2] - 1} of the array")
        own_alpha = _as_bytes(alpha)
    wide = array.dtype == np.uint16
    kept: _Words | None = None
    notes: tuple[str, ...] = ()
    if wide and deep:
        kept, wide_alpha = _separate(array)
        notes = _alpha_notes(alpha if wide_alpha is None else wide_alpha)
    elif wide:
        notes = ("16 bits per channel reduced to 8",)
    return Picture(pixels, own_alpha, source_depth=16 if wide else 8, notes=notes, deep=kept)


def to_array(picture: Picture) -> _Bytes:
    """The samples as one array, the inverse of `from_array`.

    Returns:
        uint8 (H, W) or (H, W, 3); with alpha as last channel (H, W, 2) or (H, W, 4).
    """
    if picture.alpha is not None:
        return np.dstack([picture.pixels, picture.alpha])
    return picture.pixels[..., 0] if picture.is_gray else picture.pixels


def to_deep_array(picture: Picture) -> _Words:
    """The samples as one array of 16 bits; those of a picture with 8 bits are scaled.

    Returns:
        uint16 in a shape as of `to_array`.
    """
    samples = widened(picture.pixels) if picture.deep is None else picture.deep
    if picture.alpha is not None:
        return np.dstack([samples, widened(picture.alpha)])
    return samples[..., 0] if picture.is_gray else samples


def readable_suffixes() -> frozenset[str]:
    """The file name suffixes of the formats that `load` reads, each with its dot, in lower case."""
    from PIL import Image

    return frozenset(suffix for suffix, name in Image.registered_extensions().items() if name in _READABLE)


def load(source: _PathLike | BinaryIO | bytes, *, max_pixels: int = MAX_PIXELS, deep: bool = False) -> Picture:
    """Read an image file.

    The EXIF orientation is applied and its tag (and XMP's) set to 1; no other byte of the metadata changes, except in
    TIFF, where EXIF is gathered from the file's own directories. Gray stays gray and RGB stays RGB, whatever its
    values. A fully opaque alpha channel is kept.

    Args:
        source: path, bytes, or binary file, read from its current position.
        max_pixels: limit for width x height, checked before anything is decoded.
        deep: whether to keep all bits where there are more than 8: of colours in PNG and TIFF, and of gray.

    Returns:
        The picture, with `notes` about conversions.

    Raises:
        PictureError: missing, not readable, not an image, damaged, or too large.
    """
    name = os.fspath(source) if isinstance(source, (str, os.PathLike)) else "the input"
    with _opened(source, name) as stream, pillow_settings.limited(max_pixels):
        try:
            return _read(stream, max_pixels, deep)
        except PictureError as error:
            raise PictureError(f"{name}: {error}") from error
        except MemoryError as error:
            raise PictureError(f"{name}: too large for the memory of this machine: make it smaller") from error
        # Pillow's readers raise whatever their parser ran into: OSError, SyntaxError, struct.error, IndexError ...
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise PictureError(f"{name}: damaged or incomplete ({reason}): get the file again") from error


def save(
    picture: Picture,
    target: _PathLike | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 (the word of Pillow and of every image tool)
    force: bool = False,
    strip: Collection[str] = (),
) -> tuple[str, ...]:
    """Write an image file, whole or not at all.

    PNG, WebP, TIFF, BMP and PPM are written lossless, PNG and TIFF with 16 bits if the picture has them, JPEG at quality 95 without chroma subsampling. TIFF is deflated, or
    uncompressed if it carries EXIF.

    Args:
        picture: what to write.
        target: path, or binary file to write to.
        format: a file name suffix of the format; by default that of the path, or `png` for a binary file.
        force: whether an existing file may be replaced.
        strip: metadata to leave out: any of `METADATA`.

    Returns:
        Remarks about what the format cannot carry.

    Raises:
        RequestError: the format is unknown or cannot hold the picture, or `strip` names something else.
        OutputExistsError: the target exists and `force` is false.
        OutputError: the target cannot be written.
    """
    if unknown := set(strip) - set(METADATA):
        raise RequestError(f"cannot strip {', '.join(sorted(unknown))}: choose from {', '.join(METADATA)}")
    image_format = find_format(
        format or (os.path.splitext(target)[1] if isinstance(target, (str, os.PathLike)) else ".png")
    )
    with naming(path_of(target)):
        require_fitting((picture.height, picture.width, _channels(picture)), image_format)
    if isinstance(target, (str, os.PathLike)):
        check_target(target, force=force)
    present = {"icc": picture.icc, "exif": picture.exif, "xmp": picture.xmp}
    metadata = {kind: data for kind, data in present.items() if data and kind not in strip}
    encoded, notes = _encoded(picture, metadata, image_format)
    if isinstance(target, (str, os.PathLike)):
        with atomic_output(target, force=force) as file:
            file.write(encoded)
    else:
        target.write(encoded)
    return notes


def _channels(picture: Picture) -> int:
    return (1 if picture.is_gray else 3) + (picture.alpha is not None)


def _encoded(picture: Picture, metadata: dict[str, bytes], image_format: ImageFormat) -> tuple[bytes, tuple[str, ...]]:
    """The file, of 16 bits if the picture has them and the format can, and remarks."""
    from . import image_deep_formats

    if picture.deep is None:
        return encode(to_array(picture), metadata, image_format)
    if image_format.name not in image_deep_formats.NAMES:
        encoded, notes = encode(to_array(picture), metadata, image_format)
        return encoded, (*notes, f"{image_format.name} is written with 8 of the 16 bits: write PNG or TIFF to keep all")
    kept, notes = choose_metadata(metadata, image_format)
    encoded, lost = image_deep_formats.encode(to_deep_array(picture), kept, image_format.name)
    return encoded, notes + lost


@contextmanager
def _opened(source: _PathLike | BinaryIO | bytes, name: str) -> Generator[BinaryIO]:
    """A seekable stream at position 0; closed afterwards only if it was opened here."""
    if isinstance(source, bytes):
        yield io.BytesIO(source)
    elif isinstance(source, (str, os.PathLike)):
        with _reading_errors(name):
            file = open(source, "rb")  # noqa: SIM115 (closed below, outside of the error translation)
        with file:
            yield _rewindable(file, name)
    else:
        yield _rewindable(source, name)


def _rewindable(stream: BinaryIO, name: str) -> BinaryIO:
    with _reading_errors(name):
        return stream if stream.seekable() and stream.tell() == 0 else io.BytesIO(stream.read())


@contextmanager
def _reading_errors(name: str) -> Generator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise PictureError(f"{name}: no such file: check the path") from error
    except IsADirectoryError as error:
        raise PictureError(f"{name}: is a folder: give an image file") from error
    except PermissionError as error:
        raise PictureError(f"{name}: no permission to read it: change its permissions or use a copy") from error
    except (OSError, ValueError) as error:
        raise PictureError(f"{name}: cannot be read ({error}): check the path") from error


def _read(stream: BinaryIO, max_pixels: int, deep: bool) -> Picture:
    """Header first, then samples, then metadata, which some formats keep behind the samples."""
    from . import image_depth, image_metadata
    from .image_samples import to_bytes

    header = stream.read(_HEADER_BYTES)
    if not header:
        raise PictureError("is empty: give an image file")
    with _open_image(stream, max_pixels) as image:
        bits = image_metadata.declared_bits(image, header)
        notes = _frame_notes(image)
        early_xmp = _take_xmp(image)
        is_deep = image_depth.has_lower_bytes(image, bits)
        image.load()
        exif, xmp = image_metadata.read_exif(image), early_xmp or image_metadata.read_xmp(image)
        icc: bytes | None = image.info.get("icc_profile") or None
        if image.format == "PNG" and bits == 16 and header[25] == 4:
            # 16-bit gray with alpha, which Pillow opens as RGBA.
            image = image.convert("LA")
        samples = to_bytes(image, bits, icc, deep=deep)
        if is_deep:
            samples = _with_lower_bytes(samples, stream, max_pixels, deep)
        if image_metadata.has_extended_xmp(image):
            notes += ("extended XMP is not kept",)
    orientation = image_metadata.read_orientation(exif)
    pixels, alpha = _separate(image_metadata.make_upright(samples.array, orientation))
    words = samples.deep
    if words is not None:
        notes += tuple(note for note in samples.notes if "reduced to 8" not in note)
        words, wide_alpha = _separate(image_metadata.make_upright(words, orientation))
        notes += _alpha_notes(wide_alpha)
    else:
        notes += samples.notes
    exif, xmp = image_metadata.reset_orientation(exif, xmp)
    return Picture(
        pixels,
        alpha,
        source_depth=16 if bits > 8 else 8,
        icc=icc if samples.keeps_profile else None,
        exif=exif,
        xmp=xmp,
        notes=notes,
        deep=words,
    )


def _take_xmp(image: "Image.Image") -> bytes | None:
    """The XMP of a TIFF, before its samples are read: Pillow would turn them as it says, which is often out of date."""
    return image.info.pop("xmp", None) if image.format == "TIFF" else None


def _with_lower_bytes(upper: "Samples", stream: BinaryIO, max_pixels: int, deep: bool) -> "Samples":
    """The samples of a file that is read once more, rounded from 16 bits instead of cut off; all of them if asked for."""
    from . import image_depth

    with _open_image(stream, max_pixels) as image:
        _take_xmp(image)
        image_depth.prepare_lower_bytes(image)
        image.load()
        if not deep:
            return upper._replace(array=image_depth.reduce_exactly(upper.array, image))
        words = image_depth.joined(upper.array, image)
        return upper._replace(array=_as_bytes(words), deep=words)


def _open_image(stream: BinaryIO, max_pixels: int) -> "Image.Image":
    """Read the header with Pillow and refuse what is too large."""
    from PIL import Image, UnidentifiedImageError

    Image.init()
    advice = f"more than {max_pixels} pixels: make it smaller or raise the limit"
    try:
        image = Image.open(stream, formats=[name for name in _READABLE if name in Image.OPEN])
    except UnidentifiedImageError as error:
        raise PictureError("not an image that can be read: give a PNG, JPEG, WebP or TIFF file") from error
    except Image.DecompressionBombError as error:
        raise PictureError(f"has {advice}") from error
    if image.width * image.height > max_pixels:
        image.close()
        raise PictureError(f"{image.width}x{image.height} is {advice}")
    return image


def _frame_notes(image: "Image.Image") -> tuple[str, ...]:
    frames = int(getattr(image, "n_frames", 1))
    return (f"only the first of {frames} frames is kept",) if frames > 1 else ()


def _as_bytes(array: npt.NDArray[Any]) -> _Bytes:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        from .image_samples import reduce_depth

        return reduce_depth(array)
    advice = "round and convert it, for values in 0..1 as (255 * a).round().astype('uint8')"
    raise RequestError(f"need an array of uint8, uint16 or bool, not {array.dtype}: {advice}")


def _alpha_notes(alpha: npt.NDArray[Any] | None) -> tuple[str, ...]:
    """A remark about transparency that 8 bits do not hold."""
    lost = alpha is not None and alpha.dtype == np.uint16 and bool(np.any(alpha % 257))
    return ("transparency reduced from 16 bits to 8",) if lost else ()


def widened(samples: _Bytes) -> _Words:
    """Samples of 8 bits in 16, 255 as 65535."""
    return samples.astype(np.uint16) * np.uint16(257)


def _separate(samples: npt.NDArray[_Sample]) -> tuple[npt.NDArray[_Sample], npt.NDArray[_Sample] | None]:
    """Contiguous pixels (H, W, 1) or (H, W, 3), and alpha (H, W) if there is a channel for it."""
    if samples.ndim == 2:
        samples = samples[..., np.newaxis]
    if samples.ndim != 3 or samples.shape[2] not in (1, 2, 3, 4) or 0 in samples.shape:
        raise RequestError(f"need an array (H, W) or (H, W, C) with C in 1..4 and H, W >= 1, not {samples.shape}")
    if samples.shape[2] in (1, 3):
        return np.ascontiguousarray(samples), None
    return np.ascontiguousarray(samples[..., :-1]), np.ascontiguousarray(samples[..., -1])
