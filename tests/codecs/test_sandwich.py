"""The sandwich codec: a standard file inside, what it refuses, and that tiles do not show."""

import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

import nicodec
from nicodec import api, images
from nicodec.bitstream.container import Container, Segment
from nicodec.codecs import sandwich_header, sandwich_model, standard, tiling
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.codecs.sandwich import Sandwich
from nicodec.codecs.sandwich_header import Inner
from nicodec.errors import BackendError, FormatError, RequestError
from nicodec.image_samples import reduce_depth
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.models import zoo
from nicodec.models.step_tables import whole_steps
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

pytestmark = pytest.mark.train

CODEC = Sandwich()
FIELDS = ("model", "steps", "architecture", "subsampled", "table_shape", "qsteps", "stages")
NAMES = ("rgb", "gray", "lowres", "hdr")


@pytest.fixture(scope="module")
def model_of(small_sandwiches: Path) -> Callable[[str], Model]:
    return lambda name: zoo.open_folder(small_sandwiches / f"sandwich-{name}" / "1")


@pytest.fixture
def installed(small_sandwiches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MODELS", str(small_sandwiches))


@pytest.fixture(scope="module")
def coded(model_of: Callable[[str], Model], samples: "Samples") -> Container:
    return CODEC.encode(from_array(samples.photo(61, 90)), model_of("rgb"), EncodeSettings())


def inner_image(data: bytes) -> Any:
    return Image.open(io.BytesIO(data))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("name", "least"), [("rgb", 28.0), ("gray", 18.0), ("lowres", 24.0)])
def test_a_picture_comes_back(name: str, least: float, samples: "Samples") -> None:
    pixels = samples.photo(123, 178)
    data = nicodec.encode(pixels, model=f"sandwich-{name}")
    assert psnr(pixels, nicodec.decode(data).pixels) > least
    nicodec.verify(data)
    nicodec.verify(data, network=False)
    info = nicodec.info(data, segments=True)
    assert info.model == f"sandwich-{name}"
    assert info.parameters == {"step": 44}
    assert info.segments is not None
    assert [segment.content for segment in info.segments] == ["jpeg file"]


@settings(max_examples=15, deadline=None)
@given(
    name=st.sampled_from(NAMES),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
    gray=st.booleans(),
    alpha=st.booleans(),
)
def test_pictures_of_every_kind_come_back(
    name: str, width: int, height: int, gray: bool, alpha: bool, model_of: Callable[[str], Model], samples: "Samples"
) -> None:
    model = model_of(name)
    pixels = samples.photo(height, width)[..., : 1 if gray else 3]
    transparency = samples.gray_photo(height, width) if alpha else None
    container = CODEC.encode(Picture(pixels=pixels, alpha=transparency), model, EncodeSettings(quality=90))
    restored = CODEC.decode(container, model, DecodeRequest())
    assert restored.pixels.shape == pixels.shape
    assert np.abs(restored.pixels.astype(int) - pixels).mean() < (60 if name == "gray" else 25)
    if transparency is None:
        assert restored.alpha is None
    else:
        np.testing.assert_array_equal(restored.alpha, transparency)


@pytest.mark.parametrize("name", NAMES)
def test_quality_is_the_step(name: str, model_of: Callable[[str], Model], samples: "Samples") -> None:
    picture, model = from_array(samples.photo(128, 128)), model_of(name)
    files = [CODEC.encode(picture, model, EncodeSettings(quality=quality)) for quality in (0, 40, 80, 100)]
    steps = [sandwich_header.step_of(file.header) for file in files]
    sizes = [file.segments[0].size for file in files]
    assert steps == sorted(steps, reverse=True)
    assert (steps[0], steps[-1]) == (240, 8)
    assert sizes == sorted(sizes)
    shape = sandwich_model.load(model)
    for file, step in zip(files, steps, strict=True):
        found = inner_image(file.segments[0].payload).quantization
        expected = whole_steps(shape.tables, step).reshape(2, 64).tolist()[: 1 if name == "gray" else 2]
        assert list(map(list, found.values())) == expected


@pytest.mark.usefixtures("installed")
def test_targets_are_met(samples: "Samples") -> None:
    pixels = samples.photo(128, 192)
    assert 3500 < len(nicodec.encode(pixels, model="sandwich-rgb", target_size=4000)) <= 4000
    good = nicodec.encode(pixels, model="sandwich-rgb", target_psnr=33.0)
    assert 33.0 <= psnr(pixels, nicodec.decode(good).pixels) < 34.0


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("name", "size", "mode"), [("rgb", (90, 61), "RGB"), ("gray", (96, 64), "L"), ("lowres", (45, 31), "RGB")]
)
def test_the_file_inside_is_an_image(name: str, size: tuple[int, int], mode: str, samples: "Samples") -> None:
    data = nicodec.encode(samples.photo(61, 90), model=f"sandwich-{name}")
    inner, suffix = api.extract(data)
    assert suffix == ".jpg"
    assert inner in data
    image = inner_image(inner)
    assert (image.format, image.size, image.mode) == ("JPEG", size, mode)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["rgb", "gray"])
def test_the_bare_file_is_restored_alike(name: str, samples: "Samples") -> None:
    """Its tables tell the step; what fills up blocks behind the edge comes along."""
    for quality in (0, 30, 83, 100):
        data = nicodec.encode(samples.photo(61, 90), model=f"sandwich-{name}", quality=quality)
        inner, _ = api.extract(data)
        restored = api.restore(inner, model=f"sandwich-{name}").pixels
        assert restored.shape == ((64, 96, 3) if name == "gray" else (61, 90, 3))
        np.testing.assert_array_equal(restored[:61, :90], nicodec.decode(data).pixels)


@pytest.mark.usefixtures("installed")
def test_a_bare_small_file_doubles_its_size(samples: "Samples") -> None:
    inner, _ = api.extract(nicodec.encode(samples.photo(61, 90), model="sandwich-lowres"))
    assert api.restore(inner, model="sandwich-lowres").pixels.shape == (62, 90, 3)
    alpha = from_array(np.dstack([samples.photo(16, 16), samples.gray_photo(16, 16)]))
    doubled = api.restore(alpha, model="sandwich-lowres", step=20)
    assert doubled.alpha is None
    assert any("transparency" in note for note in doubled.notes)


@pytest.mark.usefixtures("installed")
def test_what_cannot_be_restored_is_refused(samples: "Samples") -> None:
    with pytest.raises(RequestError, match="gray files, and this one is colour"):
        api.restore(from_array(samples.photo(8, 8)), model="sandwich-gray", step=10)
    with pytest.raises(RequestError, match="give one"):
        api.restore(from_array(samples.photo(8, 8)), model="sandwich-rgb")
    with pytest.raises(RequestError, match="no standard codec inside"):
        api.restore(from_array(samples.photo(8, 8)), model="l3ic-16c", step=10)
    with pytest.raises(RequestError, match="no standard file inside"):
        api.extract(nicodec.encode(samples.photo(8, 8), model="l3ic-16c"))


@pytest.mark.parametrize(
    ("inner", "suffix", "feature"),
    [("webp", ".webp", "webp"), ("avif", ".avif", "avif"), ("jpeg2000", ".jp2", "jpg_2000")],
)
@pytest.mark.parametrize("name", ["rgb", "gray"])
@pytest.mark.usefixtures("installed")
def test_other_standard_codecs_work_with_a_remark(
    name: str, inner: str, suffix: str, feature: str, samples: "Samples"
) -> None:
    if not features.check(feature):
        pytest.skip(f"this Pillow has no {inner}")
    pixels = samples.photo(96, 128)
    encoded = api.encode_with_details(pixels, model=f"sandwich-{name}", inner=inner)
    assert any("trained around jpeg" in note and inner in note for note in encoded.notes)
    assert api.extract(encoded.data)[1] == suffix
    restored = nicodec.decode(encoded.data).pixels
    assert psnr(pixels, restored) > (18.0 if name == "gray" else 26.0)
    small = api.encode(pixels, model=f"sandwich-{name}", inner=inner, quality=10)
    assert len(small) < len(encoded.data)


@pytest.mark.usefixtures("installed")
def test_a_standard_codec_that_is_not_there_is_named(samples: "Samples", monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = samples.photo(16, 16)
    with pytest.raises(RequestError, match="choose one of jpeg"):
        nicodec.encode(pixels, model="sandwich-rgb", inner="heic")
    with pytest.raises(RequestError, match="sandwich"):
        nicodec.encode(pixels, model="l3ic-16c", inner="jpeg")
    monkeypatch.setattr(features, "check", lambda feature: False)
    with pytest.raises(BackendError, match="without avif"):
        nicodec.encode(pixels, model="sandwich-rgb", inner="avif")


@pytest.mark.usefixtures("installed")
def test_sixteen_bits_say_what_is_lost(samples: "Samples") -> None:
    picture = from_array(samples.photo(16, 16).astype(np.uint16) * 257)
    assert any("16 bits" in note for note in picture.notes)
    assert nicodec.decode(nicodec.encode(picture, model="sandwich-rgb")).pixels.shape == (16, 16, 3)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("suffix", [".png", ".tiff"])
def test_sixteen_bits_go_through_eight(suffix: str, samples: "Samples", tmp_path: Path) -> None:
    """A picture of 12 bits in a 16-bit file comes back as one, with samples that 8 bits do not have."""
    rng = np.random.default_rng(1)
    smooth = np.linspace(9000, 14000, 64 * 96 * 3).reshape(64, 96, 3)
    pixels = (np.rint((smooth + rng.normal(0, 8, smooth.shape)) / 16) * 16).astype(np.uint16)
    source, coded, restored = tmp_path / f"in{suffix}", tmp_path / "out.nic", tmp_path / f"out{suffix}"
    images.save(from_array(pixels, deep=True), source)
    coded.write_bytes(nicodec.encode(source, model="sandwich-hdr", quality=100))
    assert nicodec.info(coded).header.depth == 16
    images.save(nicodec.decode(coded), restored)
    found = images.load(restored, deep=True)
    assert found.deep is not None
    assert psnr(pixels, found.deep, 65535.0) > 50.0
    assert len(np.unique(found.deep % 257)) > 100
    np.testing.assert_array_equal(found.pixels, reduce_depth(found.deep))
    assert not api.encode_with_details(source, model="sandwich-hdr").notes
    picture = images.load(source, deep=True)
    assert any("reduced to 8" in note for note in api.encode_with_details(picture, model="sandwich-rgb").notes)


@pytest.mark.usefixtures("installed")
def test_targets_count_sixteen_bits(samples: "Samples") -> None:
    """A PSNR that is asked for is that of the 16-bit samples."""
    picture = from_array(samples.photo(64, 96).astype(np.uint16) * 257, deep=True)
    restored = nicodec.decode(nicodec.encode(picture, model="sandwich-hdr", target_psnr=34.0))
    assert picture.deep is not None
    assert restored.deep is not None
    assert 34.0 <= psnr(picture.deep, restored.deep, 65535.0) < 35.0


@pytest.mark.usefixtures("installed")
def test_eight_bits_stay_eight(samples: "Samples") -> None:
    data = nicodec.encode(samples.photo(16, 16), model="sandwich-hdr")
    assert nicodec.info(data).header.depth == 8
    assert nicodec.decode(data).deep is None


@pytest.mark.parametrize("name", NAMES)
def test_tiles_do_not_show(
    name: str, model_of: Callable[[str], Model], samples: "Samples", monkeypatch: pytest.MonkeyPatch
) -> None:
    model, picture = model_of(name), from_array(samples.photo(200, 230))
    container = CODEC.encode(picture, model, EncodeSettings())
    whole = CODEC.decode(container, model, DecodeRequest())
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 64 * 64)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 64)
    tiles: list[int] = []
    restored = CODEC.decode(container, model, DecodeRequest(), lambda done, total: tiles.append(total))
    assert len(tiles) == tiles[0] > 4
    assert np.abs(restored.pixels.astype(int) - whole.pixels).max() <= 1
    again = CODEC.encode(picture, model, EncodeSettings())
    assert abs(again.segments[0].size - container.segments[0].size) < 0.01 * container.segments[0].size


def test_other_backends_agree(model_of: Callable[[str], Model], coded: Container) -> None:
    pytest.importorskip("tensorflow")
    model = model_of("rgb")
    first, second = (CODEC.decode(coded, model, DecodeRequest(backend=name)) for name in ("onnxruntime", "tensorflow"))
    assert np.abs(first.pixels.astype(int) - second.pixels).max() <= 1


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"extra": b""}, "does not name a standard codec"),
        ({"extra": bytes((9, 20))}, "number 9"),
        ({"extra": bytes((1, 0))}, "step of zero"),
        ({"extra": bytes((2, 20))}, "is no webp file"),
        ({"channels": 1}, "does not fit"),
        ({"channels": 2}, "geometry"),
        ({"stride_log2": 1, "align_log2": 1}, "does not fit"),
        ({"align_log2": 3}, "does not fit"),
        ({"align_log2": 5}, "geometry"),
        ({"profile": 1}, "profile"),
        ({"depth": 10}, "profile"),
        ({"depth": 16}, "does not fit"),
        ({"layers": 2}, "profile"),
        ({"segments": 2}, "segments"),
        ({"width": 91}, "90x61 pixels, the header says 91x61"),
    ],
)
def test_headers_that_lie_are_refused(
    change: dict[str, Any], match: str, model_of: Callable[[str], Model], coded: Container
) -> None:
    lying = replace(coded, header=replace(coded.header, **change))
    with pytest.raises(FormatError, match=match):
        CODEC.decode(lying, model_of("rgb"), DecodeRequest())
    with pytest.raises(FormatError, match=match):
        CODEC.verify(lying, model_of("rgb"))


def test_files_inside_that_do_not_fit_are_refused(model_of: Callable[[str], Model], coded: Container) -> None:
    model, inner = model_of("rgb"), coded.segments[0].payload
    gray = standard.encode(Inner.JPEG, np.zeros((61, 90, 1), np.uint8), 20, subsampled=False)
    for data, match in ((inner[:300], "damaged"), (b"", "damaged"), (gray, "of the kind L"), (inner[2:], "damaged")):
        with pytest.raises(FormatError, match=match):
            CODEC.decode(replace(coded, segments=(Segment(0, data),)), model, DecodeRequest())
    with pytest.raises(FormatError, match="missing"):
        CODEC.decode(replace(coded, segments=()), model, DecodeRequest(allow_partial=True))


def test_channels_cannot_be_chosen(model_of: Callable[[str], Model], coded: Container, samples: "Samples") -> None:
    model = model_of("rgb")
    with pytest.raises(RequestError, match="no independent channels"):
        CODEC.decode(coded, model, DecodeRequest(channels=frozenset({0})))
    with pytest.raises(RequestError, match="no independent channels"):
        CODEC.encode(from_array(samples.photo(8, 8)), model, EncodeSettings(independent_channels=True))


def test_transparency_may_be_lost_on_request(model_of: Callable[[str], Model], samples: "Samples") -> None:
    model = model_of("rgb")
    picture = Picture(pixels=samples.photo(16, 16), alpha=samples.gray_photo(16, 16))
    container = CODEC.encode(picture, model, EncodeSettings())
    cut = replace(container, segments=container.segments[:1])
    assert CODEC.decode(cut, model, DecodeRequest(allow_partial=True)).alpha is None
    with pytest.raises(FormatError, match="missing"):
        CODEC.decode(cut, model, DecodeRequest())


@pytest.mark.parametrize("inner", list(Inner))
def test_changed_bytes_never_crash(inner: Inner, model_of: Callable[[str], Model], coded: Container) -> None:
    """Whatever Pillow's plugins raise for damaged files becomes one of our errors."""
    codec = standard.CODECS[inner]
    if codec.feature is not None and not features.check(codec.feature):
        pytest.skip(f"this Pillow has no {codec.name}")
    pixels = standard.decode(Inner.JPEG, coded.segments[0].payload, 61, 90, 3)
    whole = standard.encode(inner, pixels, 20, subsampled=True)
    rng, errors = np.random.default_rng(inner), 0
    for _ in range(150):
        data = bytearray(whole)
        for at in rng.integers(len(data), size=rng.integers(1, 4)):
            data[at] = rng.integers(256)
        try:
            assert standard.decode(inner, bytes(data), 61, 90, 3).shape == (61, 90, 3)
        except FormatError:
            errors += 1
    assert errors > 0


def test_large_files_inside_are_not_refused_for_their_size(samples: "Samples") -> None:
    """Pillow's own limit of 89 megapixels is not ours; what the header does not say is refused before it is decoded."""
    plain = Image.new("L", (10000, 9500), 90)
    stream = io.BytesIO()
    plain.save(stream, "JPEG")
    assert standard.decode(Inner.JPEG, stream.getvalue(), 9500, 10000, 1).shape == (9500, 10000, 1)
    with pytest.raises(FormatError, match="the header says 10000x9000"):
        standard.decode(Inner.JPEG, stream.getvalue(), 9000, 10000, 1)
    with pytest.raises(FormatError, match="more pixels than the header says"):
        standard.decode(Inner.JPEG, stream.getvalue(), 64, 64, 1)
    small = standard.encode(Inner.JPEG, samples.photo(64, 64), 20, subsampled=True)
    sizes = small.index(b"\x00\x40\x00\x40")
    bomb = small[:sizes] + (15000).to_bytes(2, "big") * 2 + small[sizes + 4 :]
    with pytest.raises(FormatError, match="more pixels than the header says"):
        standard.decode(Inner.JPEG, bomb, 64, 64, 3)


def test_endless_scans_are_refused(coded: Container) -> None:
    data = coded.segments[0].payload
    scan = data.rindex(b"\xff\xda")
    with pytest.raises(FormatError, match="scans"):
        standard.decode(Inner.JPEG, data[:scan] + 200 * data[scan:-2] + data[-2:], 61, 90, 3)


@pytest.mark.usefixtures("installed")
def test_sides_that_the_standard_codec_cannot_hold_are_refused() -> None:
    wide = np.zeros((1, 16500, 3), np.uint8)
    with pytest.raises(RequestError, match="16383"):
        nicodec.encode(wide, model="sandwich-rgb", inner="webp")
    with pytest.raises(RequestError, match="65500"):
        nicodec.encode(np.zeros((65535, 1, 3), np.uint8), model="sandwich-rgb")


@pytest.mark.usefixtures("installed")
def test_a_bare_gray_file_stays_gray_in_a_model_of_colours(samples: "Samples") -> None:
    gray = Picture(pixels=samples.photo(40, 56)[..., :1], icc=b"gray profile")
    restored = api.restore(gray, model="sandwich-rgb", step=20)
    assert (restored.pixels.shape, restored.icc, restored.notes) == ((40, 56, 1), b"gray profile", ())
    assert psnr(restored.pixels, gray.pixels) > 25.0


@pytest.mark.usefixtures("installed")
def test_steps_and_profiles_of_bare_files(samples: "Samples") -> None:
    gray = Picture(pixels=samples.photo(8, 8)[..., :1], icc=b"gray profile")
    restored = api.restore(gray, model="sandwich-gray", step=20)
    assert restored.icc is None
    assert any("profile" in note for note in restored.notes)
    for step in (0, 256, -3):
        with pytest.raises(RequestError, match="1 to 255"):
            api.restore(gray, model="sandwich-gray", step=step)


@pytest.mark.usefixtures("installed")
def test_the_codec_makes_of_a_picture_what_training_measured(small_sandwiches: Path, samples: "Samples") -> None:
    """Both networks, told the same step, restore the same picture."""
    from nicodec.models import keras_weights
    from nicodec.training import sandwich_family
    from nicodec.training.config import config_from_json
    from nicodec.training.sandwich import build_codec

    card = zoo.open_folder(small_sandwiches / "sandwich-lowres" / "1").card
    rest = {key: value for key, value in card["training"].items() if key in FIELDS}
    config = config_from_json({"family": "sandwich", **rest})
    codec = build_codec(config)  # type: ignore[arg-type]
    for network, part in ((codec.pre, "encoder"), (codec.post, "decoder")):
        keras_weights.load_from_onnx(small_sandwiches / "sandwich-lowres" / "1" / f"{part}.onnx", network)
    pixels = samples.photo(64, 96)
    _, decibel, _ = sandwich_family.measure_one(codec, config, pixels, 44)  # type: ignore[arg-type]
    data = nicodec.encode(pixels, model="sandwich-lowres", quality=50)
    assert psnr(pixels, nicodec.decode(data).pixels) == pytest.approx(decibel, abs=0.02)


@pytest.mark.parametrize(
    "change",
    [
        {"halo": np.array([5, 8])},
        {"steps": np.array([5, 100])},
        {"channels": np.array(2)},
        {"trained": np.array([77])},
        {"trained": np.array([], np.uint8)},
        {"tables": np.zeros((2, 8, 8), np.float32)},
        {"tables": np.ones((2, 64), np.float32)},
        {"coded_alignment": np.array(3)},
    ],
)
def test_damaged_numbers_of_a_model_are_refused(change: dict[str, Any], model_of: Callable[[str], Model]) -> None:
    arrays = sandwich_model.load(model_of("rgb")).to_arrays()
    again = sandwich_model.SandwichModel.from_arrays(arrays).to_arrays()
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)
    with pytest.raises(FormatError, match="reinstall"):
        sandwich_model.SandwichModel.from_arrays({**arrays, **change})
    with pytest.raises(FormatError, match="reinstall"):
        sandwich_model.SandwichModel.from_arrays({name: arrays[name] for name in arrays if name not in change})


def test_the_step_of_a_file_is_found(samples: "Samples") -> None:
    """That of the tables of a JPEG; of others an estimate."""
    pixels = samples.photo(128, 128)
    assert standard.estimated_step(standard.encode(Inner.JPEG, pixels, 33, subsampled=True), 128 * 128) == 33
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=50)
    assert 40 < standard.estimated_step(stream.getvalue(), 128 * 128) < 80
    assert standard.estimated_step(b"\x00" * 3748, 128 * 128) == 10
