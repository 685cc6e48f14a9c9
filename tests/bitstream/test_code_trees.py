"""Decision trees: plans that are refused, and codes that lead to cells and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.code_trees import MAX_DEPTH, ROOT, CodeTrees
from nicodec.bitstream.layer_coder import UNKNOWN
from nicodec.errors import FormatError

PLAN = np.array([[0, 1, 0], [2, 0, 1], [0, 0, 0]])


def any_trees(seed: int, coefficients: int = 6, layers: int = 4, channels: int = 5) -> CodeTrees:
    """A plan in which every coefficient comes as often as it may, drawn."""
    rng = np.random.default_rng(seed)
    pool = np.repeat(np.arange(coefficients), MAX_DEPTH)
    return CodeTrees(coefficients, rng.permutation(pool)[: layers * channels].reshape(layers, channels))


def test_depths_and_rounds_are_those_of_the_plan() -> None:
    trees = CodeTrees(3, PLAN)
    assert (trees.layers, trees.channels) == (3, 3)
    assert trees.depths.tolist() == [[0, 0, 0], [2, 1, 0], [3, 2, 1], [6, 2, 1]]
    assert trees.split_depths.tolist() == [[0, 0, 1], [0, 2, 1], [3, 4, 5]]
    assert [channels.tolist() for channels in trees.rounds(0)] == [[0, 1], [2]]
    assert [channels.tolist() for channels in trees.rounds(2)] == [[0], [1], [2]]


def test_cells_are_numbered_by_the_codes_that_lead_to_them() -> None:
    trees = CodeTrees(3, PLAN)
    cells = trees.roots(1)
    trees.advance(cells, 0, np.array([[1], [0], [1]], np.uint8))
    assert cells[:, 0].tolist() == [0b111, 0b10, ROOT]
    trees.advance(cells, 1, np.array([[1], [0], [1]], np.uint8))
    assert cells[:, 0].tolist() == [0b1110, 0b101, 0b11]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), coefficients=st.integers(3, 9))
def test_codes_lead_to_cells_and_back(seed: int, coefficients: int) -> None:
    trees = any_trees(seed, coefficients)
    codes = np.random.default_rng(seed).integers(0, 2, (trees.layers, trees.channels, 3, 2)).astype(np.uint8)
    cells = trees.roots(3, 2)
    for layer, some in enumerate(codes):
        trees.advance(cells, layer, some)
    assert np.array_equal(np.floor(np.log2(cells[:, 0, 0])), trees.depths[-1])
    assert all(np.array_equal(trees.codes(cells, layer), some) for layer, some in enumerate(codes))


def test_codes_that_did_not_arrive_leave_cells_as_they_are() -> None:
    trees = CodeTrees(3, PLAN)
    cells = trees.roots(2)
    trees.advance(cells, 0, np.array([[1, UNKNOWN], [0, 1], [UNKNOWN, UNKNOWN]], np.uint8))
    assert cells.tolist() == [[0b11, ROOT], [0b10, 0b11], [ROOT, ROOT]]


@pytest.mark.parametrize(
    ("coefficients", "plan"),
    [
        (3, PLAN[0]),
        (3, PLAN[:0]),
        (2, PLAN),
        (0, PLAN),
        (513, PLAN),
        (3, -PLAN),
        (3, np.zeros((MAX_DEPTH + 1, 1), np.int64)),
        (3, np.zeros((1, MAX_DEPTH + 1), np.int64)),
        (3, np.broadcast_to(np.int64(0), (1 << 40, 1))),  # would take a terabyte to count
        (512, np.arange(129)[None]),
    ],
)
def test_impossible_plans_are_refused(
    coefficients: int, plan: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]"
) -> None:
    with pytest.raises(FormatError, match="reinstall"):
        CodeTrees(coefficients, plan)
