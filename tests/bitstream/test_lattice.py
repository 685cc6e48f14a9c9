"""The lattice: every position once, and its neighbours decoded before it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream.lattice import PHASES, REACHES, lattice


@given(st.integers(1, 21), st.integers(1, 21))
def test_every_position_is_in_one_phase(height: int, width: int) -> None:
    phases = lattice(height, width)
    assert len(phases) == PHASES
    assert sorted(np.concatenate([p.positions for p in phases]).tolist()) == list(range(height * width))


@given(st.integers(1, 21), st.integers(1, 21))
def test_neighbours_are_decoded_or_outside(height: int, width: int) -> None:
    done = np.zeros(height * width + 1, bool)
    done[-1] = True
    for phase in lattice(height, width):
        if phase.neighbours is not None:
            assert done[phase.neighbours].all()
        done[phase.positions] = True


@pytest.mark.parametrize("phase", range(1, PHASES))
def test_inside_a_plane_four_different_neighbours_surround_a_position(phase: int) -> None:
    distance, diagonal = REACHES[phase - 1]
    found = lattice(24, 28)[phase]
    assert found.neighbours is not None
    rows, columns = np.divmod(found.positions, 28)
    inner = (rows >= 2) & (rows < 22) & (columns >= 2) & (columns < 26)
    around = found.neighbours[:, inner]
    assert (around < 24 * 28).all()
    offsets = np.stack(np.divmod(around, 28)) - np.stack([rows[inner], columns[inner]])[:, None]
    assert (np.abs(offsets).max(axis=0) == distance).all()
    assert ((offsets != 0).all(axis=0) == diagonal).all()
    assert (offsets.sum(axis=1) == 0).all()
