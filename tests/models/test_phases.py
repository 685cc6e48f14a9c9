"""Kernels of transposed convolutions taken apart and put together again."""

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.models.phases import Run, cell_runs, join_kernel, pad_before, runs_of, split_kernel

KINDS = [(18, 16), (13, 8), (9, 4), (6, 4), (5, 2), (4, 2), (8, 8), (11, 2), (3, 1)]


def random_kernel(*shape: int) -> npt.NDArray[np.float16]:
    """Without a zero."""
    return np.random.default_rng(0).uniform(0.5, 1.5, shape).astype(np.float16)


@pytest.mark.parametrize(("side", "stride"), KINDS)
def test_every_tap_is_in_one_cell(side: int, stride: int) -> None:
    runs = runs_of(side, stride)
    assert sorted(tap for run in runs for tap in run.taps.ravel()) == list(range(side))
    assert sum(run.phases for run in runs) == stride
    assert all(0 in run.sources for run in runs)


@pytest.mark.parametrize(("side", "stride"), KINDS)
def test_taps_lead_from_sources_to_phases(side: int, stride: int) -> None:
    """An input position at `source` writes its tap at stride * source - before + tap."""
    first = 0
    for run in runs_of(side, stride):
        places = stride * np.array(run.sources) - pad_before(side, stride) + run.taps
        np.testing.assert_array_equal(places, np.repeat(np.arange(run.phases)[:, None] + first, len(run.sources), 1))
        first += run.phases


def assert_comes_back(kernel: npt.NDArray[np.float16], runs: list[Run]) -> None:
    cells = split_kernel(kernel, runs)
    assert sum(np.count_nonzero(cell) for cell in cells.values()) == kernel.size
    joined = join_kernel(lambda i, j: cells[i, j], kernel.shape, runs)
    assert joined.dtype == np.float16
    np.testing.assert_array_equal(joined, kernel)


@pytest.mark.parametrize(("side", "stride"), KINDS)
def test_a_kernel_comes_back_exactly(side: int, stride: int) -> None:
    assert_comes_back(random_kernel(side, side, 3, 5), runs_of(side, stride))


@pytest.mark.parametrize("side", [2, 4, 5, 7, 11])
def test_one_cell_holds_a_kernel_with_zeros_between(side: int) -> None:
    kernel = random_kernel(side, side, 3, 5)
    runs = cell_runs(kernel.shape, 2)
    assert len(runs) == 1
    assert_comes_back(kernel, runs)


@pytest.mark.parametrize(
    ("shape", "stride", "number"),
    [
        ((13, 13, 12, 320), 8, 3),
        ((5, 5, 192, 192), 2, 2),
        ((5, 5, 3, 12), 2, 1),
        ((18, 18, 3, 320), 16, 0),
        ((9, 9, 3, 192), 4, 0),
        ((5, 5, 3, 192), 2, 0),
        ((3, 3, 12, 12), 1, 0),
    ],
)
def test_the_form_follows_from_the_shape(shape: tuple[int, ...], stride: int, number: int) -> None:
    assert len(cell_runs(shape, stride)) == number
