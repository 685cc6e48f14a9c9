"""The lattice: every position once, and its neighbours decoded before it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream.lattice import CELL, PHASE_OF, PHASES, REACHES, lattice

EXTENTS = st.integers(1, 21)


@given(EXTENTS, EXTENTS)
def test_positions_are_sorted_by_phase_and_then_in_raster_order(height: int, width: int) -> None:
    grid = lattice(height, width)
    phases = np.array([PHASE_OF[p // width % CELL][p % width % CELL] for p in range(height * width)])
    assert grid.order.tolist() == sorted(range(height * width), key=lambda p: (phases[p], p))
    assert len(grid.phases) == PHASES
    for number, phase in enumerate(grid.phases):
        assert (phases[grid.order[phase.places]] == number).all()
    assert sum(phase.places.stop - phase.places.start for phase in grid.phases) == height * width


@given(EXTENTS, EXTENTS)
def test_planes_come_back(height: int, width: int) -> None:
    grid = lattice(height, width)
    planes = np.random.default_rng(0).integers(-9, 9, (3, height, width))
    sites = grid.sites(planes)
    assert sites[:, 1].tolist() == planes[1].ravel()[grid.order].tolist()
    np.testing.assert_array_equal(grid.planes(sites), planes)
    np.testing.assert_array_equal(grid.raster(sites), planes.transpose(1, 2, 0))


@given(EXTENTS, EXTENTS)
def test_neighbours_are_decoded_or_outside(height: int, width: int) -> None:
    for phase in lattice(height, width).phases:
        if phase.neighbours is not None:
            outside = phase.neighbours == height * width
            assert (phase.neighbours[~outside] < phase.places.start).all()


@pytest.mark.parametrize("phase", range(1, PHASES))
def test_inside_a_plane_four_different_neighbours_surround_a_position(phase: int) -> None:
    distance, diagonal = REACHES[phase - 1]
    grid = lattice(24, 28)
    found = grid.phases[phase]
    assert found.neighbours is not None
    rows, columns = np.divmod(grid.order[found.places], 28)
    inner = (rows >= 2) & (rows < 22) & (columns >= 2) & (columns < 26)
    around = grid.order[found.neighbours[:, inner]]
    offsets = np.stack(np.divmod(around, 28)) - np.stack([rows[inner], columns[inner]])[:, None]
    assert (np.abs(offsets).max(axis=0) == distance).all()
    assert ((offsets != 0).all(axis=0) == diagonal).all()
    assert (offsets.sum(axis=1) == 0).all()
