"""Qualities and targets with codecs: l3ic, its models as one scale, shallow."""

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream.container import Chunk, ChunkType, Container, Segment, read, write
from nicodec.codecs import encoding, l3ic_header, shallow
from nicodec.codecs.base import DecodeRequest, EncodeSettings, no_progress
from nicodec.codecs.l3ic import L3ic
from nicodec.codecs.ladder import Laddered, Rung
from nicodec.codecs.target import Kind, Target
from nicodec.codecs.trials import VariableRate
from nicodec.errors import RequestError
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim
from nicodec.models import zoo
from nicodec.models.zoo import Model

from .rate_scales import header, meets

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

CODEC = L3ic()
OUT_OF_REACH: dict[Kind, float] = {"bpp": 0.001, "psnr": 60, "msssim": 0.9999}


@given(st.floats(0, 100), st.floats(0, 100))
def test_qualities_of_l3ic_are_steps(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert 4 >= l3ic_header.step_of_quality(low) >= l3ic_header.step_of_quality(high) >= 1


@pytest.mark.parametrize("quality", [-0.1, 100.1, math.nan])
def test_qualities_out_of_range_have_no_step(quality: float) -> None:
    with pytest.raises(RequestError, match="choose one from 0"):
        l3ic_header.step_of_quality(quality)


@pytest.mark.usefixtures("transform")
def test_l3ic_takes_a_quality(photo: Picture, flexible: Model) -> None:
    files = [write(CODEC.encode(photo, flexible, EncodeSettings(quality=quality))) for quality in (0, 25, 50, 75, 100)]
    assert [l3ic_header.latent_step(read(data).header) for data in files[::2]] == [4, 2, 1]
    assert all(len(one) < len(other) for one, other in pairwise(files))
    assert files[-1] == write(CODEC.encode(photo, flexible, EncodeSettings()))
    trials = CODEC.trials(photo, flexible, EncodeSettings(quality=3))
    assert write(trials.encode(25)) == files[1]


def values_of(container: Container, picture: Picture, model: Model) -> dict[Kind, float]:
    """What a file has and reaches, measured on the file as it is written."""
    data = write(container)
    restored = CODEC.decode(read(data), model, DecodeRequest())
    return {
        "bpp": 8 * len(data) / (picture.width * picture.height),
        "size": len(data),
        "psnr": psnr(picture.pixels, restored.pixels),
        "msssim": ms_ssim(picture.pixels, restored.pixels),
    }


@pytest.mark.usefixtures("transform")
@pytest.mark.parametrize("kind", ["bpp", "size", "psnr", "msssim"])
@pytest.mark.parametrize("settings", [EncodeSettings(), EncodeSettings(independent_channels=True)])
def test_gray_pictures_with_alpha_and_metadata(
    samples: "Samples", flexible: Model, kind: Kind, settings: EncodeSettings
) -> None:
    """Alpha and metadata count in sizes, and not in metrics."""
    picture = replace(from_array(samples.gray_photo(63, 90), samples.noise(63, 90)), xmp=bytes(300))
    ends = [encoding.encode(picture, flexible, replace(settings, quality=quality)).container for quality in (0, 100)]
    target = Target(kind, sum(values_of(container, picture, flexible)[kind] for container in ends) / 2)
    outcome = encoding.encode(picture, flexible, settings, target)
    assert outcome.container.chunks == (Chunk(ChunkType.XMP, bytes(300)),)
    assert outcome.reached is not None
    assert outcome.reached == values_of(outcome.container, picture, flexible)[kind]
    assert meets(kind, outcome.reached, target.value)
    assert outcome.quality is not None
    assert 0 < outcome.quality < 100
    again = encoding.encode(picture, flexible, replace(settings, quality=outcome.quality))
    assert write(again.container) == write(outcome.container)


def test_models_of_integers_have_one_quality(photo: Picture, rigid: Model) -> None:
    match = f"{rigid.id} revision {rigid.revision} has one quality only: leave quality and targets out"
    with pytest.raises(RequestError, match=match):
        CODEC.encode(photo, rigid, EncodeSettings(quality=100))
    with pytest.raises(RequestError, match=match):
        encoding.encode(photo, rigid, EncodeSettings(), Target("psnr", 30))


def test_l3ic_ladders_leave_models_of_integers_out(flexible: Model, rigid: Model) -> None:
    large = replace(flexible, card={**flexible.card, "architecture": {"channels": 99, "latent_type": "float32"}})
    assert isinstance(CODEC, Laddered)
    assert CODEC.ladder([large, rigid, flexible]) == (Rung(flexible), Rung(large, 50))
    assert CODEC.ladder([rigid]) == ()


def test_families_need_a_common_scale_and_a_quality(photo: Picture, flexible: Model, rigid: Model) -> None:
    with pytest.raises(RequestError, match=f"no common scale: choose one of {rigid.id}, other"):
        encoding.encode(photo, zoo.Family("l3ic", (rigid, replace(rigid, id="other"))), EncodeSettings(quality=50))
    with pytest.raises(RequestError, match="l3ic is a family of models: give a quality or a target too, or choose one"):
        encoding.encode(photo, zoo.Family("l3ic", (flexible, replace(flexible, id="other"))), EncodeSettings())


def test_shallow_analyses_once(photo: Picture, rigid: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    analyses: list[EncodeSettings] = []
    codings: list[EncodeSettings] = []

    def analyse(picture: Picture, model: Model, settings: EncodeSettings, progress: object) -> str:
        analyses.append(settings)
        return "latents"

    def code(latents: str, picture: Picture, model: Model, settings: EncodeSettings, progress: object) -> Container:
        assert latents == "latents"
        codings.append(settings)
        return Container(header(), (Segment(0, b""),))

    monkeypatch.setattr(shallow, "analyse_picture", analyse)
    monkeypatch.setattr(shallow, "code_latents", code)
    codec = shallow.Shallow()
    assert isinstance(codec, VariableRate)
    settings = EncodeSettings(effort=3, fast_decode=True)
    trials = codec.trials(photo, rigid, settings, no_progress)
    for quality in (12.5, 80.0):
        trials.encode(quality)
    assert analyses == [settings]
    assert codings == [replace(settings, quality=12.5), replace(settings, quality=80.0)]
    with pytest.raises(RequestError, match="no independent channels"):
        codec.trials(photo, rigid, EncodeSettings(independent_channels=True))


@pytest.mark.train
@pytest.mark.parametrize("kind", ["bpp", "psnr", "msssim"])
def test_a_trained_model_meets_targets(samples: "Samples", exported: Model, kind: Kind) -> None:
    picture = from_array(samples.photo(240, 304))
    ends = [encoding.encode(picture, exported, EncodeSettings(quality=quality)).container for quality in (0, 100)]
    low, high = (values_of(container, picture, exported)[kind] for container in ends)
    target = Target(kind, low + 0.6 * (high - low))
    outcome = encoding.encode(picture, exported, EncodeSettings(), target)
    assert outcome.reached is not None
    assert meets(kind, outcome.reached, target.value)
    assert abs(outcome.reached - target.value) < 0.1 * (high - low)
    with pytest.raises(RequestError, match="not reachable"):
        encoding.encode(picture, exported, EncodeSettings(), Target(kind, OUT_OF_REACH[kind]))


@pytest.mark.train
def test_a_trained_family_is_one_scale(samples: "Samples", exported_zoo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(zoo.ENVIRONMENT_VARIABLE, str(exported_zoo))
    monkeypatch.setattr(zoo, "_PACKAGED", exported_zoo / "absent")
    family = zoo.find_model_or_family("l3ic")
    assert isinstance(family, zoo.Family)
    small, large = family.models
    picture = from_array(samples.photo(120, 152))
    outcomes = [encoding.encode(picture, family, EncodeSettings(quality=q)) for q in (0, 40, 66.6, 66.7, 80, 100)]
    assert [outcome.model for outcome in outcomes] == [small] * 3 + [large] * 3
    sizes = [len(write(outcome.container)) for outcome in outcomes]
    assert sizes[:2] + sizes[4:] == sorted(sizes[:2] + sizes[4:])
    assert abs(math.log(sizes[2] / sizes[3])) < 0.2  # where one model takes over from the other
    for target, model in ((Target("size", sizes[1] + 20), small), (Target("size", sizes[4] + 20), large)):
        outcome = encoding.encode(picture, family, EncodeSettings(), target)
        assert outcome.model == model
        assert outcome.quality is not None
        assert len(write(outcome.container)) == outcome.reached
        assert len(write(outcome.container)) <= target.value
        again = encoding.encode(picture, family, EncodeSettings(quality=outcome.quality))
        assert write(again.container) == write(outcome.container)
