"""Pictures of more than 8 bits: read and written whole, where someone asks for that."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

from nicodec import image_deep_formats, images
from nicodec.errors import OutputExistsError, RequestError
from nicodec.image_samples import reduce_depth
from nicodec.images import Picture, from_array, load, to_array, to_deep_array

ICC = b"profile " * 20
EXIF = b"II*\0\x08\0\0\0\0\0\0\0\0\0"
XMP = b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>"

Words = npt.NDArray[np.uint16]


def noise(*shape: int) -> Words:
    return np.random.default_rng(1).integers(0, 65536, shape).astype(np.uint16)


def written(picture: Picture, suffix: str) -> tuple[bytes, tuple[str, ...]]:
    stream = io.BytesIO()
    notes = images.save(picture, stream, format=suffix)
    return stream.getvalue(), notes


@settings(max_examples=25, deadline=None)
@given(
    samples=arrays(np.uint16, st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3]))),
    alpha=st.booleans(),
    suffix=st.sampled_from(["png", "tiff"]),
)
def test_every_bit_survives_a_file(samples: Words, alpha: bool, suffix: str) -> None:
    transparency = np.full(samples.shape[:2], 77, np.uint8) if alpha else None
    picture = Picture(reduce_depth(samples), alpha=transparency, deep=samples)
    data, notes = written(picture, suffix)
    again = load(data, deep=True)
    assert again.deep is not None
    kept = samples if suffix == "png" or not alpha else np.broadcast_to(samples, (*samples.shape[:2], 3))
    np.testing.assert_array_equal(again.deep, kept)
    np.testing.assert_array_equal(again.pixels, reduce_depth(kept))
    if transparency is None:
        assert again.alpha is None
    else:
        assert again.alpha is not None
        np.testing.assert_array_equal(again.alpha, transparency)
    assert not again.notes
    assert bool(notes) == (suffix == "tiff" and alpha and samples.shape[2] == 1)


@pytest.mark.parametrize("suffix", ["png", "tiff"])
def test_metadata_comes_along(suffix: str) -> None:
    samples = noise(8, 9, 3)
    picture = Picture(reduce_depth(samples), deep=samples, icc=ICC, exif=EXIF, xmp=XMP)
    data, notes = written(picture, suffix)
    again = load(data, deep=True)
    assert (again.icc, again.xmp) == (ICC, XMP)
    if suffix == "png":
        assert (again.exif, notes) == (EXIF, ())
    else:
        assert any("EXIF is not kept" in note for note in notes)
    with Image.open(io.BytesIO(data)) as image:
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), samples >> 8)


@pytest.mark.parametrize("suffix", ["webp", "jpg", "bmp"])
def test_other_formats_get_eight_bits_and_say_so(suffix: str) -> None:
    samples = noise(8, 9, 3)
    picture = Picture(reduce_depth(samples), deep=samples)
    data, notes = written(picture, suffix)
    assert any("8 of the 16 bits" in note for note in notes)
    if suffix != "jpg":
        np.testing.assert_array_equal(load(data).pixels, picture.pixels)


def test_eight_bits_are_what_one_gets_unasked() -> None:
    samples = noise(8, 9, 3)
    data, _ = written(Picture(reduce_depth(samples), deep=samples), "png")
    plain = load(data)
    assert plain.deep is None
    assert (plain.source_depth, plain.notes) == (16, ("16 bits per channel reduced to 8",))
    array = from_array(samples)
    assert array.deep is None
    assert array.notes == plain.notes
    kept = from_array(samples, deep=True)
    assert not kept.notes
    np.testing.assert_array_equal(to_deep_array(kept), samples)
    np.testing.assert_array_equal(to_array(kept), plain.pixels)
    np.testing.assert_array_equal(to_deep_array(plain), plain.pixels.astype(np.uint16) * 257)


def test_there_is_nothing_deep_in_eight_bits() -> None:
    stream = io.BytesIO()
    Image.fromarray(reduce_depth(noise(8, 9, 3))).save(stream, "PNG")
    assert load(stream.getvalue(), deep=True).deep is None
    assert from_array(reduce_depth(noise(8, 9, 3)), deep=True).deep is None


def test_all_of_it_is_turned_upright() -> None:
    """Orientation 6: the first row of the file is the last column of the picture."""
    samples = noise(8, 9, 3)
    exif = Image.Exif()
    exif[274] = 6
    picture = Picture(reduce_depth(samples), deep=samples, exif=exif.tobytes().removeprefix(b"Exif\0\0"))
    data, _ = written(picture, "png")
    turned = load(data, deep=True)
    assert turned.deep is not None
    np.testing.assert_array_equal(turned.deep, np.rot90(samples, -1))
    np.testing.assert_array_equal(turned.pixels, reduce_depth(turned.deep))


def test_twelve_bits_of_gray_fill_the_range() -> None:
    """TIFF of 12 bits, which Pillow reads as such: 4095 is white."""
    values = np.array([0, 1, 2048, 4095], np.uint16)
    packed = bytes((values[0] >> 4, (values[0] & 15) << 4 | values[1] >> 8, values[1] & 255)) + bytes(
        (values[2] >> 4, (values[2] & 15) << 4 | values[3] >> 8, values[3] & 255)
    )
    tags = {256: (3, 4), 257: (3, 1), 258: (3, 12), 259: (3, 1), 262: (3, 1), 273: (4, 8), 277: (3, 1), 278: (3, 1)}
    tags[279] = (4, len(packed))
    directory = len(tags).to_bytes(2, "little")
    for tag, (kind, value) in sorted(tags.items()):
        directory += tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + (1).to_bytes(4, "little")
        directory += value.to_bytes(4, "little")
    data = b"II*\0" + (8 + len(packed)).to_bytes(4, "little") + packed + directory + bytes(4)
    picture = load(data, deep=True)
    assert picture.deep is not None
    assert picture.deep.ravel().tolist() == [0, 16, 32776, 65535]


@pytest.mark.parametrize("shape", [(1, 1, 3), (200, 7, 3), (65, 64, 4), (64, 3, 2), (130, 5)])
def test_png_files_hold_what_they_should_and_nothing_else(shape: tuple[int, ...]) -> None:
    """Whatever rows are filtered at a time; the same bytes every time, and only chunks that there is something to say in."""
    smooth = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) * 37 % 65536).astype(np.uint16)
    samples = smooth if len(shape) == 2 else np.stack([smooth ^ np.uint16(k) for k in range(shape[2])], axis=-1)
    data, _ = image_deep_formats.encode(samples, {}, "PNG")
    assert data == image_deep_formats.encode(samples, {}, "PNG")[0]
    kinds, offset = [], 8
    while offset < len(data):
        kinds.append(data[offset + 4 : offset + 8])
        offset += 12 + int.from_bytes(data[offset : offset + 4], "big")
    assert set(kinds) == {b"IHDR", b"IDAT", b"IEND"}
    assert (kinds[0], kinds[-1]) == (b"IHDR", b"IEND")
    picture = load(data, deep=True)
    np.testing.assert_array_equal(
        picture.deep, samples.reshape(*shape[:2], -1)[..., : 3 if shape[-1] > 2 and len(shape) == 3 else 1]
    )
    assert len(data) < samples.nbytes or samples.size < 100


def test_transparency_that_eight_bits_do_not_hold_is_remarked() -> None:
    samples = noise(5, 6, 4)
    data, _ = image_deep_formats.encode(samples, {}, "PNG")
    assert load(data, deep=True).notes == ("transparency reduced from 16 bits to 8",)
    assert from_array(samples, deep=True).notes == ("transparency reduced from 16 bits to 8",)
    samples[..., 3] = samples[..., 3] // 257 * 257
    assert not from_array(samples, deep=True).notes


def test_a_picture_needs_equal_shapes() -> None:
    with pytest.raises(RequestError, match="deep must be uint16"):
        Picture(np.zeros((4, 4, 3), np.uint8), deep=noise(4, 5, 3))
    wrong: Any = np.zeros((4, 4, 3), np.uint8)
    with pytest.raises(RequestError, match="deep must be uint16"):
        Picture(np.zeros((4, 4, 3), np.uint8), deep=wrong)
    with pytest.raises(RequestError, match="16-bit"):
        image_deep_formats.encode(noise(4, 4), {}, "WEBP")


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    samples = noise(4, 4, 3)
    picture = Picture(reduce_depth(samples), deep=samples)
    with pytest.raises(RequestError):
        images.save(picture, tmp_path / "x.xyz")
    images.save(picture, tmp_path / "x.png")
    before = (tmp_path / "x.png").read_bytes()
    with pytest.raises(OutputExistsError, match="force"):
        images.save(picture, tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["x.png"]
