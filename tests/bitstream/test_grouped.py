"""Grouping by table index: a stable sort with its boundaries."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.grouped import group
from nicodec.errors import RequestError


def test_known_order() -> None:
    grouping = group(np.array([3, 0, 3, 1, 0]), 5)
    assert grouping.order.tolist() == [1, 4, 3, 0, 2]
    assert grouping.starts.tolist() == [0, 2, 3, 3, 5, 5]
    assert list(grouping.runs()) == [(0, 0, 2), (1, 2, 3), (3, 3, 5)]


@settings(deadline=None, max_examples=50)
@given(st.sampled_from([2, 256, 257, 65536]), st.data())
def test_is_the_stable_sort(table_count: int, data: st.DataObject) -> None:
    indexes = data.draw(st.lists(st.integers(0, table_count - 1), max_size=100))
    grouping = group(np.array(indexes, np.int64), table_count)
    assert grouping.order.tolist() == sorted(range(len(indexes)), key=indexes.__getitem__)
    for index, start, stop in grouping.runs():
        assert {indexes[i] for i in grouping.order[start:stop]} == {index}


def test_nothing_to_group() -> None:
    assert list(group(np.empty(0, np.int32), 4).runs()) == []


@pytest.mark.parametrize("indexes", [[-1], [4], [[0, 1]], [0.5]])
def test_rejects_impossible_indexes(indexes: list[float]) -> None:
    with pytest.raises(RequestError, match="table indexes"):
        group(np.array(indexes), 4)
