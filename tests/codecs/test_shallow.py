"""The shallow-decoder codec on a small model that has not been trained: a KLT with its integer entropy model."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytestmark = pytest.mark.train
pytest.importorskip("keras")

from nicodec.bitstream import container as nic
from nicodec.bitstream.container import Container
from nicodec.codecs import shallow, shallow_decoder, shallow_encoder, shallow_header, shallow_model
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.errors import FormatError, NicodecError, RequestError
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.models.runtime import load_network
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

CODEC = shallow.Shallow()


@pytest.fixture(scope="module")
def small(small_shallow: Model) -> Model:
    return small_shallow


@pytest.fixture(scope="module")
def photo(samples: "Samples") -> Picture:
    return from_array(samples.photo(200, 280))


def coded(picture: Picture, model: Model, **settings: Any) -> Container:
    return nic.read(nic.write(CODEC.encode(picture, model, EncodeSettings(**settings))))


def restored(container: Container, model: Model, **request: Any) -> Picture:
    return CODEC.decode(container, model, DecodeRequest(**request))


def unquantised(picture: Picture, model: Model) -> npt.NDArray[np.uint8]:
    """What the transforms alone make of a picture: 96 components are not enough for all of it."""
    latents = shallow_encoder.analyse_picture(picture, model, EncodeSettings())
    pixels = load_network(model, "decoder")(latents[None])[0]
    return np.asarray(pixels[: picture.height, : picture.width], np.uint8)


def size(container: Container) -> int:
    return len(nic.write(container))


@pytest.mark.parametrize("fast", [False, True])
def test_better_qualities_cost_more_and_look_better(small: Model, photo: Picture, fast: bool) -> None:
    files = [coded(photo, small, quality=q, fast_decode=fast, effort=1) for q in (0, 12.5, 30, 55, 80, 100)]
    qualities = [psnr(photo.pixels, restored(file, small).pixels) for file in files]
    assert all(np.diff([size(file) for file in files]) > 0)
    assert all(np.diff(qualities) > 0)
    assert qualities[-1] > psnr(photo.pixels, unquantised(photo, small)) - 0.5


def test_the_context_makes_files_smaller_and_changes_nothing_else(small: Model, photo: Picture) -> None:
    slow, fast = (coded(photo, small, quality=50, effort=1, fast_decode=fast) for fast in (False, True))
    assert size(slow) < 0.95 * size(fast)
    difference = restored(slow, small).pixels.astype(int) - restored(fast, small).pixels
    assert np.abs(difference).mean() < 1  # the integers are the same; where in its cell each lies is known less well


def test_effort_saves_more_bits_than_it_costs_quality(small: Model, photo: Picture) -> None:
    """At the quality that plain rounding has, weighing bits against error needs fewer bits."""
    plain = [coded(photo, small, quality=q, effort=1) for q in (5, 20)]
    weighed = coded(photo, small, quality=20, effort=5)
    decibels = [psnr(photo.pixels, restored(file, small).pixels) for file in plain]
    reached = psnr(photo.pixels, restored(weighed, small).pixels)
    share = (reached - decibels[0]) / (decibels[1] - decibels[0])
    expected = np.exp(np.log(size(plain[0])) * (1 - share) + np.log(size(plain[1])) * share)
    assert 0 < share < 1
    assert size(weighed) < 0.99 * expected


@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 400), (400, 1), (17, 16), (63, 65), (100, 130)])
def test_every_size_comes_back(small: Model, samples: "Samples", height: int, width: int) -> None:
    pixels = samples.photo(400, 400)[:height, :width]
    picture = from_array(np.ascontiguousarray(pixels))
    decoded = restored(coded(picture, small, quality=100), small)
    assert decoded.pixels.shape == picture.pixels.shape
    assert psnr(picture.pixels, decoded.pixels) > 20


def test_gray_and_transparency_come_back(small: Model, samples: "Samples") -> None:
    alpha = samples.noise(60, 90)
    picture = from_array(samples.gray_photo(60, 90), alpha=alpha)
    container = coded(picture, small)
    decoded = restored(container, small)
    assert decoded.is_gray
    np.testing.assert_array_equal(decoded.alpha, alpha)
    assert [info.content for info in CODEC.describe(container)][-1] == "alpha"


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_constant_picture_is_small(small: Model, value: int) -> None:
    picture = from_array(np.full((160, 160, 3), value, np.uint8))
    assert size(coded(picture, small, quality=50)) < picture.pixels.size / 40
    best = restored(coded(picture, small, quality=100, effort=1), small)
    assert np.abs(best.pixels.astype(int) - unquantised(picture, small)).max() <= 6


def test_noise_is_not_larger_than_its_pixels(small: Model, samples: "Samples") -> None:
    picture = from_array(samples.noise(96, 96, 3))
    container = coded(picture, small, quality=100)
    assert size(container) < picture.pixels.size + 100
    assert restored(container, small).pixels.shape == picture.pixels.shape


def test_stripes_are_coded_one_by_one(small: Model, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shallow_header, "STRIPE_POSITIONS", 1)
    monkeypatch.setattr(shallow_header, "MIN_STRIPE_ROWS", 4)
    container = coded(photo, small, quality=70)
    assert len(shallow_header.stripes_of(13, 18)) == 4
    assert container.header.segments == 4 * (len(shallow_model.load(small).bands))
    assert psnr(photo.pixels, restored(container, small).pixels) > 28
    contents = [info.content for info in CODEC.describe(container)]
    assert contents[0] == "hyper-latents, stripe 0"
    assert contents[4] == "band 0, stripe 0"
    assert contents[-1] == f"band {len(shallow_model.load(small).bands) - 2}, stripe 3"


@pytest.mark.parametrize("fast", [False, True])
def test_latents_come_back_as_they_were_rounded(
    small: Model, photo: Picture, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shallow_header, "STRIPE_POSITIONS", 1)
    monkeypatch.setattr(shallow_header, "MIN_STRIPE_ROWS", 4)
    settings = EncodeSettings(quality=70, effort=1, fast_decode=fast)
    latents = shallow_encoder.analyse_picture(photo, small, settings)
    container = shallow_encoder.code_latents(latents, photo, small, settings)
    stripes = list(shallow_decoder.decode_latents(container, small))
    assert [stripe.shape[1] for stripe in stripes] == [4, 4, 4, 1]
    assert all(stripe.dtype == np.int32 for stripe in stripes)
    expected = np.rint(latents * shallow_model.load(small).gain(shallow_header.quality_steps(70)))
    np.testing.assert_array_equal(np.concatenate(stripes, axis=1), expected)
    with pytest.raises(FormatError, match="missing"):
        list(shallow_decoder.decode_latents(replace(container, segments=container.segments[:-1]), small))


@pytest.mark.parametrize("fast", [False, True])
def test_lost_bands_are_predicted_if_wished(small: Model, photo: Picture, fast: bool) -> None:
    """Every band that arrives makes the picture better; without the hyper-latents there is none."""
    container = coded(photo, small, quality=60, fast_decode=fast)
    qualities: list[float] = []
    for count in range(1, len(container.segments) + 1):
        cut = replace(container, segments=container.segments[:count])
        if count < len(container.segments):
            with pytest.raises(FormatError, match="missing"):
                restored(cut, small)
        qualities.append(psnr(photo.pixels, restored(cut, small, allow_partial=True).pixels))
    assert all(np.diff(qualities) > 0.5)
    with pytest.raises(FormatError, match="segment 0 is missing"):
        restored(replace(container, segments=container.segments[1:]), small, allow_partial=True)


def test_the_whole_picture_is_the_same_on_every_number_of_threads(small: Model, photo: Picture) -> None:
    container = coded(photo, small, threads=1)
    one, two = (restored(container, small, threads=threads).pixels for threads in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_damage_is_an_error_or_a_picture(small: Model, samples: "Samples") -> None:
    """With the checksum made right, whatever the bytes say must not do harm."""
    picture = from_array(samples.photo(40, 50))
    container = CODEC.encode(picture, small, EncodeSettings(quality=40))
    rng = np.random.default_rng(3)
    errors = 0
    for _ in range(120):
        segments = list(container.segments)
        index = int(rng.integers(len(segments)))
        payload = bytearray(segments[index].payload or b"\0")
        payload[rng.integers(len(payload))] ^= 1 << rng.integers(8)
        segments[index] = replace(segments[index], payload=bytes(payload))
        try:
            decoded = restored(replace(container, segments=tuple(segments)), small)
        except NicodecError:
            errors += 1
        else:
            assert decoded.pixels.shape == picture.pixels.shape
    assert errors > 60


@pytest.mark.parametrize(
    "changes",
    [
        {"profile": 2},
        {"extra": b""},
        {"extra": b"\xff\xff"},
        {"channels": 95},
        {"segments": 3},
        {"layers": 2},
        {"depth": 9},
        {"align_log2": 6},
    ],
    ids=str,
)
def test_headers_that_no_encoder_writes_are_refused(small: Model, photo: Picture, changes: dict[str, Any]) -> None:
    container = CODEC.encode(photo, small, EncodeSettings())
    wrong = replace(container, header=replace(container.header, **changes))
    for task in (CODEC.verify, lambda c, m: CODEC.decode(c, m, DecodeRequest())):
        with pytest.raises(FormatError):
            task(wrong, small)


@pytest.mark.parametrize("quality", [-0.1, 100.5, float("nan")])
def test_qualities_out_of_range_are_refused(small: Model, photo: Picture, quality: float) -> None:
    with pytest.raises(RequestError, match="choose one from 0"):
        CODEC.encode(photo, small, EncodeSettings(quality=quality))


def test_what_the_codec_lacks_is_refused(small: Model, photo: Picture) -> None:
    with pytest.raises(RequestError, match="no independent channels"):
        CODEC.encode(photo, small, EncodeSettings(independent_channels=True))
    with pytest.raises(RequestError, match="no independent channels"):
        restored(coded(photo, small), small, channels=frozenset({0}))


def test_the_analysis_can_be_used_again(small: Model, photo: Picture) -> None:
    settings = EncodeSettings(quality=33.3)
    latents = shallow_encoder.analyse_picture(photo, small, settings)
    assert shallow_encoder.code_latents(latents, photo, small, settings) == CODEC.encode(photo, small, settings)
    with pytest.raises(RequestError, match="analyse it again"):
        shallow_encoder.code_latents(latents[:, 1:], photo, small, settings)


def test_the_tables_survive_their_file(small: Model) -> None:
    model = shallow_model.load(small)
    arrays = model.to_arrays()
    again = shallow_model.ShallowModel.from_arrays(arrays).to_arrays()
    assert sorted(again) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("biases", np.zeros((17, 5), np.int32)),
        ("hyper_prior", np.zeros((17, 2, 9), np.int32)),
        ("bands", np.array([0, 99], np.uint8)),
        ("log_gain", np.full((3, 96), np.nan, np.float32)),
        ("energy", np.zeros(3, np.float32)),
    ],
)
def test_contradicting_tables_are_refused(small: Model, name: str, value: npt.NDArray[Any]) -> None:
    arrays = {**shallow_model.load(small).to_arrays(), name: value}
    with pytest.raises(FormatError, match="reinstall"):
        shallow_model.ShallowModel.from_arrays(arrays)


@pytest.mark.parametrize("stripes", [1, 4])
@pytest.mark.parametrize("fast", [False, True])
def test_statistics_add_up(
    small: Model, photo: Picture, fast: bool, stripes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits of all groups are those of the file, the rest is what its latents are."""
    if stripes > 1:
        monkeypatch.setattr(shallow_header, "STRIPE_POSITIONS", 1)
        monkeypatch.setattr(shallow_header, "MIN_STRIPE_ROWS", 4)
    file = coded(photo, small, quality=40, fast_decode=fast)
    groups = CODEC.statistics(file, small)
    latents = np.concatenate(list(shallow_decoder.decode_latents(file, small)), axis=1)
    assert [group.first for group in groups] == [0, *(group.last + 1 for group in groups[:-1])]
    assert groups[-1].last + 1 == len(latents)
    bands = file.segments[stripes:]
    bits = sum(group.bits for group in groups if group.bits is not None)
    assert bits == pytest.approx(8 * sum(band.size for band in bands), rel=0.02, abs=8 * 4 * len(bands))
    for group in groups:
        own = latents[group.first : group.last + 1]
        assert group.zeros == pytest.approx(np.mean(own == 0))
        assert group.size == pytest.approx(np.sqrt(np.mean(np.square(own.astype(float)))))
        if group.expected is not None:
            assert list(group.expected) == sorted(group.expected)


def test_statistics_follow_the_scale(small: Model, photo: Picture) -> None:
    """Better quality means larger latents and larger residuals, and the entropy model expects them."""
    first, second = (CODEC.statistics(coded(photo, small, quality=q), small)[0] for q in (20, 80))
    assert second.size > 2 * first.size
    for group in (first, second):
        assert group.residual is not None
        assert group.expected is not None
        assert group.residual < group.size
        assert group.expected[0] < group.residual < 2 * group.expected[2]
    assert second.expected is not None
    assert first.expected is not None
    assert second.expected[1] > 1.5 * first.expected[1]


def test_groups_that_are_left_out_cost_nothing(small: Model) -> None:
    file = coded(from_array(np.full((64, 64, 3), 127, np.uint8)), small, quality=0)
    last = CODEC.statistics(file, small)[-1]
    assert (last.bits, last.zeros, last.size, last.residual, last.expected) == (0.0, 1.0, 0.0, None, None)


def test_statistics_pass_over_alpha_and_refuse_what_is_missing(small: Model, samples: "Samples") -> None:
    plain, clear = samples.photo(64, 80), samples.noise(64, 80)
    file = coded(from_array(plain, alpha=clear), small)
    assert CODEC.statistics(file, small) == CODEC.statistics(coded(from_array(plain), small), small)
    with pytest.raises(FormatError, match="missing"):
        CODEC.statistics(replace(file, segments=file.segments[:2]), small)
