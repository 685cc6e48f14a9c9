"""The search for a quality: guarantees on every kind of scale, few trials on smooth ones, errors that name the range."""

import math
import re
from bisect import bisect_right
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream.container import Container, Segment, write
from nicodec.codecs.rate_control import METRIC_TOLERANCE, MOST_TRIALS, SIZE_TOLERANCE, Found, search
from nicodec.codecs.target import Kind, Target
from nicodec.codecs.trials import CodedTrials
from nicodec.errors import RequestError
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim

from .rate_scales import BLANK, SIDE, Curve, Synthetic, exponential, header, meets, smooth

OVERHEAD = 36


def between(knots: Sequence[float]) -> Curve:
    """The curve through equally spaced knots."""
    places = np.linspace(0, 100, len(knots))
    return lambda quality: float(np.interp(quality, places, knots))


def measured(kind: Kind, found: Found, trials: Synthetic) -> float:
    """What the found file has or reaches, measured anew."""
    size = len(write(found.container))
    rates = {"size": float(size), "bpp": 8 * size / SIDE**2}
    if kind in rates:
        return rates[kind]
    metric = psnr if kind == "psnr" else ms_ssim
    return metric(BLANK.pixels, trials.decode(found.container).pixels)


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
