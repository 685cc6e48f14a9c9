"""Quantisation tables of a family."""

import numpy as np
import pytest

from nicodec.models.step_tables import FLAT, TableShape, whole_steps


def test_flat_is_flat() -> None:
    np.testing.assert_array_equal(FLAT, np.ones((2, 8, 8), np.float32))
    np.testing.assert_array_equal(whole_steps(FLAT, 20.4), np.full((2, 8, 8), 20))


@pytest.mark.parametrize("shape", [TableShape(slope=0.3, chroma=0.7), TableShape(slope=0.2, bend=0.05)])
def test_steps_grow_with_the_frequency(shape: TableShape) -> None:
    """Along both axes alike, from the mean on; the geometric mean of luma is one, chroma is a multiple of it."""
    luma, chroma = shape.tables()
    np.testing.assert_allclose(luma, luma.T)
    assert np.all(np.diff(luma, axis=0) > 0)
    assert np.exp(np.mean(np.log(luma))) == pytest.approx(1.0, abs=1e-6)
    np.testing.assert_allclose(chroma, shape.chroma * luma, rtol=1e-6)
    assert luma[0, 3] / luma[0, 0] == pytest.approx(1 + 3 * shape.slope + 9 * shape.bend, rel=1e-6)


def test_places_may_have_steps_of_their_own() -> None:
    luma, _ = TableShape(slope=0.5).tables({(0, 7): 1.0, (3, 2): 0.5})
    assert luma[0, 7] == luma[0, 0] == 2.0 * luma[3, 2]
    assert luma[7, 0] > luma[0, 0]
    assert np.exp(np.mean(np.log(luma))) == pytest.approx(1.0, abs=1e-6)


def test_whole_steps_fit_into_bytes() -> None:
    steps = whole_steps(TableShape(slope=1.0).tables(), 255)
    assert steps.dtype == np.uint8
    assert steps.max() == 255
    assert whole_steps(TableShape(slope=1.0).tables(), 1).min() == 1
