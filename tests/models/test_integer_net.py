"""Integer networks: the integers of the definition, whole, in strips and in tiles."""

import subprocess
import sys
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.errors import RequestError
from nicodec.models import integer_net
from nicodec.models.integer_net import IntegerLayer, IntegerNet

from .integer_nets import EXTENTS, evaluate_in_tiles, nets, random_net, random_planes, reference


@settings(deadline=None, max_examples=80)
@given(nets(), EXTENTS, EXTENTS, st.integers(0, 2**32 - 1))
def test_equals_the_definition_in_int64(net: IntegerNet, height: int, width: int, seed: int) -> None:
    planes = random_planes(seed, net.inputs, height, width)
    result = net(planes)
    assert result.dtype == np.int32
    assert result.shape == (net.outputs, height * net.scale, width * net.scale)
    np.testing.assert_array_equal(result, reference(net, planes))


def test_uses_its_range() -> None:
    """The random networks of these tests are not saturated everywhere, so that equal outputs mean something."""
    net = random_net(0, [(5, 2), (5, 2)], [6, 6, 6])
    result = net(random_planes(1, 6, 9, 9))
    assert sum(len(np.unique(plane)) > 50 for plane in result) >= 3


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64, np.uint64])
def test_takes_any_integers(dtype: type[np.integer[Any]]) -> None:
    net = random_net(2, [(3, 1)], [2, 3])
    limits = np.iinfo(dtype)
    planes = np.array([limits.min, 0, 1, limits.max], dtype).reshape(1, 2, 2).repeat(2, axis=0)
    clipped = np.array([np.clip(int(v), -128, 127) for v in planes.ravel()], np.int64).reshape(planes.shape)
    np.testing.assert_array_equal(net(planes), reference(net, clipped))


@settings(deadline=None, max_examples=40)
@given(nets(), EXTENTS, EXTENTS, st.integers(1, 4))
def test_tiles_with_halo_equal_the_whole(net: IntegerNet, height: int, width: int, side: int) -> None:
    planes = random_planes(4, net.inputs, height, width)
    np.testing.assert_array_equal(evaluate_in_tiles(net, net, planes, side), net(planes))


@pytest.mark.parametrize("kinds", [[(3, 1)], [(6, 4)], [(5, 2), (5, 2)], [(3, 1), (3, 1)]])
def test_a_smaller_halo_is_not_enough(kinds: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    net = random_net(5, kinds, [4] * (len(kinds) + 1))
    planes = random_planes(5, 4, 12, 12)
    whole, halo = net(planes), net.halo
    monkeypatch.setattr(IntegerNet, "halo", halo - 1)
    assert (evaluate_in_tiles(net, net, planes, 4) != whole).any()


@settings(deadline=None, max_examples=40)
@given(nets(), EXTENTS, EXTENTS, st.data())
def test_rows_equal_those_of_the_whole(net: IntegerNet, height: int, width: int, data: st.DataObject) -> None:
    planes = random_planes(6, net.inputs, height, width)
    top = data.draw(st.integers(0, height * net.scale - 1))
    bottom = data.draw(st.integers(top + 1, height * net.scale))
    np.testing.assert_array_equal(net.rows(planes, top, bottom), net(planes)[:, top:bottom])


@pytest.mark.parametrize("values", [1, 1 << 12])
def test_strips_equal_the_whole(values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    net = random_net(7, [(5, 2), (3, 1), (6, 4)], [3, 4, 5, 6])
    planes = random_planes(7, 3, 11, 4)
    whole = net(planes)
    monkeypatch.setattr(integer_net, "_STRIP_VALUES", values)
    np.testing.assert_array_equal(net(planes), whole)
    np.testing.assert_array_equal(net.rows(planes, 13, 71), whole[:, 13:71])


def test_memory_beside_the_result_is_bounded() -> None:
    net = random_net(8, [(3, 1), (2, 2)], [8, 64, 1])
    planes = np.zeros((8, 4000, 64), np.int32)
    net(planes[:, :1])
    tracemalloc.start()
    result = net(planes)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    hidden = 4 * 64 * 4000 * 64
    assert peak - result.nbytes < 32 << 20 < hidden


@pytest.mark.parametrize(
    ("planes", "reason"),
    [
        (np.zeros((2, 3, 3), np.float32), "float32"),
        (np.zeros((3, 3), np.int32), r"\(3, 3\)"),
        (np.zeros((3, 3, 3), np.int32), r"takes integers \(2, h, w\)"),
        (np.zeros((2, 0, 3), np.int32), "empty"),
    ],
)
def test_planes_that_do_not_fit(planes: Any, reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        random_net(12, [(3, 1)], [2, 3])(planes)


@pytest.mark.parametrize(("top", "bottom"), [(-1, 2), (2, 2), (0, 13)])
def test_rows_that_do_not_exist(top: int, bottom: int) -> None:
    with pytest.raises(RequestError, match="of 12"):
        random_net(12, [(6, 4)], [2, 3]).rows(np.zeros((2, 3, 3), np.int32), top, bottom)


@pytest.mark.parametrize(
    ("kinds", "channels", "scale", "halo", "macs"),
    [
        ([(6, 4)], [64, 640], 4, 1, 36 * 64 * 640),
        ([(5, 2), (5, 2)], [8, 16, 32], 4, 2, 25 * 8 * 16 + 4 * 25 * 16 * 32),
        ([(1, 1)], [3, 5], 1, 0, 15),
        ([(3, 1), (3, 1), (2, 2)], [1, 1, 1, 1], 2, 2, 9 + 9 + 4),
    ],
)
def test_geometry_and_cost(kinds: Any, channels: list[int], scale: int, halo: int, macs: int) -> None:
    net = IntegerNet(
        tuple(
            IntegerLayer(np.zeros((k, k, o, i), np.int8), np.zeros(o, np.int32), np.zeros(o, np.uint8), s)
            for (k, s), i, o in zip(kinds, channels[:-1], channels[1:], strict=True)
        ),
        (-128, 127),
        (0, 1),
    )
    assert (net.inputs, net.outputs, net.scale, net.halo) == (channels[0], channels[-1], scale, halo)
    assert net.macs_per_pixel(64) == macs / 4096


def test_importing_loads_no_runtime() -> None:
    heavy = "{'onnx', 'onnxruntime', 'keras', 'tensorflow', 'scipy'}"
    code = f"import sys; import nicodec.models.integer_net; print(*({heavy} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
