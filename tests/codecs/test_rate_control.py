"""The search for a quality: guarantees on every kind of scale, few trials on smooth ones, errors that name the range."""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream.container import Chunk, ChunkType, Container, Header, Segment, read, write
from nicodec.codecs import encoding, l3ic_header, shallow
from nicodec.codecs.base import DecodeRequest, EncodeSettings, no_progress
from nicodec.codecs.l3ic import L3ic
from nicodec.codecs.ladder import Laddered, LadderTrials, Rung, locate
from nicodec.codecs.rate_control import METRIC_TOLERANCE, MOST_TRIALS, SIZE_TOLERANCE, Found, search
from nicodec.codecs.target import Kind, Target
from nicodec.codecs.trials import CodedTrials, VariableRate
from nicodec.errors import RequestError
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim
from nicodec.models import zoo
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Curve = Callable[[float], float]

CODEC = L3ic()
SIDE = 64
BLANK = Picture(pixels=np.zeros((SIDE, SIDE, 1), np.uint8))
OVERHEAD = 36
OUT_OF_REACH: dict[Kind, float] = {"bpp": 0.001, "psnr": 60, "msssim": 0.9999}
WRONG_BYTES = 4


class Synthetic:
    """Trials of a black picture: files of any size, and pictures in which some samples are wrong by 16.

    Args:
        size: payload bytes at a quality, `WRONG_BYTES` or more.
        decibel: PSNR at a quality, about 24.05 (all samples wrong) to 60 (one wrong); it counts as one wrong at least.

    Attributes:
        tried: every quality that was encoded.
    """

    lowest = 0.0
    highest = 100.0
    breaks: tuple[float, ...] = ()

    def __init__(self, size: Curve, decibel: Curve) -> None:
        self._size = size
        self._decibel = decibel
        self.tried: list[float] = []

    def encode(self, quality: float) -> Container:
        self.tried.append(quality)
        wrong = round(SIDE * SIDE * 255**2 / 256 * 10 ** (-self._decibel(quality) / 10))
        wrong = min(max(wrong, 1), SIDE * SIDE)
        payload = wrong.to_bytes(WRONG_BYTES, "little") + bytes(round(self._size(quality)) - WRONG_BYTES)
        return Container(header(), (Segment(0, payload),))

    def decode(self, container: Container) -> Picture:
        pixels = np.zeros(SIDE * SIDE, np.uint8)
        pixels[: int.from_bytes(container.segments[0].payload[:WRONG_BYTES], "little")] = 16
        return Picture(pixels=pixels.reshape(SIDE, SIDE, 1))


def header() -> Header:
    return Header(
        width=SIDE, height=SIDE, codec=9, model=1, model_hash=bytes(8), channels=1, stride_log2=0, align_log2=0
    )


def between(knots: Sequence[float]) -> Curve:
    """The curve through equally spaced knots."""
    places = np.linspace(0, 100, len(knots))
    return lambda quality: float(np.interp(quality, places, knots))


def smooth(low: float, high: float, bend: float = 0.0) -> Curve:
    """From low at quality 0 to high at 100, with a bend of -1 to 1."""

    def curve(quality: float) -> float:
        x = quality / 100
        return low + (high - low) * (x + bend * x * (1 - x))

    return curve


def exponential(curve: Curve) -> Curve:
    return lambda quality: math.exp(curve(quality))


def measured(kind: Kind, found: Found, trials: Synthetic) -> float:
    """What the found file has or reaches, measured anew."""
    size = len(write(found.container))
    rates = {"size": float(size), "bpp": 8 * size / SIDE**2}
    if kind in rates:
        return rates[kind]
    metric = psnr if kind == "psnr" else ms_ssim
    return metric(BLANK.pixels, trials.decode(found.container).pixels)


def meets(kind: Kind, value: float, target: float) -> bool:
    return value <= target if kind in ("size", "bpp") else value >= target


def check(trials: Synthetic, target: Target) -> Found:
    """Searches, and asserts what holds on every scale."""
    found = search(trials, target, BLANK)
    value = measured(target.kind, found, trials)
    assert value == found.reached
    assert meets(target.kind, value, target.value)
    assert found.trials_used == len(trials.tried) == len(set(trials.tried)) <= MOST_TRIALS + 2
    assert found.quality in trials.tried
    assert write(trials.encode(found.quality)) == write(found.container)
    return found


SIZES = st.lists(st.floats(40, 5000), min_size=2, max_size=30)
DECIBELS = st.lists(st.floats(24, 50), min_size=2, max_size=30)
BENDS = st.floats(-0.8, 0.8)
SHARES = st.floats(0.0, 1.0)


@given(st.floats(7, 9), st.floats(1.0, 3.5), BENDS, SHARES)
def test_sizes_on_smooth_scales_are_met_closely_in_few_trials(
    start: float, growth: float, bend: float, share: float
) -> None:
    trials = Synthetic(exponential(smooth(start, start + growth, bend)), smooth(25, 40))
    smallest, largest = (len(write(trials.encode(quality))) for quality in (0, 100))
    trials.tried.clear()
    target = Target("size", math.ceil(smallest * (largest / smallest) ** share))
    found = check(trials, target)
    tenths = bisect_right(range(1001), target.value, key=lambda tenth: len(write(trials.encode(tenth / 10))))
    assert found.quality == (tenths - 1) / 10 or found.reached >= target.value * (1 - SIZE_TOLERANCE)
    assert found.trials_used <= MOST_TRIALS


@given(st.floats(24.5, 25.5), st.floats(4, 9), BENDS, SHARES)
def test_metrics_on_smooth_scales_are_met_closely_in_few_trials(
    start: float, growth: float, bend: float, share: float
) -> None:
    trials = Synthetic(exponential(smooth(5, 8)), smooth(start, start + growth, bend))
    target = Target("psnr", start + share * growth - 0.1)
    found = check(trials, target)
    below = psnr(BLANK.pixels, trials.decode(trials.encode(max(0.0, found.quality - 0.1))).pixels)
    assert found.quality == 0 or below < target.value or found.reached <= target.value + METRIC_TOLERANCE
    assert found.trials_used <= MOST_TRIALS


def test_a_typical_search_takes_four_trials() -> None:
    counts: list[int] = []
    for share in np.linspace(0.05, 0.95, 19):
        trials = Synthetic(exponential(smooth(6, 9.2, 0.3)), smooth(26, 40, -0.3))
        for target in (Target("size", math.exp(6 + 3.2 * share)), Target("psnr", 26 + 14 * share)):
            trials.tried.clear()
            counts.append(check(trials, target).trials_used)
    assert sum(counts) / len(counts) < 4.5


@given(SIZES, DECIBELS, st.floats(50, 6000), st.floats(24, 50))
def test_the_guarantee_holds_on_any_scale(sizes: list[float], decibels: list[float], most: float, least: float) -> None:
    """Wiggles, jumps, scales that run backwards."""
    for target in (Target("size", most), Target("bpp", most / 500), Target("psnr", least)):
        trials = Synthetic(between(sizes), between(decibels))
        try:
            check(trials, target)
        except RequestError:
            assert len(trials.tried) <= MOST_TRIALS + 2
            for quality in list(trials.tried):
                attempt = Found(trials.encode(quality), quality, 1, 0.0)
                assert not meets(target.kind, measured(target.kind, attempt, trials), target.value)


@given(SIZES, DECIBELS, st.floats(50, 6000), st.floats(24.1, 50))
def test_on_monotone_scales_an_error_means_that_no_quality_will_do(
    sizes: list[float], decibels: list[float], most: float, least: float
) -> None:
    """With plateaus and steep jumps."""
    ends = {"size": 0.0, "psnr": 100.0}
    for target in (Target("size", most), Target("psnr", least)):
        trials = Synthetic(between(sorted(sizes)), between(sorted(decibels)))
        at_end = Found(trials.encode(ends[target.kind]), ends[target.kind], 1, 0.0)
        reachable = meets(target.kind, measured(target.kind, at_end, trials), target.value)
        trials.tried.clear()
        if reachable:
            check(trials, target)
        else:
            with pytest.raises(RequestError, match="is not reachable for this picture"):
                search(trials, target, BLANK)


def test_plateaus_end_at_the_best_quality_that_fits() -> None:
    trials = Synthetic(lambda quality: 500 if quality < 30 else 900 if quality < 70 else 2000, smooth(25, 40))
    found = check(trials, Target("size", 1000))
    assert found.reached == 900 + OVERHEAD
    assert 60 < found.quality < 70
    constant = Synthetic(lambda quality: 500.0, lambda quality: 30.0)
    found = check(constant, Target("size", 1000))
    assert (found.quality, found.trials_used) == (100.0, 3)
    constant.tried.clear()
    found = check(constant, Target("psnr", 29.0))
    assert (found.quality, found.trials_used) == (0.0, 3)


def test_easy_targets_take_the_end_of_the_scale() -> None:
    trials = Synthetic(exponential(smooth(5, 8)), smooth(25, 40))
    assert check(trials, Target("size", 1e9)).quality == 100
    trials.tried.clear()
    assert check(trials, Target("psnr", 10)).quality == 0
    trials.tried.clear()
    assert check(trials, Target("msssim", 0.01)).quality == 0


@pytest.mark.parametrize(
    ("target", "unit"),
    [
        (Target("bpp", 0.01), "bpp"),
        (Target("size", 20), "bytes"),
        (Target("psnr", 45), "dB"),
        (Target("msssim", 1.0), "MS-SSIM"),
    ],
)
def test_unreachable_targets_name_a_range_that_can_be_reached(target: Target, unit: str) -> None:
    trials = Synthetic(exponential(smooth(5.1, 8.3)), smooth(25.7, 39.3))
    with pytest.raises(RequestError) as caught:
        search(trials, target, BLANK)
    assert len(trials.tried) <= 4
    found = re.fullmatch(
        rf"the target of [\d.]+ {unit} is not reachable for this picture: ([\d.]+) to ([\d.]+) {unit}; choose one within",
        str(caught.value),
    )
    assert found is not None
    low, high = map(float, found.groups())
    assert low < high
    for end in (low, high):
        trials.tried.clear()
        check(trials, Target(target.kind, end))


def test_the_message_reads_well() -> None:
    trials = Synthetic(smooth(40, 1160), smooth(25, 40))
    with pytest.raises(RequestError) as caught:
        search(trials, Target("bpp", 0.01), BLANK)
    expected = "the target of 0.01 bpp is not reachable for this picture: 0.147 to 2.335 bpp; choose one within"
    assert str(caught.value) == expected


def test_a_range_of_one_point_is_rounded_to_what_can_be_reached() -> None:
    trials = Synthetic(lambda quality: 43.0, lambda quality: 30.123)
    for target in (Target("bpp", 0.1), Target("psnr", 31)):
        trials.tried.clear()
        with pytest.raises(RequestError, match="not reachable") as caught:
            search(trials, target, BLANK)
        low, high = re.findall(r"([\d.]+) to ([\d.]+)", str(caught.value))[0]
        assert low == high
        trials.tried.clear()
        check(trials, Target(target.kind, float(low)))


def test_searches_are_deterministic_and_report_progress() -> None:
    runs: list[list[float]] = []
    steps: list[tuple[int, int]] = []
    for _ in range(2):
        trials = Synthetic(exponential(smooth(5, 8)), smooth(25, 40))
        search(trials, Target("psnr", 33.3), BLANK, lambda *step: steps.append(step))
        runs.append(trials.tried)
    assert runs[0] == runs[1]
    once = steps[: len(steps) // 2]
    assert [done for done, _ in once] == [*range(1, len(runs[0]) + 1), MOST_TRIALS]
    assert {total for _, total in steps} == {MOST_TRIALS}


def test_sizes_are_those_of_the_given_writer() -> None:
    trials = Synthetic(smooth(100, 1100), smooth(25, 40))
    found = search(trials, Target("size", 700), BLANK, write=lambda container: write(container) + bytes(100))
    assert 690 < found.reached <= 700
    assert len(write(found.container)) == found.reached - 100


def test_lossless_pictures_reach_every_metric() -> None:
    trials = CodedTrials(lambda quality: Container(header(), (Segment(0, b""),)), lambda _: BLANK)
    for target in (Target("psnr", 300), Target("msssim", 1.0)):
        found = search(trials, target, BLANK)
        assert found.reached == (math.inf if target.kind == "psnr" else 1.0)


@pytest.mark.parametrize("kind", ["bpp", "size", "psnr", "msssim"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "5"])
def test_targets_are_positive_numbers(kind: Kind, value: float) -> None:
    with pytest.raises(RequestError, match="choose a number above 0"):
        Target(kind, value)


def test_one_target_at_most() -> None:
    assert Target.chosen() is None
    assert Target.chosen(bpp=0.5) == Target("bpp", 0.5)
    with pytest.raises(RequestError, match="targets for size and psnr cannot be met at once: give one of them"):
        Target.chosen(size=5, psnr=30)
    with pytest.raises(RequestError, match=r"1\.5 MS-SSIM cannot be met: choose a number up to 1"):
        Target.chosen(msssim=1.5)
    Target("bpp", 1).require_no_quality(None)
    with pytest.raises(RequestError, match="quality and a target for bpp exclude each other"):
        Target("bpp", 1).require_no_quality(0.0)


def model_named(name: str) -> Model:
    return Model(id=name, codec=9, number=1, hash=name.encode().ljust(8), revision=1, folder=Path(), card={})


RUNGS = (Rung(model_named("a")), Rung(model_named("b"), 50), Rung(model_named("c"), 50))
STARTS = st.lists(st.floats(0, 90), min_size=1, max_size=5)


@given(STARTS, st.floats(0, 100), st.floats(0, 100))
def test_the_ladder_climbs(starts: list[float], one: float, other: float) -> None:
    rungs = [Rung(RUNGS[0].model, start) for start in starts]
    lower, higher = sorted((one, other))
    assert locate(rungs, lower) <= locate(rungs, higher)
    for quality in (one, other):
        index, own = locate(rungs, quality)
        assert rungs[index].lowest <= own <= 100
    assert locate(rungs, 0) == (0, starts[0])
    index, own = locate(rungs, 100)
    assert index == len(rungs) - 1
    assert own == pytest.approx(100)


def test_rungs_end_where_the_scale_breaks() -> None:
    trials = LadderTrials(RUNGS, lambda _: Synthetic(smooth(100, 200), smooth(25, 40)))
    assert trials.breaks == (50.0, 75.0)
    assert [locate(RUNGS, quality) for quality in (50, 50.1, 75, 75.1)] == [
        (0, 100),
        (1, pytest.approx(50.2)),
        (1, 100),
        (2, pytest.approx(50.2)),
    ]
    assert LadderTrials(RUNGS[:1], lambda _: Synthetic(smooth(1, 2), smooth(1, 2))).breaks == ()


class Jumping:
    """A ladder whose larger models begin worse than the smaller ones end.

    Attributes:
        analysed: the models that were needed.
    """

    def __init__(self) -> None:
        self.analysed: list[str] = []

    def prepare(self, model: Model) -> Synthetic:
        self.analysed.append(model.id)
        level = "abc".index(model.id)
        synthetic = Synthetic(exponential(smooth(5 + level, 7 + level)), smooth(24.5 + 3 * level, 33 + 3 * level))
        encode = synthetic.encode
        synthetic.encode = lambda quality: with_hash(encode(quality), model)  # type: ignore[method-assign]
        return synthetic


def with_hash(container: Container, model: Model) -> Container:
    return replace(container, header=replace(container.header, model_hash=model.hash))


@pytest.mark.parametrize(("least", "model"), [(26, "a"), (32.9, "a"), (33.1, "b"), (35.9, "b"), (36.1, "c")])
def test_a_metric_is_reached_by_the_smallest_model_that_can(least: float, model: str) -> None:
    ladder = Jumping()
    trials = LadderTrials(RUNGS, ladder.prepare)
    found = search(trials, Target("psnr", least), BLANK)
    assert found.container.header.model_hash == model_named(model).hash
    assert least <= found.reached < least + 0.15
    assert len(ladder.analysed) <= 2
    assert len(set(ladder.analysed)) == len(ladder.analysed)


@pytest.mark.parametrize("most", [300, 1000, 3000, 8000])
def test_rates_are_met_on_a_ladder(most: int) -> None:
    ladder = Jumping()
    found = search(LadderTrials(RUNGS, ladder.prepare), Target("size", most), BLANK)
    assert 0.98 * most < found.reached <= most
    assert len(ladder.analysed) <= 2


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
    with pytest.raises(RequestError, match=f"no common scale: choose one of {rigid.id}"):
        encoding.encode(photo, zoo.Family("l3ic", (rigid,)), EncodeSettings(quality=50))
    with pytest.raises(RequestError, match="l3ic is a family of models: give a quality or a target too, or choose one"):
        encoding.encode(photo, zoo.Family("l3ic", (flexible,)), EncodeSettings())


def test_shallow_analyses_once(photo: Picture, rigid: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    analyses: list[EncodeSettings] = []
    codings: list[EncodeSettings] = []

    def analyse(picture: Picture, model: Model, settings: EncodeSettings, progress: object) -> str:
        analyses.append(settings)
        return "latents"

    def code(latents: str, picture: Picture, model: Model, settings: EncodeSettings) -> Container:
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
