"""Trees that grow: they spend codes where those lower errors most, and their numbers are those of the samples."""

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.codecs.cells import NEVER, CellTables
from nicodec.training.trees import grow

Floats = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def samples() -> Floats:
    """Two coefficients, the first ten times as large as the second."""
    rng = np.random.default_rng(1)
    return (rng.laplace(size=(20_000, 2)) * [1.0, 0.1]).astype(np.float32)


def grown(samples: Floats, price: float = 0.0, layers: int = 3, channels: int = 2) -> CellTables:
    return grow(samples, np.ones(samples.shape[1]), np.ones(len(samples)), [price] * layers, channels)


def errors(tables: CellTables, samples: Floats) -> list[float]:
    """Mean squared error of what every layer tells, both coefficients together."""
    final, found = tables.find(samples.T), []
    cells = tables.trees.roots(len(samples))
    for layer in range(tables.trees.layers):
        tables.trees.advance(cells, layer, tables.trees.codes(final, layer))
        found.append(float(np.square(tables.means_of(cells) - samples.T).sum(axis=0).mean()))
    return found


def test_codes_go_where_errors_are_largest(samples: Floats) -> None:
    tables = grown(samples)
    assert tables.trees.plan[0].tolist() == [0, 0]
    assert set(tables.trees.plan.ravel().tolist()) == {0, 1}
    assert (np.diff(errors(tables, samples)) < 0).all()


def test_a_coefficient_gets_no_more_codes_than_it_may_have(samples: Floats) -> None:
    tables = grown(samples, layers=7, channels=2)
    assert tables.trees.depths[-1].tolist() == [7, 7]
    assert errors(tables, samples)[-1] < 0.005


def test_two_bits_are_as_good_as_a_quantiser_of_four_levels(samples: Floats) -> None:
    """Lloyd and Max's for a Laplacian of unit variance has an error of .176."""
    tables = grow(samples[:, :1] / samples[:, 0].std(), np.ones(1), np.ones(len(samples)), [0.0], 2)
    assert errors(tables, samples[:, :1] / samples[:, 0].std())[0] < 1.35 * 0.176


def test_costly_bits_split_off_what_is_rare(samples: Floats) -> None:
    cheap, costly = (grown(samples, price, 1, 1).thresholds[0, 1] for price in (0.0, 0.5))
    assert abs(costly) > abs(cheap) + 0.5


def test_cells_are_not_split_where_that_does_not_pay(samples: Floats) -> None:
    tables = grown(samples, 1000.0)
    assert (tables.thresholds == NEVER).all()
    assert (tables.find(samples.T) == 1 << tables.trees.depths[-1][:, None]).all()


def test_numbers_of_cells_are_those_of_their_samples(samples: Floats) -> None:
    tables = grown(samples)
    cells = tables.find(samples.T)[0]
    for cell in np.unique(cells):
        inside = samples[cells == cell, 0]
        assert tables.means[0, cell] == pytest.approx(inside.mean(), abs=1e-4)
        assert tables.deviations[0, cell] == pytest.approx(inside.std(), abs=1e-3)
    assert tables.deviations[0, 1] == pytest.approx(samples[:, 0].std(), rel=1e-3)
    assert np.isfinite(tables.means).all()
    above, below = (tables.means[0, 2 + code] for code in (1, 0))
    assert below < tables.thresholds[0, 1] < above


def test_samples_that_count_more_are_told_more_exactly(samples: Floats) -> None:
    small = np.abs(samples[:, 0]) < 0.5
    finer = grow(samples[:, :1], np.ones(1), np.where(small, 10.0, 0.1), [0.0], 3)
    plain = grow(samples[:, :1], np.ones(1), np.ones(len(samples)), [0.0], 3)
    first, second = (len(np.unique(tables.find(samples[small, :1].T))) for tables in (finer, plain))
    assert first >= second + 2


def test_tables_survive_their_arrays(samples: Floats) -> None:
    tables = grown(samples)
    again = CellTables.from_arrays(tables.trees, tables.to_arrays())
    assert np.allclose(again.means, tables.means, rtol=1e-3, atol=1e-6)
    assert (again.thresholds[tables.thresholds == NEVER] == NEVER).all()
