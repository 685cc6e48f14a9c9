"""Files with a latent step: one model at any rate, headers that must be refused, and what `info` says."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nicodec
from nicodec.bitstream.container import Container, Header, read, write
from nicodec.codecs import l3ic_header, tiling
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.codecs.l3ic import L3ic, analyse_picture, code_latents, encode_picture
from nicodec.errors import FormatError, RequestError
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.models import zoo
from nicodec.models.quantiser import quantise
from nicodec.models.runtime import load_network
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.codecs.conftest import BlockTransform
    from nicodec.tests.samples import Samples

CODEC = L3ic()
PROFILES = [EncodeSettings(), EncodeSettings(independent_channels=True)]
IDS = ["context", "independent"]
STEPS = [0.25, 0.5, 4097 / 4096, 1.6, 4.0]


def all_planes(container: Container, model: Model) -> npt.NDArray[np.int32]:
    return CODEC.decode_planes(container, model, tuple(range(container.header.channels)))


@given(st.floats(0.25, 4.0))
def test_every_step_in_range_survives_the_header(step: float) -> None:
    held = l3ic_header.representable_step(step)
    assert abs(held - step) <= 1 / 8192
    for independent in (False, True):
        profile, extra = l3ic_header.profile_fields(independent, held)
        header = header_of(profile, extra)
        assert l3ic_header.latent_step(header) == held
        assert l3ic_header.is_independent(header) == independent
        assert (profile >= 2) == (held != 1.0) == bool(extra)


def header_of(profile: int, extra: bytes) -> Header:
    return Header(
        width=8,
        height=8,
        codec=1,
        model=1,
        model_hash=bytes(8),
        channels=16,
        stride_log2=3,
        align_log2=3,
        profile=profile,
        extra=extra,
    )


@pytest.mark.parametrize("step", [0.0, 0.2499, 4.0001, -1.0, float("nan"), float("inf")])
def test_steps_out_of_range_are_refused(photo: Picture, flexible: Model, step: float) -> None:
    with pytest.raises(RequestError, match=r"choose one from 0\.25 to 4"):
        encode_picture(photo, flexible, EncodeSettings(), step=step)


@pytest.mark.parametrize("settings", PROFILES, ids=IDS)
@pytest.mark.parametrize("step", STEPS)
def test_a_step_survives_the_file(
    photo: Picture, flexible: Model, transform: "BlockTransform", settings: EncodeSettings, step: float
) -> None:
    latents = analyse_picture(photo, flexible, settings)
    container = read(write(code_latents(latents, photo, flexible, settings, step)))
    held = l3ic_header.representable_step(step)
    assert container.header.profile == 2 + settings.independent_channels
    assert container.header.extra == int(held * 4096).to_bytes(2, "little")
    dead_zone = flexible.card["architecture"]["dead_zone"]
    symbols = quantise(latents, held, dead_zone, (-15, 16))
    np.testing.assert_array_equal(all_planes(container, flexible), symbols)
    CODEC.verify(container, flexible)
    restored = CODEC.decode(container, flexible, DecodeRequest())
    (given_to_synthesis,) = transform.synthesised
    assert given_to_synthesis.dtype == np.float32
    np.testing.assert_array_equal(given_to_synthesis[0], symbols * held)
    assert restored.pixels.shape == photo.pixels.shape


@pytest.mark.parametrize("step", STEPS)
def test_integers_chosen_otherwise_than_by_rounding_can_be_coded(photo: Picture, flexible: Model, step: float) -> None:
    symbols = np.random.default_rng(0).integers(-15, 17, (16, 12, 16))
    latents = (symbols * l3ic_header.representable_step(step)).astype(np.float32)
    container = code_latents(latents, photo, flexible, EncodeSettings(), step)
    np.testing.assert_array_equal(all_planes(container, flexible), symbols)


@pytest.mark.usefixtures("transform")
def test_larger_steps_give_smaller_files_and_worse_pictures(photo: Picture, flexible: Model) -> None:
    sizes: list[int] = []
    qualities: list[float] = []
    for step in (0.6, 1.0, 1.7, 3.0):
        container = encode_picture(photo, flexible, EncodeSettings(), step=step)
        sizes.append(len(write(container)))
        qualities.append(psnr(photo.pixels, CODEC.decode(container, flexible, DecodeRequest()).pixels))
    assert sizes == sorted(sizes, reverse=True)
    assert qualities == sorted(qualities, reverse=True)
    assert len(set(sizes)) == len(sizes)


@pytest.mark.usefixtures("transform")
@pytest.mark.parametrize("settings", PROFILES, ids=IDS)
@pytest.mark.parametrize("step", [1.0, 1.00001, 0.99999])
def test_the_models_own_step_is_not_written(
    photo: Picture, flexible: Model, settings: EncodeSettings, step: float
) -> None:
    plain = CODEC.encode(photo, flexible, settings)
    assert (plain.header.profile, plain.header.extra) == (int(settings.independent_channels), b"")
    assert write(encode_picture(photo, flexible, settings, step=step)) == write(plain)


@pytest.mark.usefixtures("transform")
@pytest.mark.parametrize("settings", PROFILES, ids=IDS)
@pytest.mark.parametrize("step", [1.0, 1.6])
def test_analysis_and_coding_apart_give_the_same_file(
    samples: "Samples", flexible: Model, settings: EncodeSettings, step: float
) -> None:
    picture = replace(from_array(samples.photo(33, 50), samples.noise(33, 50)), xmp=b"<x:xmpmeta/>")
    latents = analyse_picture(picture, flexible, settings)
    assert latents.dtype == np.float32
    assert latents.shape == (16, 5, 7)
    assert (latents != np.rint(latents)).any()
    apart = code_latents(latents, picture, flexible, settings, step)
    assert write(apart) == write(encode_picture(picture, flexible, settings, step=step))


@pytest.mark.usefixtures("transform")
@pytest.mark.parametrize("step", [0.7, 1.0])
def test_tiles_change_nothing(
    samples: "Samples", flexible: Model, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    picture = from_array(samples.photo(250, 330))
    whole = encode_picture(picture, flexible, EncodeSettings(), step=step)
    pixels = CODEC.decode(whole, flexible, DecodeRequest()).pixels
    latents = analyse_picture(picture, flexible, EncodeSettings())
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 1)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 96)
    assert write(encode_picture(picture, flexible, EncodeSettings(), step=step)) == write(whole)
    np.testing.assert_array_equal(CODEC.decode(whole, flexible, DecodeRequest()).pixels, pixels)
    np.testing.assert_allclose(analyse_picture(picture, flexible, EncodeSettings()), latents, atol=1e-6)


@pytest.mark.usefixtures("transform")
@pytest.mark.parametrize("shape", [(16, 12, 15), (15, 12, 16), (16, 16, 12), (1, 16, 12, 16)])
def test_refuses_latents_of_another_picture(photo: Picture, flexible: Model, shape: tuple[int, ...]) -> None:
    with pytest.raises(RequestError, match=r"not those of the picture, \(16, 12, 16\)"):
        code_latents(np.zeros(shape, np.float32), photo, flexible, EncodeSettings())


def test_a_decoder_of_integers_takes_no_step(photo: Picture, rigid: Model, flexible: Model) -> None:
    with pytest.raises(RequestError, match=r"revision \d+ takes no latent step"):
        encode_picture(photo, rigid, EncodeSettings(), step=2.0)
    latents = np.zeros((16, 12, 16), np.float32)
    with pytest.raises(RequestError, match=r"revision \d+ takes no latent step"):
        code_latents(latents, photo, rigid, EncodeSettings(), 2.0)
    assert code_latents(latents, photo, rigid, EncodeSettings()).header.profile == 0
    for settings in PROFILES:
        container = code_latents(latents, photo, flexible, settings, 2.0)
        for task in (CODEC.verify, all_planes, lambda c, m: CODEC.decode(c, m, DecodeRequest())):
            with pytest.raises(FormatError, match=r"revision \d+ cannot take: get an undamaged copy"):
                task(container, rigid)


HOSTILE = [b"", b"\x00", *(units.to_bytes(2, "little") for units in (0, 1023, 4096, 16385, 65535))]


@pytest.mark.parametrize("extra", HOSTILE, ids=bytes.hex)
@pytest.mark.parametrize("settings", PROFILES, ids=IDS)
def test_refuses_steps_that_no_encoder_writes(
    photo: Picture, flexible: Model, settings: EncodeSettings, extra: bytes
) -> None:
    good = code_latents(np.zeros((16, 12, 16), np.float32), photo, flexible, settings, 2.0)
    container = read(write(replace(good, header=replace(good.header, extra=extra))))
    tasks: list[Callable[[], object]] = [
        lambda: CODEC.decode(container, flexible, DecodeRequest()),
        lambda: CODEC.decode_planes(container, flexible, (0,)),
        lambda: CODEC.verify(container, flexible),
        lambda: CODEC.describe(container),
        lambda: nicodec.info(write(container)),
    ]
    for task in tasks:
        with pytest.raises(FormatError, match="no valid latent step: get an undamaged copy"):
            task()


@pytest.mark.usefixtures("transform")
@pytest.mark.parametrize("step", [1.0, 2.0])
def test_bytes_of_later_versions_are_ignored(photo: Picture, flexible: Model, step: float) -> None:
    """FORMAT.md §11; in a profile without a step they may look like one."""
    container = encode_picture(photo, flexible, EncodeSettings(), step=step)
    later = replace(container, header=replace(container.header, extra=container.header.extra + b"\0\0later"))
    pixels = CODEC.decode(container, flexible, DecodeRequest()).pixels
    np.testing.assert_array_equal(CODEC.decode(read(write(later)), flexible, DecodeRequest()).pixels, pixels)
    assert nicodec.info(write(later)).parameters == {"latent_step": step}


def test_info_shows_the_step(photo: Picture, flexible: Model) -> None:
    latents = np.zeros((16, 12, 16), np.float32)
    for step in (1.0, 1.25):
        found = nicodec.info(write(code_latents(latents, photo, flexible, EncodeSettings(), step)), segments=True)
        assert found.parameters == found.to_json()["parameters"] == {"latent_step": step}
        assert found.segments is not None


def test_info_describes_profiles_that_do_not_exist(photo: Picture, flexible: Model) -> None:
    container = code_latents(np.zeros((16, 12, 16), np.float32), photo, flexible, EncodeSettings())
    for profile in (4, 7, 15):
        odd = replace(container, header=replace(container.header, profile=profile))
        assert nicodec.info(write(odd)).header.profile == profile


@pytest.mark.train
def test_float_graphs_code_as_those_of_integers_did(photo: Picture, model: Model, exported: Model) -> None:
    old, new = (CODEC.encode(photo, which, EncodeSettings()) for which in (model, exported))
    different = all_planes(old, model) != all_planes(new, exported)
    assert different.mean() < 1e-3
    pixels = [CODEC.decode(new, which, DecodeRequest()).pixels.astype(int) for which in (model, exported)]
    assert np.abs(pixels[0] - pixels[1]).max() <= 1


@pytest.mark.train
@pytest.mark.parametrize("settings", PROFILES, ids=IDS)
def test_one_trained_model_serves_several_rates(samples: "Samples", exported: Model, settings: EncodeSettings) -> None:
    picture = from_array(samples.photo(200, 264))
    latents = analyse_picture(picture, exported, settings)
    sizes: list[int] = []
    qualities: list[float] = []
    for step in (1.3, 2.0, 3.5):  # finer ones gain nothing: the codebook clips the widest channels
        data = write(code_latents(latents, picture, exported, settings, step))
        sizes.append(len(data))
        qualities.append(psnr(picture.pixels, CODEC.decode(read(data), exported, DecodeRequest()).pixels))
    assert sizes == sorted(sizes, reverse=True)
    assert qualities == sorted(qualities, reverse=True)
    assert sizes[-1] < 0.7 * sizes[0]
    assert qualities[-1] > 20


@pytest.mark.train
def test_tiles_change_nothing_in_a_trained_model(
    samples: "Samples", exported: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = from_array(samples.photo(200, 264))
    whole = encode_picture(picture, exported, EncodeSettings(), step=1.5)
    pixels = CODEC.decode(whole, exported, DecodeRequest()).pixels
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 1)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 136)
    assert write(encode_picture(picture, exported, EncodeSettings(), step=1.5)) == write(whole)
    np.testing.assert_array_equal(CODEC.decode(whole, exported, DecodeRequest()).pixels, pixels)


@pytest.mark.train
def test_a_card_that_promises_too_much_is_found_out(photo: Picture, model: Model, exported: Model) -> None:
    """A graph of integers, such as those of the first revisions, is never fed rounded fractions."""
    model = zoo.open_folder(model.folder.with_name("1"))
    with_integers = replace(exported, folder=model.folder, hash=model.hash)
    latents = analyse_picture(photo, exported, EncodeSettings())
    container = code_latents(latents, photo, with_integers, EncodeSettings(), 1.5)
    network = load_network(with_integers, "decoder")
    with pytest.raises(nicodec.BackendError, match="takes int8 values"):
        CODEC.decode(container, with_integers, DecodeRequest())
    assert network(np.zeros((1, 16, 2, 2), np.float32)).shape == (1, 16, 16, 3)
