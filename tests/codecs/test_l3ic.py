"""The l3ic codec with the installed weights: every kind of picture, both profiles, and what must be refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.bitstream import planes
from nicodec.bitstream.container import Container, Segment, read, write
from nicodec.bitstream.planes import OWN_TABLE
from nicodec.codecs import l3ic, tiling
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.codecs.l3ic import L3ic
from nicodec.codecs.l3ic_header import CONTEXT, INDEPENDENT
from nicodec.errors import FormatError, ModelError, ModelMismatchError, RequestError
from nicodec.images import Picture, from_array, to_array
from nicodec.metrics.psnr import psnr
from nicodec.models import zoo
from nicodec.models.runtime import load_network
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

CODEC = L3ic()
INDEPENDENT_CHANNELS = EncodeSettings(independent_channels=True)
PROFILES = [EncodeSettings(), INDEPENDENT_CHANNELS]


def coded(picture: Picture, model: Model, settings: EncodeSettings = PROFILES[0]) -> Container:
    """The picture as a container that has been through a file."""
    return read(write(CODEC.encode(picture, model, settings)))


def decoded(container: Container, model: Model, channels: frozenset[int] | None = None) -> Picture:
    return CODEC.decode(container, model, DecodeRequest(channels))


def all_planes(container: Container, model: Model) -> npt.NDArray[np.int32]:
    return CODEC.decode_planes(container, model, tuple(range(container.header.channels)))


@pytest.fixture(scope="module")
def photo(samples: "Samples") -> Picture:
    """A small photo, (61, 90)."""
    return from_array(samples.photo(61, 90))


@pytest.fixture(scope="module")
def context(photo: Picture, model: Model) -> Container:
    return coded(photo, model)


@pytest.fixture(scope="module")
def independent(photo: Picture, model: Model) -> Container:
    return coded(photo, model, INDEPENDENT_CHANNELS)


def test_a_photo_keeps_its_looks(any_model: Model, samples: "Samples") -> None:
    picture = from_array(samples.photo(512, 512))
    container = coded(picture, any_model)
    assert psnr(picture.pixels, decoded(container, any_model).pixels) > 28.0
    assert len(write(container)) < picture.pixels.size / 8


def test_every_model_decodes_both_profiles_to_the_same_pixels(any_model: Model, photo: Picture) -> None:
    context, independent = (decoded(coded(photo, any_model, settings), any_model) for settings in PROFILES)
    np.testing.assert_array_equal(context.pixels, independent.pixels)


@pytest.mark.parametrize("settings", PROFILES, ids=["context", "independent"])
@pytest.mark.parametrize(
    "shape",
    [(1, 1), (7, 5), (8, 8), (1, 400), (400, 1), (33, 17), (33, 17, 2), (33, 17, 3), (33, 17, 4), (1, 1, 4), (9, 8, 3)],
)
def test_every_kind_of_picture_survives(
    samples: "Samples", model: Model, shape: tuple[int, ...], settings: EncodeSettings
) -> None:
    picture = from_array(samples.noise(*shape))
    result = decoded(coded(picture, model, settings), model)
    assert to_array(result).shape == shape
    assert result.is_gray == picture.is_gray
    if picture.alpha is None:
        assert result.alpha is None
    else:
        assert result.alpha is not None
        np.testing.assert_array_equal(result.alpha, picture.alpha)


def test_gray_looks_like_the_original(samples: "Samples", model: Model) -> None:
    picture = from_array(samples.gray_photo(128, 128))
    assert psnr(picture.pixels, decoded(coded(picture, model), model).pixels) > 25.0


def test_metadata_survives(photo: Picture, model: Model) -> None:
    metadata: dict[str, Any] = {"icc": b"profile " * 9, "exif": b"II*\0" + bytes(range(99)), "xmp": b"<x:xmpmeta/>"}
    result = decoded(coded(replace(photo, **metadata), model), model)
    assert {name: getattr(result, name) for name in metadata} == metadata
    bare = decoded(coded(photo, model), model)
    assert [getattr(bare, name) for name in metadata] == [None] * 3


@pytest.mark.parametrize("settings", PROFILES, ids=["context", "independent"])
def test_encoding_twice_gives_the_same_bytes(photo: Picture, model: Model, settings: EncodeSettings) -> None:
    assert write(CODEC.encode(photo, model, settings)) == write(CODEC.encode(photo, model, settings))


def test_threads_change_nothing(samples: "Samples", model: Model) -> None:
    picture = from_array(samples.photo(200, 264))
    one, two = (CODEC.encode(picture, model, EncodeSettings(threads=threads)) for threads in (1, 2))
    assert write(one) == write(two)
    results = [CODEC.decode(one, model, DecodeRequest(threads=threads)).pixels for threads in (1, 2)]
    np.testing.assert_array_equal(results[0], results[1])


def test_tiles_change_nothing(samples: "Samples", model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = from_array(samples.photo(250, 330))
    whole = CODEC.encode(picture, model, EncodeSettings())
    pixels = decoded(whole, model).pixels
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 1)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 96)
    assert write(CODEC.encode(picture, model, EncodeSettings())) == write(whole)
    np.testing.assert_array_equal(decoded(whole, model).pixels, pixels)


def test_stripes_change_no_latent(
    photo: Picture, context: Container, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = all_planes(context, model)
    monkeypatch.setattr(planes, "STRIPE_POSITIONS", 1)
    monkeypatch.setattr(planes, "MIN_STRIPE_ROWS", 3)
    striped = coded(photo, model)
    assert striped.header.segments == 3
    np.testing.assert_array_equal(all_planes(striped, model), whole)
    contents = [segment.content for segment in CODEC.describe(striped)]
    assert contents == ["latent rows 0-2", "latent rows 3-5", "latent rows 6-7"]


@pytest.mark.train
def test_tensorflow_decodes_the_same_latents(context: Container, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorflow")
    pytest.importorskip("onnx")
    seen: list[npt.NDArray[np.int8]] = []

    def spy(*args: Any, **kwargs: Any) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
        network = load_network(*args, **kwargs)

        def run(latents: npt.NDArray[Any]) -> npt.NDArray[Any]:
            seen.append(latents)
            return network(latents)

        return run

    monkeypatch.setattr(l3ic, "load_network", spy)
    results = [
        CODEC.decode(context, model, DecodeRequest(backend=backend)).pixels for backend in ("onnxruntime", "tensorflow")
    ]
    first, second = seen
    np.testing.assert_array_equal(first, second)
    assert np.abs(results[0].astype(int) - results[1]).max() <= 1


def test_single_planes_are_those_of_the_whole(context: Container, independent: Container, model: Model) -> None:
    whole = all_planes(context, model)
    np.testing.assert_array_equal(all_planes(independent, model), whole)
    for container in (context, independent):
        some = CODEC.decode_planes(container, model, (5, 0, 5))
        assert some.dtype == np.int32
        np.testing.assert_array_equal(some, whole[[5, 0, 5]])
        assert CODEC.decode_planes(container, model, ()).shape == (0, *whole.shape[1:])


def test_a_plane_needs_no_other_segment(independent: Container, model: Model) -> None:
    alone = replace(independent, segments=(independent.segments[4],))
    np.testing.assert_array_equal(CODEC.decode_planes(alone, model, (4,)), all_planes(independent, model)[[4]])
    with pytest.raises(FormatError, match="segment 5 is missing"):
        CODEC.decode_planes(alone, model, (5,))


def test_missing_channels_count_as_zero(independent: Container, photo: Picture, model: Model) -> None:
    chosen = frozenset({0, 1, 7})
    latents = all_planes(independent, model).astype(np.int8)
    latents[[c for c in range(len(latents)) if c not in chosen]] = 0
    expected = load_network(model, "decoder")(latents[None])[0][: photo.height, : photo.width]
    np.testing.assert_array_equal(decoded(independent, model, chosen).pixels, expected)
    every = decoded(independent, model, frozenset(range(len(latents))))
    np.testing.assert_array_equal(every.pixels, decoded(independent, model).pixels)
    assert decoded(independent, model, frozenset()).pixels.shape == photo.pixels.shape


def test_channels_need_the_independent_profile(context: Container, model: Model) -> None:
    with pytest.raises(RequestError, match="--independent-channels"):
        decoded(context, model, frozenset({0}))


@pytest.mark.parametrize("channel", [-1, 1000])
def test_refuses_channels_that_do_not_exist(
    context: Container, independent: Container, model: Model, channel: int
) -> None:
    with pytest.raises(RequestError, match=f"channel {channel} does not exist"):
        decoded(independent, model, frozenset({channel}))
    for container in (context, independent):
        with pytest.raises(RequestError, match=f"channel {channel} does not exist"):
            CODEC.decode_planes(container, model, (0, channel))


def test_describes_every_segment(samples: "Samples", model: Model) -> None:
    picture = from_array(samples.photo(64, 96), samples.noise(64, 96))
    context, independent = (coded(picture, model, settings) for settings in PROFILES)
    assert [(s.content, s.table, s.symbols) for s in CODEC.describe(context)] == [
        ("latent rows 0-7", "context", (-15, 16)),
        ("alpha", "none", (0, 255)),
    ]
    *channels, alpha = CODEC.describe(independent)
    assert [segment.content for segment in channels] == [f"channel {c}" for c in range(independent.header.channels)]
    assert alpha.symbols == (0, 255)
    for info, segment in zip(channels, independent.segments, strict=False):
        assert (info.index, info.size, info.crc32) == (segment.index, segment.size, segment.crc32)
        own = segment.payload[0] == OWN_TABLE
        assert info.table.startswith("own (" if own else f"shared {segment.payload[0]}")
        assert info.symbols is not None
        assert own or info.symbols == (-15, 16)


def test_describes_a_file_that_was_cut_off(independent: Container) -> None:
    first = Segment(0, bytes([OWN_TABLE]), complete=False)
    (info,) = CODEC.describe(replace(independent, segments=(first,)))
    assert (info.table, info.symbols) == ("cut off", None)
    with pytest.raises(FormatError):
        CODEC.describe(replace(independent, segments=(replace(first, complete=True),)))


HEADER_CHANGES: list[dict[str, Any]] = [
    {"profile": 4},
    {"profile": 7},
    {"stride_log2": 4, "align_log2": 4},
    {"align_log2": 5},
    {"stride_log2": 2},
    {"layers": 2},
    {"depth": 10},
    {"segments": 1000},
    {"alpha": True},
]


@pytest.mark.parametrize("change", HEADER_CHANGES, ids=str)
@pytest.mark.parametrize("profile", [CONTEXT, INDEPENDENT])
def test_refuses_headers_that_no_encoder_writes(
    context: Container, independent: Container, model: Model, profile: int, change: dict[str, Any]
) -> None:
    container = (context, independent)[profile]
    damaged = replace(container, header=replace(container.header, **change))
    tasks: list[Callable[[], object]] = [
        lambda: decoded(damaged, model),
        lambda: decoded(damaged, model, frozenset({0})),
        lambda: CODEC.decode_planes(damaged, model, (0,)),
        lambda: CODEC.verify(damaged, model),
        lambda: CODEC.describe(damaged),
    ]
    for task in tasks:
        with pytest.raises(FormatError):
            task()


def test_a_profile_that_does_not_exist_is_damage_and_no_matter_of_versions(context: Container, model: Model) -> None:
    """FORMAT.md §11: a new profile would be a new codec number."""
    damaged = replace(context, header=replace(context.header, profile=4))
    with pytest.raises(FormatError, match="l3ic has no profile 4: get an undamaged copy of the file"):
        CODEC.verify(damaged, model)


def test_refuses_channels_that_are_not_the_models(context: Container, independent: Container, model: Model) -> None:
    header = context.header
    few = replace(context, header=replace(header, channels=header.channels // 2))
    count = header.channels - 1
    fewer = replace(independent.header, channels=count, segments=count)
    for container in (few, replace(independent, header=fewer, segments=independent.segments[:count])):
        for task in (CODEC.verify, decoded, all_planes):
            with pytest.raises(FormatError, match=f"channels, model {model.id} {header.channels}"):
                task(container, model)


@pytest.mark.parametrize(
    ("profile", "change"),
    [
        (CONTEXT, {"width": 8}),
        (CONTEXT, {"height": 200}),
        (CONTEXT, {"width": 97}),
        (INDEPENDENT, {"width": 8}),
        (INDEPENDENT, {"height": 56}),
    ],
)
def test_refuses_another_size(
    context: Container, independent: Container, model: Model, profile: int, change: dict[str, Any]
) -> None:
    """But for larger independent channels: past its end, a stream goes on with first symbols of a table (FORMAT.md §6)."""
    container = (context, independent)[profile]
    with pytest.raises(FormatError):
        CODEC.verify(replace(container, header=replace(container.header, **change)), model)


def test_refuses_missing_and_incomplete_segments(context: Container, independent: Container, model: Model) -> None:
    for container in (context, independent):
        cut = replace(container.segments[0], complete=False)
        for segments in (container.segments[1:], (cut, *container.segments[1:])):
            with pytest.raises(FormatError, match="segment 0 is missing"):
                decoded(replace(container, segments=segments), model)


def test_verify_looks_into_every_segment(samples: "Samples", model: Model) -> None:
    picture = from_array(samples.noise(16, 16, 4))
    for settings in PROFILES:
        container = coded(picture, model, settings)
        CODEC.verify(container, model)
        for index, segment in enumerate(container.segments):
            damaged = list(container.segments)
            damaged[index] = replace(segment, payload=segment.payload + b"\x01\x02\x03\x04\x05")
            with pytest.raises(FormatError):
                CODEC.verify(replace(container, segments=tuple(damaged)), model)


def test_refuses_weights_of_another_hash(context: Container) -> None:
    header = replace(context.header, model_hash=b"01234567")
    with pytest.raises(ModelMismatchError, match="3031323334353637"):
        zoo.find_for_file(header.codec, header.model, header.model_hash)


@pytest.fixture
def copied(model: Model, tmp_path: Path) -> Model:
    """The model in a folder that may be damaged."""
    shutil.copytree(model.folder, tmp_path / "model")
    return replace(model, folder=tmp_path / "model")


def test_refuses_damaged_tables_even_without_the_network(context: Container, copied: Model) -> None:
    path = copied.folder / "entropy.npz"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    for task in (CODEC.verify, decoded, all_planes):
        with pytest.raises(ModelMismatchError, match="reinstall the model"):
            task(context, copied)


def test_refuses_tables_for_another_codebook(photo: Picture, copied: Model) -> None:
    path = copied.folder / "entropy.npz"
    with np.load(path) as arrays:
        changed: dict[str, Any] = dict(arrays)
    changed["codebook"] = np.array([-16, 15], np.int16)
    changed["context_activity"] = np.zeros(17, np.int16)
    np.savez(path, **changed)
    with pytest.raises(ModelError, match="another codebook than that of l3ic; reinstall the model"):
        CODEC.encode(photo, replace(copied, hash=zoo.model_hash(copied.folder)), EncodeSettings())


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", None], ids=["empty", "cut", "text", "few"])
def test_refuses_tables_that_are_none(context: Container, copied: Model, content: bytes | None) -> None:
    """The card vouches for them, so they have been like this when the model was made."""
    path = copied.folder / "entropy.npz"
    if content is None:
        np.savez(path, codebook=np.array([-15, 16], np.int16))
    else:
        path.write_bytes(content)
    with pytest.raises(ModelError, match="reinstall the model"):
        CODEC.verify(context, replace(copied, hash=zoo.model_hash(copied.folder)))


def test_refuses_an_encoder_that_gives_no_numbers(
    photo: Picture, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The encoder's weights are not part of the model's hash."""
    channels = model.card["architecture"]["channels"]

    def broken(*_: Any, **__: Any) -> Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]:
        return lambda pixels: np.full((1, channels, pixels.shape[1] // 8, pixels.shape[2] // 8), np.nan, np.float32)

    monkeypatch.setattr(l3ic, "load_network", broken)
    for settings in PROFILES:
        with pytest.raises(ModelError, match="not finite: reinstall the model"):
            CODEC.encode(photo, model, settings)


@pytest.mark.parametrize("dead_zone", [0.5, -0.1, float("nan"), "0.1", None])
def test_refuses_a_dead_zone_that_is_none(photo: Picture, model: Model, dead_zone: object) -> None:
    architecture = {**model.card["architecture"], "dead_zone": dead_zone}
    with pytest.raises(ModelError, match=r"dead zone .*: reinstall the model"):
        CODEC.encode(photo, replace(model, card={**model.card, "architecture": architecture}), EncodeSettings())


def test_statistics_of_channels(context: Container, independent: Container, model: Model) -> None:
    planes = CODEC.decode_planes(context, model, tuple(range(context.header.channels)))
    for container in (context, independent):
        groups = CODEC.statistics(container, model)
        assert [(group.first, group.last) for group in groups] == [(c, c) for c in range(len(planes))]
        assert [group.zeros for group in groups] == pytest.approx([float(np.mean(plane == 0)) for plane in planes])
        assert [group.size for group in groups] == pytest.approx(np.sqrt(np.mean(planes**2.0, axis=(1, 2))))
    assert {(group.bits, group.residual, group.expected) for group in CODEC.statistics(context, model)} == {(None,) * 3}
    assert [group.bits for group in groups] == [8 * segment.size for segment in independent.segments[: len(planes)]]
