import io
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, UnidentifiedImageError, features

from nicodec.errors import OutputError, OutputExistsError, PictureError, RequestError
from nicodec.images import Picture, from_array, load, save, to_array

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Bytes = npt.NDArray[np.uint8]

_XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
_UPRIGHT_XMP = _XMP.replace(b'"6"', b'"1"')


def _file(image: Image.Image, name: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, name, **options)
    return buffer.getvalue()


def _file_of(array: npt.NDArray[Any], name: str = "PNG", **options: Any) -> bytes:
    return _file(Image.fromarray(array), name, **options)


def _tiff(array: npt.NDArray[Any], **options: Any) -> bytes:
    """A TIFF of types that Pillow does not write."""
    tifffile = pytest.importorskip("tifffile")
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def _exif(orientation: int = 1) -> bytes:
    """EXIF with an unusual byte in every place: maker note, GPS, and an unknown tag of the first directory."""
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x0112] = orientation
    exif[0xC000] = 77
    exif[0x8769] = {0x9003: "2026:11:21 12:00:00", 0x927C: bytes(range(40))}
    exif[0x8825] = {1: "N", 2: (48.0, 8.0, 30.0)}
    return exif.tobytes()[6:]


def _srgb() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _cmyk_profile() -> bytes:
    """A printer whose black ink is half as dark as black and whose other inks do nothing."""
    lightness = [255 if black == 0 else 128 for black in (0, 1)]
    corners = bytes(value for corner in range(16) for value in (lightness[corner & 1], 128, 128))
    ramp = bytes(range(256))
    identity = struct.pack(">9i", *(65536 * (place % 4 == 0) for place in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + corners + ramp * 3
    table += bytes(-len(table) % 4)
    kind = b"\0\0\0\0" + struct.pack(">I", 0x02400000) + b"prtrCMYKLab "
    white = struct.pack(">3i", 63190, 65536, 54061)
    header = struct.pack(">I", 144 + len(table)) + kind + bytes(12) + b"acsp" + bytes(28) + white
    tags = struct.pack(">I4sII", 1, b"A2B0", 144, len(table))
    return header.ljust(128, b"\0") + tags + table


def _rounded(wide: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint32]:
    return (wide.astype(np.uint32) + 128) // 257


# --- arrays ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 3), (2, 3, 2), (2, 3, 4), (1, 1), (1, 400)])
def test_array_round_trip(samples: "Samples", shape: tuple[int, ...]) -> None:
    array = samples.noise(*shape)
    picture = from_array(array)
    assert (picture.height, picture.width) == shape[:2]
    assert picture.is_gray == (len(shape) == 2 or shape[2] == 2)
    assert picture.notes == ()
    np.testing.assert_array_equal(to_array(picture), array)


def test_array_with_one_channel_or_separate_alpha(samples: "Samples") -> None:
    gray, alpha = samples.noise(4, 5, 1), samples.noise(4, 5, seed=1)
    np.testing.assert_array_equal(to_array(from_array(gray)), gray[..., 0])
    np.testing.assert_array_equal(to_array(from_array(gray, alpha)), np.dstack([gray, alpha]))
    np.testing.assert_array_equal(to_array(from_array(gray, alpha > 9))[..., 1], np.where(alpha > 9, 255, 0))


def test_array_of_other_types() -> None:
    wide = np.array([[0, 128, 129, 32767, 32768, 65535]], np.uint16)
    picture = from_array(wide)
    assert to_array(picture).tolist() == [[0, 0, 1, 127, 128, 255]]
    assert picture.source_depth == 16
    assert picture.notes == ("16 bits per channel reduced to 8",)
    assert to_array(from_array(np.array([[True, False]]))).tolist() == [[255, 0]]


@given(st.integers(0, 65535))
def test_depth_is_rounded(value: int) -> None:
    (reduced,) = to_array(from_array(np.array([[value]], np.uint16)))[0].tolist()
    assert reduced == round(value / 257)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((2, 2), np.float32), "255"),
        (np.zeros((2, 2, 5), np.uint8), r"\(2, 2, 5\)"),
        (np.zeros(4, np.uint8), r"\(4,\)"),
        (np.zeros((0, 4), np.uint8), r"\(0, 4"),
    ],
)
def test_bad_arrays(array: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        from_array(array)


def test_bad_alpha(samples: "Samples") -> None:
    with pytest.raises(RequestError, match="twice"):
        from_array(samples.noise(2, 2, 4), samples.noise(2, 2))
    with pytest.raises(RequestError, match="alpha"):
        from_array(samples.noise(2, 2, 3), samples.noise(2, 3))
    with pytest.raises(RequestError, match="pixels"):
        Picture(samples.noise(2, 2))


# --- modes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 5), (6, 5, 2), (6, 5, 3), (6, 5, 4), (1, 1, 3), (1, 4000), (4000, 1, 3)])
def test_eight_bit_modes(samples: "Samples", shape: tuple[int, ...]) -> None:
    array = samples.noise(*shape)
    for name in ("PNG", "TIFF"):
        picture = load(_file_of(array, name))
        np.testing.assert_array_equal(to_array(picture), array)
        assert (picture.source_depth, picture.notes) == (8, ())


def test_opaque_alpha_and_gray_rgb_stay(samples: "Samples") -> None:
    gray = samples.noise(3, 4)
    assert to_array(load(_file_of(np.dstack([gray] * 3)))).shape == (3, 4, 3)
    opaque = np.dstack([gray, np.full_like(gray, 255)])
    np.testing.assert_array_equal(to_array(load(_file_of(opaque))), opaque)


def test_black_and_white(samples: "Samples") -> None:
    array = samples.noise(5, 9) > 99
    np.testing.assert_array_equal(to_array(load(_file_of(array))), np.where(array, 255, 0))


def test_palette(samples: "Samples") -> None:
    image = Image.fromarray(samples.noise(5, 6) % 4).convert("P")
    colours = samples.noise(4, 3, seed=1)
    image.putpalette(colours.tobytes())
    indices = np.asarray(image)
    picture = load(_file(image, "PNG"))
    np.testing.assert_array_equal(to_array(picture), colours[indices])
    assert "palette" in picture.notes[0]
    alphas = np.array([0, 80, 255, 255], np.uint8)
    for transparency, table in ((alphas.tobytes(), alphas), (2, np.array([255, 255, 0, 255], np.uint8))):
        with_alpha = to_array(load(_file(image, "PNG", transparency=transparency)))
        np.testing.assert_array_equal(with_alpha, np.dstack([colours[indices], table[indices]]))


def test_palette_with_alpha_channel(samples: "Samples") -> None:
    rgba = samples.noise(4, 4, 4)
    image = Image.fromarray(rgba).convert("PA")
    np.testing.assert_array_equal(to_array(load(_file(image, "TIFF"))), np.asarray(image.convert("RGBA")))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_gray_colour_key(samples: "Samples", bits: int) -> None:
    values = samples.noise(5, 8) >> (8 - bits)
    key = int(values[2, 3])
    loaded = to_array(load(samples.png(values, bits, {b"tRNS": struct.pack(">H", key)})))
    np.testing.assert_array_equal(loaded[..., 0], values * (255 // (2**bits - 1)))
    np.testing.assert_array_equal(loaded[..., 1], np.where(values == key, 0, 255))


def test_rgb_colour_key(samples: "Samples") -> None:
    values = samples.noise(4, 5, 3) % 2
    loaded = to_array(load(samples.png(values, 8, {b"tRNS": struct.pack(">3H", 1, 0, 1)})))
    np.testing.assert_array_equal(loaded[..., :3], values)
    np.testing.assert_array_equal(loaded[..., 3], np.where((values == (1, 0, 1)).all(-1), 0, 255))


@pytest.mark.parametrize("channels", [0, 2, 3, 4])
def test_sixteen_bit_png(samples: "Samples", channels: int) -> None:
    shape = (4, 5, channels) if channels else (4, 5)
    wide = np.random.default_rng(0).integers(0, 65536, shape).astype(np.uint16)
    picture = load(samples.png(wide, 16))
    np.testing.assert_array_equal(to_array(picture), _rounded(wide))
    assert picture.source_depth == 16
    assert len(picture.notes) == 1
    assert picture.notes[0].startswith("16 bits per channel reduced to 8")


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_sixteen_bit_png_from_every_kind_of_source(samples: "Samples", tmp_path: Path, channels: int) -> None:
    """It is read twice."""
    wide = np.random.default_rng(1).integers(0, 65536, (300, 5, channels)).astype(np.uint16)
    content = samples.png(wide, 16)
    (tmp_path / "deep.png").write_bytes(content)
    with open(tmp_path / "deep.png", "rb") as file:
        for source in (content, tmp_path / "deep.png", io.BytesIO(content), file):
            np.testing.assert_array_equal(to_array(load(source)), _rounded(wide))


def test_sixteen_bit_colour_keys(samples: "Samples") -> None:
    wide = np.array([[1000, 1001, 60000]], np.uint16)
    keyed = load(samples.png(wide, 16, {b"tRNS": struct.pack(">H", 1000)}))
    assert to_array(keyed)[..., 1].tolist() == [[0, 255, 255]]
    rgb = load(samples.png(np.dstack([wide] * 3), 16, {b"tRNS": struct.pack(">3H", 1000, 1000, 1000)}))
    assert rgb.alpha is None
    assert "ignored" in rgb.notes[1]


@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_sixteen_bit_tiff(byteorder: str) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (4, 5), dtype=np.uint16)
    picture = load(_tiff(wide, byteorder=byteorder))
    np.testing.assert_array_equal(to_array(picture), _rounded(wide))
    assert picture.source_depth == 16


@pytest.mark.parametrize(
    "compression", [{}, {"compression": "zlib"}, {"compression": "zlib", "predictor": True}], ids=str
)
@pytest.mark.parametrize("extra", [{}, {"extrasamples": ["unassalpha"]}, {"extrasamples": ["unspecified"]}], ids=str)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_sixteen_bit_colour_tiff(
    tmp_path: Path, byteorder: str, extra: dict[str, list[str]], compression: dict[str, Any]
) -> None:
    wide = np.random.default_rng(0).integers(0, 65536, (33, 5, 4 if extra else 3), dtype=np.uint16)
    options: dict[str, Any] = {"byteorder": byteorder, "photometric": "rgb", **extra, **compression}
    content = _tiff(wide, extratags=[(274, "H", 1, 6, True)], **options)
    (tmp_path / "deep.tif").write_bytes(content)
    expected = np.rot90(_rounded(wide[..., :3] if "unspecified" in str(extra) else wide), -1)
    for source in (content, tmp_path / "deep.tif"):
        picture = load(source)
        np.testing.assert_array_equal(to_array(picture), expected)
        assert (picture.source_depth, picture.notes) == (16, ("16 bits per channel reduced to 8",))


def test_sixteen_bit_planes() -> None:
    """Pillow reads them wrongly unless they are compressed, and then drops the lower bytes for good."""
    wide = np.random.default_rng(0).integers(0, 65536, (3, 40, 5), dtype=np.uint16)
    options: dict[str, Any] = {"photometric": "rgb", "planarconfig": "separate"}
    upper = (np.moveaxis(wide, 0, -1) >> 8).astype(np.uint8)
    np.testing.assert_array_equal(to_array(load(_tiff(wide, compression="zlib", **options))), upper)
    with pytest.raises(PictureError, match="holds 16-bit colours in separate planes: save it"):
        load(_tiff(wide, **options))
    np.testing.assert_array_equal(to_array(load(_tiff((wide >> 8).astype(np.uint8), **options))), upper)


def test_sixteen_bit_tiff_with_white_as_zero() -> None:
    wide = np.array([[0, 65535, 128]], np.uint16)
    assert to_array(load(_tiff(wide, photometric="miniswhite"))).tolist() == [[255, 0, 255]]
    assert to_array(load(_tiff(wide.astype(np.uint8), photometric="miniswhite"))).tolist() == [[255, 0, 127]]


def test_integers_and_floats() -> None:
    cases: list[tuple[npt.NDArray[Any], list[int]]] = [
        (np.array([[0, 65535, 300]], np.int32), [0, 255, 1]),
        (np.array([[0, 255, 30]], np.int32), [0, 255, 30]),
        (np.array([[0.0, 1.0, 0.5]], np.float32), [0, 255, 128]),
        (np.array([[0.0, 254.6, 30.2]], np.float32), [0, 255, 30]),
    ]
    for array, expected in cases:
        picture = load(_file_of(array, "TIFF"))
        assert to_array(picture).tolist() == [expected]
        assert "taken as 0.." in picture.notes[0]
    assert to_array(load(_tiff(np.array([[0, 32767]], np.int16)))).tolist() == [[0, 127]]


@pytest.mark.parametrize(
    "array",
    [
        np.array([[-1.0, 0.5]], np.float32),
        np.array([[np.nan, 0.5]], np.float32),
        np.array([[np.inf, 0.5]], np.float32),
        np.array([[1 << 20, 0]], np.int32),
        np.array([[-5, 0]], np.int16),
    ],
)
def test_samples_of_unknown_range(array: npt.NDArray[Any]) -> None:
    with pytest.raises(PictureError, match="convert it"):
        load(_tiff(array))


def test_netpbm_depths() -> None:
    gray = load(b"P5\n# made\n2 1\n1023\n" + struct.pack(">HH", 1023, 512))
    assert (to_array(gray).tolist(), gray.source_depth) == ([[255, 128]], 16)
    rgb = load(b"P6 1 1 1023\n" + struct.pack(">3H", 1023, 512, 0))
    assert (to_array(rgb).tolist(), rgb.notes) == ([[[255, 128, 0]]], ("10 bits per channel reduced to 8",))
    assert load(b"P6 1 1 255\nabc").notes == ()


def test_jpeg2000_and_sgi_depths() -> None:
    wide = np.full((8, 8), 32896, np.uint16)
    picture = load(_file_of(wide, "JPEG2000"))
    assert (to_array(picture)[0, 0], picture.source_depth) == (128, 16)
    assert load(_file_of(wide.astype(np.uint8), "SGI")).notes == ()


def test_cmyk(samples: "Samples") -> None:
    image = Image.fromarray(samples.photo(16, 16)).convert("CMYK")
    for name in ("TIFF", "JPEG"):
        picture = load(_file(image, name))
        assert to_array(picture).shape == (16, 16, 3)
        assert "CMYK converted to RGB" in picture.notes[0]
    np.testing.assert_array_equal(to_array(load(_file(image, "TIFF"))), np.asarray(image.convert("RGB")))
    unfit = load(_file(image, "TIFF", icc_profile=_srgb()))
    assert unfit.icc is None
    assert "dropped" in unfit.notes[0]


def test_cmyk_goes_through_its_profile() -> None:
    # The inks cyan, magenta and yellow print nothing there, which no conversion without the profile would know.
    image = Image.fromarray(np.array([[[0, 0, 0, 0], [255, 255, 255, 0], [0, 0, 0, 255]]], np.uint8), "CMYK")
    picture = load(_file(image, "TIFF", icc_profile=_cmyk_profile()))
    assert picture.notes == ("CMYK converted to sRGB through its ICC profile, which is dropped",)
    assert picture.icc is None
    paper, inked, black = to_array(picture)[0].astype(int)
    assert paper.min() >= 253
    np.testing.assert_array_equal(inked, paper)
    assert black.max() < 150


def test_ycbcr_and_lab(samples: "Samples") -> None:
    image = Image.fromarray(samples.photo(16, 16))
    ycbcr = image.convert("YCbCr")
    np.testing.assert_array_equal(to_array(load(_file(ycbcr, "TIFF"))), np.asarray(ycbcr.convert("RGB")))
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    assert lab is not None
    picture = load(_file(lab, "TIFF"))
    assert np.abs(to_array(picture).astype(int) - np.asarray(image)).mean() < 3
    assert picture.notes == ("Lab converted to sRGB",)


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG", "TIFF"])
def test_first_frame(samples: "Samples", name: str) -> None:
    frames = [Image.fromarray(samples.noise(8, 8, seed=seed) // 128 * 255) for seed in range(3)]
    options: dict[str, Any] = {"lossless": True} if name == "WEBP" else {}
    picture = load(_file(frames[0], name, save_all=True, append_images=frames[1:], **options))
    assert picture.notes[0] == "only the first of 3 frames is kept"
    np.testing.assert_array_equal(to_array(picture).reshape(8, 8, -1)[..., 0], np.asarray(frames[0]))


# --- orientation and metadata ----------------------------------------------------------------------------------------

_TURNS: dict[int, Callable[[Bytes], Bytes]] = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: np.rot90(np.fliplr(a)),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(np.fliplr(a), -1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", _TURNS)
@pytest.mark.parametrize("name", ["PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_once(samples: "Samples", name: str, orientation: int) -> None:
    array = samples.noise(3, 5, 4)
    options: dict[str, Any] = {"lossless": True, "exact": True} if name == "WEBP" else {}
    exif = b"Exif\0\0" + _exif(orientation)
    picture = load(_file_of(array, name, exif=exif, **options))
    np.testing.assert_array_equal(to_array(picture), _TURNS[orientation](array))
    again = io.BytesIO()
    save(picture, again)
    np.testing.assert_array_equal(to_array(load(again.getvalue())), _TURNS[orientation](array))
    np.testing.assert_array_equal(np.asarray(Image.open(again)), _TURNS[orientation](array))
    assert Image.open(again).getexif().get(0x0112, 1) == 1


def test_orientation_of_jpeg(samples: "Samples") -> None:
    smooth = np.repeat(np.repeat(samples.noise(2, 3), 16, axis=0), 16, axis=1)
    picture = load(_file_of(smooth, "JPEG", quality=100, exif=b"Exif\0\0" + _exif(6)))
    assert np.abs(to_array(picture).astype(int) - np.rot90(smooth, -1)).max() <= 2


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_orientation_of_avif(samples: "Samples") -> None:
    smooth = np.repeat(np.repeat(samples.noise(2, 3), 16, axis=0), 16, axis=1)
    picture = load(_file_of(smooth, "AVIF", quality=100, subsampling="4:4:4", exif=b"Exif\0\0" + _exif(6)))
    upright = np.dstack([np.rot90(smooth, -1)] * 3)
    assert np.abs(to_array(picture).astype(int) - upright).max() <= 4
    assert picture.notes == ()
    assert Image.open(io.BytesIO(_file_of(smooth, exif=picture.exif))).getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
def test_metadata_is_read_byte_for_byte(samples: "Samples", name: str) -> None:
    options: dict[str, Any] = {"xmp": _XMP}
    if name == "PNG":
        from PIL.PngImagePlugin import PngInfo

        options = {"pnginfo": PngInfo()}
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", _XMP.decode())
    file = _file_of(samples.photo(), name, exif=b"Exif\0\0" + _exif(8), icc_profile=_srgb(), **options)
    picture = load(file)
    assert picture.exif == _exif(1)
    assert picture.xmp == _UPRIGHT_XMP
    assert picture.icc == _srgb()


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_metadata_round_trip(samples: "Samples", suffix: str) -> None:
    picture = Picture(samples.photo(), icc=_srgb(), exif=_exif(), xmp=_UPRIGHT_XMP)
    buffer = io.BytesIO()
    assert save(picture, buffer, format=suffix) == ()
    loaded = load(buffer.getvalue())
    assert (loaded.icc, loaded.exif, loaded.xmp) == (picture.icc, picture.exif, picture.xmp)


def test_metadata_round_trip_in_tiff(samples: "Samples") -> None:
    """TIFF has EXIF in its own directories: the descriptive tags survive, those of storage must not."""
    picture = Picture(samples.photo(), icc=_srgb(), exif=_exif(), xmp=_UPRIGHT_XMP)
    buffer = io.BytesIO()
    assert save(picture, buffer, format="tiff") == ()
    loaded = load(buffer.getvalue())
    np.testing.assert_array_equal(to_array(loaded), samples.photo())
    assert (loaded.icc, loaded.xmp) == (picture.icc, picture.xmp)
    exif = Image.Exif()
    exif.load(loaded.exif or b"")
    assert dict(exif).keys() == {0x010F, 0x8769, 0x8825}
    assert exif[0x010F] == "Maker"
    assert exif.get_ifd(0x8769) == {0x9003: "2026:11:21 12:00:00", 0x927C: bytes(range(40))}
    assert exif.get_ifd(0x8825) == {1: "N", 2: (48.0, 8.0, 30.0)}


def test_tiff_is_deflated_without_exif(samples: "Samples") -> None:
    flat, buffer = np.zeros((200, 300, 3), np.uint8), io.BytesIO()
    save(Picture(flat, icc=_srgb(), xmp=_XMP), buffer, format="tif")
    assert len(buffer.getvalue()) < flat.size // 10
    loaded = load(buffer.getvalue())
    assert (loaded.icc, loaded.exif, loaded.xmp) == (_srgb(), None, _UPRIGHT_XMP)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_orientation_of_xmp_alone_is_reset_and_not_applied(samples: "Samples", suffix: str) -> None:
    buffer = io.BytesIO()
    save(Picture(samples.photo(10, 20), xmp=_XMP), buffer, format=suffix)
    loaded = load(buffer.getvalue())
    assert (loaded.height, loaded.width, loaded.xmp) == (10, 20, _UPRIGHT_XMP)


def test_exif_of_imagemagick(samples: "Samples") -> None:
    exif = b"Exif\0\0" + _exif(3)
    text = f"Raw profile type exif\0\nexif\n{len(exif):8}\n{exif.hex()}\n"
    array = samples.noise(2, 3)
    picture = load(samples.png(array, 8, {b"tEXt": text.encode()}))
    assert picture.exif == _exif(1)
    np.testing.assert_array_equal(to_array(picture), array[::-1, ::-1])


@given(damage=st.integers(0, 120), value=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_damaged_exif_is_no_obstacle(damage: int, value: int) -> None:
    exif = bytearray(_exif(6))
    exif[damage] = value
    array = np.arange(6, dtype=np.uint8).reshape(2, 3)
    picture = load(_file_of(array, exif=b"Exif\0\0" + bytes(exif)))
    assert sorted(to_array(picture).ravel()) == list(range(6))
    for suffix in ("tiff", "jpg", "webp"):
        save(picture, io.BytesIO(), format=suffix)


# --- sources and bad input -------------------------------------------------------------------------------------------


def test_every_kind_of_source(samples: "Samples", tmp_path: Path) -> None:
    array = samples.noise(4, 5, 3)
    file = _file_of(array)
    path = tmp_path / "in.png"
    path.write_bytes(file)
    behind = io.BytesIO(b"junk" + file)
    behind.seek(4)
    stream = io.BytesIO(file)
    sources: list[Path | str | bytes | BinaryIO] = [path, str(path), file, stream, behind]
    for source in sources:
        np.testing.assert_array_equal(to_array(load(source)), array)
    assert not stream.closed


def test_pipe_as_source(samples: "Samples") -> None:
    array = samples.noise(4, 5, 3)
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(_file_of(array))
    with open(reading, "rb") as pipe:
        np.testing.assert_array_equal(to_array(load(pipe)), array)


def _failure(source: Path | bytes, **options: Any) -> str:
    with pytest.raises(PictureError) as caught:
        load(source, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_unreadable_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in _failure(tmp_path / "missing.png")
    assert "folder" in _failure(tmp_path)
    assert "is empty" in _failure(b"")
    assert "not an image" in _failure(b"just some text, no picture")
    assert "cannot be read" in _failure(Path("nul\0byte"))

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError

    monkeypatch.setattr("builtins.open", refuse)
    assert "no permission" in _failure(tmp_path / "secret.png")


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"])
def test_truncated_files(samples: "Samples", name: str) -> None:
    file = _file_of(samples.photo(), name)
    lengths = [1, 3, 10, 30, len(file) // 4, len(file) // 2, len(file) * 3 // 4]
    for length in lengths:
        message = _failure(file[:length])
        assert message.startswith("the input: ")
        assert "damaged" in message or "not an image" in message


def test_too_many_pixels(samples: "Samples") -> None:
    file = _file_of(samples.noise(20, 30))
    assert load(file, max_pixels=600).width == 30
    assert "30x20 is more than 599 pixels" in _failure(file, max_pixels=599)
    assert "more than 299 pixels" in _failure(file, max_pixels=299)
    assert "more than 10 pixels" in _failure(file, max_pixels=10)
    huge = bytearray(file)
    huge[16:24] = struct.pack(">II", 100_000, 100_000)
    huge[29:33] = struct.pack(">I", zlib.crc32(bytes(huge[12:29])))
    assert "pixels" in _failure(bytes(huge))


def test_pillow_is_left_as_it_was(samples: "Samples") -> None:
    before = Image.MAX_IMAGE_PIXELS
    load(_file_of(samples.noise(2, 2)))
    _failure(_file_of(samples.noise(20, 20)), max_pixels=1)
    assert before == Image.MAX_IMAGE_PIXELS


def test_postscript_is_not_interpreted() -> None:
    with pytest.raises(PictureError, match="not an image"):
        load(_file(Image.new("RGB", (4, 4)), "EPS"))


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"II*\0", b"BM", b"\xff\xd8\xff"])
)
@settings(max_examples=100, deadline=None)
def test_arbitrary_bytes(data: bytes, magic: bytes) -> None:
    outcome: Picture | PictureError
    try:
        outcome = load(magic + data, max_pixels=10**6)
    except PictureError as error:
        outcome = error
    assert isinstance(outcome, Picture) or "\n" not in str(outcome)


# --- saving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "tiff", "bmp", "ppm", "pgm", "pnm"])
@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 2), (5, 7, 3), (5, 7, 4)])
def test_lossless_formats(samples: "Samples", tmp_path: Path, suffix: str, shape: tuple[int, ...]) -> None:
    array, path = samples.noise(*shape), tmp_path / f"out.{suffix}"
    if len(shape) == 3 and shape[2] in (2, 4) and suffix in ("bmp", "ppm", "pgm", "pnm"):
        with pytest.raises(RequestError, match="--background"):
            save(from_array(array), path)
        assert not path.exists()
        return
    notes = save(from_array(array), path)
    loaded = to_array(load(path))
    if suffix == "webp" and shape in ((5, 7), (5, 7, 2)):
        assert notes == ("WEBP has no gray: written as RGB",)
        gray = array.reshape(5, 7, -1)
        expected = np.dstack([gray[..., :1]] * 3 + [gray[..., 1:]])
        np.testing.assert_array_equal(loaded, expected)
    else:
        assert notes == ()
        np.testing.assert_array_equal(loaded, array)


def test_jpeg(samples: "Samples", tmp_path: Path) -> None:
    photo = samples.photo()
    save(from_array(photo), tmp_path / "out.JPEG")
    assert np.abs(to_array(load(tmp_path / "out.JPEG")).astype(int) - photo).mean() < 2
    with Image.open(tmp_path / "out.JPEG") as image:
        assert {layer[1:3] for layer in getattr(image, "layer")} == {(1, 1)}  # noqa: B009
    with pytest.raises(RequestError, match="transparency"):
        save(from_array(samples.noise(2, 2, 4)), io.BytesIO(), format="jpeg")


def test_stream_gets_png(samples: "Samples") -> None:
    buffer = io.BytesIO()
    save(from_array(samples.noise(3, 3)), buffer)
    assert buffer.getvalue().startswith(b"\x89PNG")


def test_metadata_that_cannot_be_kept(samples: "Samples") -> None:
    picture = Picture(samples.noise(2, 2, 3), icc=_srgb(), exif=_exif(), xmp=_XMP)
    notes = save(picture, io.BytesIO(), format="bmp")
    assert [note.split()[0] for note in notes] == ["ICC", "EXIF", "XMP"]
    assert save(picture, io.BytesIO(), format="ppm", strip=("icc", "exif", "xmp")) == ()
    long = Picture(samples.noise(2, 2, 3), exif=_exif() + bytes(70_000), xmp=bytes(70_000))
    assert len(save(long, io.BytesIO(), format="jpg")) == 2
    assert "UTF-8" in save(Picture(samples.noise(2, 2, 3), xmp=b"\xff\xfe"), io.BytesIO())[0]
    assert "damaged" in save(Picture(samples.noise(2, 2, 3), exif=b"nonsense"), io.BytesIO(), format="tif")[0]


def test_strip(samples: "Samples") -> None:
    buffer = io.BytesIO()
    save(Picture(samples.noise(2, 2, 3), icc=_srgb(), exif=_exif(), xmp=_XMP), buffer, strip={"exif"})
    loaded = load(buffer.getvalue())
    assert loaded.exif is None
    assert loaded.icc is not None
    assert loaded.xmp is not None
    with pytest.raises(RequestError, match="gps"):
        save(loaded, io.BytesIO(), strip=["gps"])


def test_refused_targets(samples: "Samples", tmp_path: Path) -> None:
    picture = from_array(samples.noise(2, 2))
    for name in ("out.xyz", "out"):
        with pytest.raises(RequestError, match=r"\.png"):
            save(picture, tmp_path / name)
    save(picture, tmp_path / "out.png")
    with pytest.raises(OutputExistsError):
        save(picture, tmp_path / "out.png")
    save(picture, tmp_path / "out.png", force=True)
    with pytest.raises(OutputError, match="create it first"):
        save(picture, tmp_path / "missing" / "out.png")
    with pytest.raises(RequestError, match="16383"):
        save(from_array(np.zeros((1, 16384), np.uint8)), tmp_path / "wide.webp")
    assert os.listdir(tmp_path) == ["out.png"]


def test_errors_keep_their_cause() -> None:
    with pytest.raises(PictureError) as caught:
        load(b"no image")
    causes: list[BaseException] = []
    error: BaseException | None = caught.value
    while error is not None:
        causes.append(error)
        error = error.__cause__
    assert isinstance(causes[-1], UnidentifiedImageError)
