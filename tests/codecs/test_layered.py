"""Codecs of levels on the models that ship: levels, cut files, what they refuse."""

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nicodec
from nicodec import api
from nicodec.bitstream import container as nic
from nicodec.bitstream.container import Container, Segment
from nicodec.codecs import layered, level_header
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.codecs.embedded import Embedded
from nicodec.codecs.layered import LayeredCodec
from nicodec.codecs.progressive import Progressive
from nicodec.codecs.residual_gru import ResidualGru
from nicodec.errors import ChecksumError, FormatError, NicodecError, RequestError, TruncatedError
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.models import zoo
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

LEVELS = 16

CODECS: dict[str, LayeredCodec] = {codec.id: codec for codec in (Embedded(), ResidualGru())}
"""By the id of their only model."""


@pytest.fixture(scope="module", params=sorted(CODECS))
def codec(request: pytest.FixtureRequest) -> LayeredCodec:
    if all(model.id != request.param for model in zoo.installed()):
        pytest.skip(f"the weights of {request.param} are not installed")
    return CODECS[request.param]


@pytest.fixture(scope="module")
def model(codec: LayeredCodec) -> Model:
    return zoo.find(codec.id)


@pytest.fixture(scope="module")
def photo(samples: "Samples") -> Picture:
    return from_array(samples.photo(128, 160))


@pytest.fixture(scope="module")
def whole(codec: LayeredCodec, model: Model, photo: Picture) -> Container:
    return codec.encode(photo, model, EncodeSettings())


@pytest.fixture(scope="module")
def every_level(codec: LayeredCodec, model: Model, whole: Container) -> list[Picture]:
    return [picture for _, picture in codec.decode_levels(whole, model, DecodeRequest(), range(LEVELS))]


def same(first: Picture, second: Picture) -> bool:
    """Whether pixels differ by no more than what float arithmetic may do in one runtime on one machine: not at all."""
    return np.array_equal(first.pixels, second.pixels)


def test_it_is_progressive(codec: LayeredCodec) -> None:
    assert isinstance(codec, Progressive)


@pytest.mark.parametrize("level", range(LEVELS))
def test_nominal_rates_are_the_seeds(level: int, codec: LayeredCodec, model: Model, samples: "Samples") -> None:
    """Before entropy coding, level k has (k + 1) / 8 bits per pixel."""
    picture = from_array(samples.photo(64, 96))
    codes = codec.codes(codec.encode(picture, model, EncodeSettings(level=level)), model)
    assert codes.size / (64 * 96) == (level + 1) / 8


def test_entropy_coding_saves_and_levels_add_up(codec: LayeredCodec, whole: Container) -> None:
    raw = 32 * whole.header.latent_width * whole.header.latent_height / 8
    sizes = [segment.size for segment in whole.segments]
    assert len(sizes) == LEVELS
    assert sum(sizes[:8]) < 0.92 * 8 * raw
    files = [len(nic.write(codec.truncated(whole, level))) for level in range(LEVELS)]
    assert np.diff(files).tolist()[1:] == np.diff(_segment_ends(whole)).tolist()[1:]


def test_every_level_is_better_than_the_one_before(photo: Picture, every_level: list[Picture]) -> None:
    qualities = [psnr(photo.pixels, picture.pixels) for picture in every_level]
    assert all(np.diff(qualities) > 0), qualities


def test_every_way_to_a_level_gives_the_same_pixels(
    codec: LayeredCodec, model: Model, photo: Picture, whole: Container, every_level: list[Picture]
) -> None:
    for level in (0, 4, 15):
        expected = every_level[level]
        assert same(codec.decode(whole, model, DecodeRequest(level=level)), expected)
        assert same(codec.decode(codec.truncated(whole, level), model, DecodeRequest()), expected)
        shorter = codec.encode(photo, model, EncodeSettings(level=level))
        assert nic.write(shorter) == nic.write(codec.truncated(whole, level))
    arriving = codec.decode_arriving(whole.header, whole.segments, model, DecodeRequest())
    for (level, picture), expected in zip(arriving, every_level, strict=True):
        assert same(picture, expected), level


def test_levels_that_come_in_another_order_wait(
    codec: LayeredCodec, model: Model, whole: Container, every_level: list[Picture]
) -> None:
    arriving = list(codec.decode_arriving(whole.header, reversed(whole.segments), model, DecodeRequest()))
    assert [level for level, _ in arriving] == list(range(LEVELS))
    assert all(same(picture, every_level[level]) for level, picture in arriving)


def test_a_segment_is_decoded_before_the_next_is_asked_for(codec: LayeredCodec, model: Model, whole: Container) -> None:
    asked: list[int] = []

    def one_by_one() -> Any:
        for segment in whole.segments:
            asked.append(segment.index)
            yield segment

    for level, _ in codec.decode_arriving(whole.header, one_by_one(), model, DecodeRequest()):
        assert asked[-1] == level


def test_transparency_arrives_at_the_end(codec: LayeredCodec, model: Model, samples: "Samples") -> None:
    plane = np.arange(40 * 50, dtype=np.uint8).reshape(40, 50)
    data = nicodec.encode(from_array(samples.photo(40, 50), alpha=plane), model=codec.id, level=1)
    found = list(nicodec.decode_arriving(data))
    assert [(level, picture.alpha is not None) for level, picture in found] == [(0, False), (1, False), (1, True)]
    expected = nicodec.decode(data)
    assert same(found[-1][1], expected)
    assert found[-1][1].alpha is not None
    assert np.array_equal(found[-1][1].alpha, plane)
    cut = nicodec.decode_arriving(data[:-3])
    assert [next(cut)[0], next(cut)[0]] == [0, 1]
    with pytest.raises(TruncatedError, match="after level 1 of 0 to 1"):
        next(cut)
    with pytest.raises(TruncatedError, match="before the first level"):
        next(nicodec.decode_arriving(data[:50]))


def test_some_levels_are_restored_alike(
    codec: LayeredCodec, model: Model, whole: Container, every_level: list[Picture]
) -> None:
    some = list(codec.decode_levels(whole, model, DecodeRequest(), [2, 3, 9]))
    assert [level for level, _ in some] == [2, 3, 9]
    assert all(same(picture, every_level[level]) for level, picture in some)


def test_levels_in_several_passes_are_the_same(
    codec: LayeredCodec, model: Model, whole: Container, every_level: list[Picture], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layered, "_MOST_BYTES", 3 * 128 * 160 * 5)
    some = dict(codec.decode_levels(whole, model, DecodeRequest(), range(12)))
    assert all(same(some[level], every_level[level]) for level in range(12))


@settings(max_examples=12, deadline=None)
@given(width=st.integers(1, 70), height=st.integers(1, 70), gray=st.booleans(), alpha=st.booleans())
def test_pictures_of_every_kind_come_back(
    codec: LayeredCodec, samples: "Samples", width: int, height: int, gray: bool, alpha: bool
) -> None:
    pixels = samples.photo(96, 96)[:height, :width, : 1 if gray else 3]
    plane = np.arange(height * width, dtype=np.uint8).reshape(height, width) if alpha else None
    data = nicodec.encode(from_array(pixels, alpha=plane), model=codec.id, level=2)
    for source in (data, api.truncate(data, 0)):
        restored = nicodec.decode(source)
        assert restored.pixels.shape == (height, width, 1 if gray else 3)
        assert (restored.alpha is None) == (plane is None)
        if plane is not None and restored.alpha is not None:
            assert np.array_equal(restored.alpha, plane)


def test_a_cut_file_gives_the_last_whole_level(whole: Container, every_level: list[Picture]) -> None:
    data = nic.write(whole)
    for cut in np.linspace(0, len(data), 60).astype(int).tolist():
        arrived = sum(segment_end <= cut for segment_end in _segment_ends(whole))
        if arrived == 0:
            with pytest.raises(FormatError):
                nicodec.decode(data[:cut])
            continue
        restored = nicodec.decode(data[:cut])
        assert same(restored, every_level[arrived - 1])
        assert [f"level {arrived - 1} of 0 to 15" in note for note in restored.notes[:1]] == [True] * (arrived < LEVELS)


def _segment_ends(container: Container) -> list[int]:
    """Bytes of the file up to the end of each segment."""
    header = len(
        nic.write(replace(container, header=replace(container.header, segments=1), segments=(Segment(0, b""),)))
    )
    sizes = [1 + _varint(1 + segment.size) + 1 + segment.size + 4 for segment in container.segments]
    ends: list[int] = (header - 6 + np.cumsum(sizes)).tolist()
    return ends


def _varint(value: int) -> int:
    return 1 if value < 1 << 7 else 2 if value < 1 << 14 else 3


def test_part_of_a_level_is_better_than_none(photo: Picture, whole: Container, every_level: list[Picture]) -> None:
    data, ends = nic.write(whole), _segment_ends(whole)
    for level in (0, 2):
        cut = data[: ends[level + 1] - 12]
        strict, partial = (nicodec.decode(cut, allow_partial=wish) for wish in (False, True))
        assert same(strict, every_level[level])
        assert "a part of the next is used" in partial.notes[0]
        # Of the first bytes nothing is certain yet, and nothing is made of them.
        assert same(nicodec.decode(data[: ends[level] + 12], allow_partial=True), every_level[level])
        gained = psnr(photo.pixels, partial.pixels) - psnr(photo.pixels, strict.pixels)
        assert 0 < gained < psnr(photo.pixels, every_level[level + 1].pixels) - psnr(photo.pixels, strict.pixels)


def test_without_any_certain_code_there_is_no_picture(codec: LayeredCodec, whole: Container) -> None:
    data = nic.write(whole)
    first = nic.write(codec.truncated(whole, 0))
    start = len(first) - whole.segments[0].size - 4
    for cut in (data[: start + 4], *(first[:end] for end in (start - 2, start - 1, start, start + 1))):
        with pytest.raises(TruncatedError):
            nicodec.decode(cut, allow_partial=True)


def test_damage_is_no_cut(whole: Container, every_level: list[Picture]) -> None:
    data = bytearray(nic.write(whole))
    data[_segment_ends(whole)[4] - 10] ^= 1
    with pytest.raises(ChecksumError, match="segment 4"):
        nicodec.decode(bytes(data))
    with pytest.raises(ChecksumError):
        nicodec.decode(bytes(data[:-5]))
    assert same(nicodec.decode(bytes(data), allow_partial=True), every_level[3])


def test_verify_wants_the_whole_file(whole: Container) -> None:
    data = nic.write(whole)
    nicodec.verify(data)
    nicodec.verify(data, network=False)
    for network in (True, False):
        with pytest.raises(TruncatedError):
            nicodec.verify(data[:-20], network=network)


def test_levels_that_do_not_exist_are_refused(
    codec: LayeredCodec, model: Model, photo: Picture, whole: Container
) -> None:
    short = nic.write(codec.truncated(whole, 3))
    for wrong in (
        lambda: nicodec.decode(short, level=4),
        lambda: nicodec.decode(short, level=-1),
        lambda: nicodec.decode(short, level=cast(int, 2.0)),
        lambda: api.truncate(short, cast(int, 2.0)),
        lambda: codec.encode(photo, model, EncodeSettings(level=cast(int, 2.0))),
        lambda: api.truncate(short, 4),
        lambda: list(api.decode_levels(short, [2, 7])),
        lambda: codec.encode(photo, model, EncodeSettings(level=16)),
        lambda: codec.encode(photo, model, EncodeSettings(level=1, quality=10)),
        lambda: nicodec.encode(photo, model=codec.id, level=3, target_bpp=1.0),
        lambda: nicodec.encode(photo, model="l3ic-16c", level=3),
        lambda: codec.encode(photo, model, EncodeSettings(independent_channels=True)),
        lambda: nicodec.decode(short, channels=[1]),
    ):
        with pytest.raises(RequestError):
            wrong()
    for partial in (False, True):
        with pytest.raises(TruncatedError, match="only 4 levels arrived"):
            nicodec.decode(nic.write(whole)[: _segment_ends(whole)[4] - 9], level=4, allow_partial=partial)
    assert list(api.decode_levels(short, [])) == []


def test_files_of_other_codecs_have_no_levels(photo: Picture) -> None:
    data = nicodec.encode(photo, model="l3ic-16c")
    for wrong in (
        lambda: nicodec.decode(data, level=0),
        lambda: list(api.decode_levels(data)),
        lambda: list(api.decode_arriving(data)),
        lambda: api.truncate(data, 0),
        lambda: api.to_code_file(data),
    ):
        with pytest.raises(RequestError):
            wrong()


def test_quality_is_the_level(codec: LayeredCodec, model: Model, photo: Picture, whole: Container) -> None:
    for quality, level in ((0.0, 0), (20.0, 3), (100.0, 15)):
        coded = codec.encode(photo, model, EncodeSettings(quality=quality))
        assert nic.write(coded) == nic.write(codec.truncated(whole, level))


def test_targets_choose_the_level(
    codec: LayeredCodec, photo: Picture, whole: Container, every_level: list[Picture]
) -> None:
    sizes = [len(nic.write(codec.truncated(whole, level))) for level in range(LEVELS)]
    qualities = [psnr(photo.pixels, picture.pixels) for picture in every_level]
    for level in (0, 6, 14):
        assert len(nicodec.encode(photo, model=codec.id, target_size=sizes[level] + 3)) == sizes[level]
        assert len(nicodec.encode(photo, model=codec.id, target_psnr=qualities[level] - 0.01)) == sizes[level]
    with pytest.raises(RequestError, match=str(sizes[0])):
        nicodec.encode(photo, model=codec.id, target_size=sizes[0] - 1)


def test_headers_of_other_files_are_refused(codec: LayeredCodec, model: Model, whole: Container) -> None:
    header = whole.header
    for other in (
        replace(header, stride_log2=3),
        replace(header, align_log2=9 - header.align_log2),
        replace(header, align_log2=6),
        replace(header, depth=7),
        replace(header, profile=1),
        replace(header, channels=31),
        replace(header, segments=17),
        replace(header, layers=17, segments=17),
        replace(header, layers=15),
        replace(header, alpha=True),
    ):
        with pytest.raises(FormatError):
            codec.decode(replace(whole, header=other), model, DecodeRequest())
    with pytest.raises(FormatError):
        codec.decode(replace(whole, header=replace(header, width=300)), model, DecodeRequest())


@settings(max_examples=60, deadline=None)
@given(at=st.integers(0, 10**6), value=st.integers(0, 255), partial=st.booleans())
def test_changed_bytes_never_crash(codec: LayeredCodec, whole: Container, at: int, value: int, partial: bool) -> None:
    data = bytearray(nic.write(codec.truncated(whole, 1)))
    data[at % len(data)] = value
    with contextlib.suppress(NicodecError):
        nicodec.decode(bytes(data), allow_partial=partial)


def test_what_the_header_says_is_shown(codec: LayeredCodec, whole: Container) -> None:
    info = nicodec.info(nic.write(codec.truncated(whole, 4)), segments=True)
    assert info.parameters == {"level": 4}
    assert info.segments is not None
    assert [segment.content for segment in info.segments] == [f"level {level}" for level in range(5)]


def test_level_of_settings() -> None:
    assert [level_header.level_of(None, quality) for quality in (0.0, 50.0, 100.0)] == [0, 8, 15]
