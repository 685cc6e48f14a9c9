"""The measurements of speed and memory measure what they say, on pictures small enough to run in every test."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.codecs.base import EncodeSettings
from nicodec.codecs.registry import codec_by_number
from nicodec.errors import RequestError
from nicodec.evaluation import entropy, speed, timing
from nicodec.evaluation.profiles import without_context
from nicodec.evaluation.synthetic import photo
from nicodec.images import Picture
from nicodec.models import zoo
from nicodec.models.zoo import Model


def test_the_test_photo_is_a_photo_like_picture() -> None:
    made = photo(200, 100)
    assert made.shape == (100, 200, 3)
    assert np.array_equal(made, photo(200, 100))
    assert 20 < made.std() < 80
    assert np.abs(np.diff(made.astype(int), axis=1)).mean() < 0.4 * made.std()


def test_shares_and_overhead_name_the_model(model: Model) -> None:
    rows = [*speed.shares(model, 96, 64, runs=1), *speed.overhead(model, 192, 128)]
    assert len(rows) == 4
    assert all(label.startswith(model.id) for label, _ in rows)
    for _, value in rows[:2]:
        assert float(value.split()[-1].rstrip("%")) > 0
    assert 0 <= float(rows[2][1].split("%")[0]) < 1.0


@pytest.mark.train
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize(
    ("pixels", "quality"), [(photo(312, 200), 100), (np.full((100, 156, 3), 90, np.uint8), 5)], ids=["escapes", "gaps"]
)
def test_shallow_files_are_close_to_the_ideal_of_their_tables(
    small_shallow: Model, pixels: npt.NDArray[np.uint8], quality: float, fast: bool
) -> None:
    """Symbols that escape count as they are coded, and so do whole groups of channels that are left out."""
    settings = EncodeSettings(quality=quality, effort=1, fast_decode=fast)
    picture = Picture(pixels=pixels)
    coded = codec_by_number(small_shallow.codec).encode(picture, small_shallow, settings)
    ideal = entropy.entropy_parts(small_shallow).ideal_bits(coded, small_shallow) / 8
    actual = sum(segment.size for segment in coded.segments)
    assert 0 < actual - ideal < 8 * len(coded.segments)


def test_codecs_of_others_have_no_known_parts() -> None:
    foreign = replace(zoo.find("l3ic-16c"), codec=250)
    with pytest.raises(RequestError, match="choose a model of nicodec's own codecs"):
        speed.shares(foreign)


def test_the_profile_without_context_keeps_the_other_settings() -> None:
    settings = EncodeSettings(quality=33, effort=2, threads=1)
    l3ic = zoo.find("l3ic-16c")
    assert without_context(settings, l3ic) == replace(settings, independent_channels=True)
    assert without_context(settings, replace(l3ic, codec=2)) == replace(settings, fast_decode=True)


def test_whole_decode_is_more_than_the_network() -> None:
    whole, network, difference = (
        float(value.split()[0]) for _, value in speed.whole_decode(zoo.find("l3ic-16c"), runs=1)
    )
    assert network > 0
    assert difference == pytest.approx(whole - network, abs=0.002)


@pytest.mark.skipif(timing.pin(1) is None, reason="the system cannot limit a process")
def test_processes_keep_to_their_cores() -> None:
    code = "import os; print(len(os.sched_getaffinity(0)))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, preexec_fn=timing.pin(1))
    assert int(found.stdout) == 1
    cores = timing.usable_cores()
    with timing.one_core():
        assert timing.usable_cores() == 1
    assert timing.usable_cores() == cores


def test_times_are_medians_after_a_first_run(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 1.0, 10.0, 19.0, 20.0, 22.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    runs: list[int] = []
    assert timing.median_time(lambda: runs.append(1), 3) == 2.0
    assert len(runs) == 4


def test_peak_memory_sees_what_a_process_allocates() -> None:
    idle = speed.peak_memory([sys.executable, "-c", "pass"])
    busy = speed.peak_memory([sys.executable, "-c", "x = b'1' * 200_000_000"])
    assert 150e6 < busy - idle < 260e6
