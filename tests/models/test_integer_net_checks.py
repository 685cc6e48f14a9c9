"""Integer networks are exact by their weights alone, and refuse what is not or is damaged."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.errors import FormatError
from nicodec.models.integer_net import IntegerLayer, IntegerNet

from .integer_nets import Wide, accumulate, nets, random_net, random_planes, stored


def worst_sums(layer: IntegerLayer, largest: int) -> Wide:
    """Largest sum of magnitudes that any output position of each channel can see, from the weights alone."""
    planes = np.full((layer.inputs, 7, 7), largest, np.int64)
    sums = accumulate(np.abs(layer.kernel.astype(np.int64)), layer.stride, planes)
    worst: Wide = sums.max(axis=(1, 2)) + np.abs(layer.bias.astype(np.int64))
    return worst


@settings(deadline=None)
@given(nets())
def test_no_sum_can_leave_the_exact_integers(net: IntegerNet) -> None:
    for layer, largest in zip(net.layers, [128, 255, 255], strict=False):
        worst = worst_sums(layer, largest)
        np.testing.assert_array_equal(layer.peaks(largest), worst)
        assert worst.max() < 2**24


@settings(deadline=None)
@given(nets(), st.data())
def test_sums_beyond_the_exact_integers_are_refused(net: IntegerNet, data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(net.layers) - 1))
    layer = net.layers[number]
    channel = data.draw(st.integers(0, layer.outputs - 1))
    sign = data.draw(st.sampled_from([-1, 1]))
    worst = worst_sums(replace(layer, bias=np.zeros_like(layer.bias)), 255 if number else 128)

    def with_sum(total: int) -> IntegerNet:
        bias = layer.bias.copy()
        bias[channel] = sign * (total - worst[channel])
        layers = (*net.layers[:number], replace(layer, bias=bias), *net.layers[number + 1 :])
        return replace(net, layers=layers)

    with_sum(2**24 - 1)
    with pytest.raises(FormatError, match=rf"sums of layer {number} reach 16777216, exact below 16777216"):
        with_sum(2**24)


def test_the_input_range_counts_in_the_bound() -> None:
    net = random_net(9, [(3, 1)], [2, 2])
    replace(net, input_range=(0, 128))
    with pytest.raises(FormatError, match="layer 0"):
        replace(net, input_range=(-129, 0))


def valid_layer(**changes: Any) -> IntegerLayer:
    layer = IntegerLayer(np.ones((3, 3, 4, 2), np.int8), np.zeros(4, np.int32), np.full(4, 5, np.uint8))
    return replace(layer, **changes)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kernel": np.ones((3, 3, 4, 2), np.int16)}, "kernel is int16"),
        ({"bias": np.zeros(4)}, "bias is float64"),
        ({"shift": np.zeros(4, np.int8)}, "shift is int8"),
        ({"kernel": np.ones((3, 3, 4), np.int8)}, "kernel shape"),
        ({"kernel": np.ones((3, 5, 4, 2), np.int8)}, "kernel shape"),
        ({"kernel": np.ones((3, 3, 4, 0), np.int8)}, "kernel shape"),
        ({"bias": np.zeros(3, np.int32)}, r"bias \(3,\)"),
        ({"shift": np.zeros((4, 1), np.uint8)}, r"shift \(4, 1\)"),
        ({"shift": np.full(4, 24, np.uint8)}, "shift over 23"),
        ({"stride": 0}, "stride 0"),
        ({"stride": 4}, "stride 4"),
    ],
)
def test_a_damaged_layer_is_refused(changes: dict[str, Any], reason: str) -> None:
    valid_layer()
    with pytest.raises(FormatError, match=rf"{reason}.*reinstall") as caught:
        valid_layer(**changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layers": ()}, "no layer"),
        ({"layers": (valid_layer(), valid_layer())}, "layer 1 reads 2 channels of 4"),
        ({"input_range": (1, 0)}, "input range"),
        ({"input_range": (-32769, 0)}, "input range"),
        ({"output_range": (0, 32768)}, "output range"),
    ],
)
def test_a_damaged_network_is_refused(changes: dict[str, Any], reason: str) -> None:
    net = IntegerNet((valid_layer(),), (-128, 127), (-9, 9))
    with pytest.raises(FormatError, match=reason):
        replace(net, **changes)


def test_arrays_are_read_only_copies() -> None:
    kernel = np.ones((3, 3, 4, 2), np.int8)
    layer = valid_layer(kernel=kernel)
    kernel[:] = 7
    assert (layer.kernel == 1).all()
    with pytest.raises(ValueError, match="read-only"):
        layer.kernel[0] = 2


@settings(deadline=None, max_examples=25)
@given(nets())
def test_comes_back_from_arrays(net: IntegerNet) -> None:
    arrays = stored(net)
    copy = IntegerNet.from_arrays({**arrays, "other": np.zeros(1)}, "hyper")
    planes = random_planes(10, net.inputs, 3, 4)
    np.testing.assert_array_equal(copy(planes), net(planes))
    assert {name: array.tolist() for name, array in copy.to_arrays("hyper").items()} == {
        name: array.tolist() for name, array in arrays.items()
    }
    kinds = {"kernel": np.int8, "bias": np.int32, "shift": np.uint8, "ranges": np.int16, "strides": np.uint8}
    for name, array in arrays.items():
        assert array.dtype == kinds[name.removeprefix("hyper_").rstrip("012")]


@pytest.mark.parametrize("name", ["ranges", "strides", "kernel0", "bias0", "shift1"])
def test_missing_arrays_are_named(name: str) -> None:
    arrays = stored(random_net(11, [(3, 1), (5, 2)], [2, 3, 4]))
    del arrays[f"hyper_{name}"]
    with pytest.raises(FormatError, match=rf"'hyper_{name}' is missing.*reinstall"):
        IntegerNet.from_arrays(arrays, "hyper")


@pytest.mark.parametrize("name", ["ranges", "strides", "kernel0", "bias0", "shift1"])
@pytest.mark.parametrize("damage", ["type", "shape"])
def test_damaged_arrays_are_refused(name: str, damage: str) -> None:
    arrays = stored(random_net(11, [(3, 1), (5, 2)], [2, 3, 4]))
    array = arrays[f"hyper_{name}"]
    arrays[f"hyper_{name}"] = array.astype(np.int64) if damage == "type" else array[..., None]
    with pytest.raises(FormatError, match="damaged"):
        IntegerNet.from_arrays(arrays, "hyper")


def test_arrays_of_inexact_weights_are_refused() -> None:
    arrays = stored(random_net(11, [(3, 1)], [2, 3]))
    arrays["hyper_bias0"] = np.full(3, -(2**31), np.int32)
    with pytest.raises(FormatError, match="sums of layer 0"):
        IntegerNet.from_arrays(arrays, "hyper")
