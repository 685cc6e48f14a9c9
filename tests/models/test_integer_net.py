"""Integer networks: the same integers everywhere, exactness guaranteed by the weights, and quantisation."""

import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.errors import FormatError, RequestError
from nicodec.models import integer_net
from nicodec.models.integer_net import EXACT_LIMIT, IntegerLayer, IntegerNet
from nicodec.models.integer_quantiser import FloatLayer, quantise

Planes = npt.NDArray[np.int32]
Wide = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Evaluate = Callable[[Planes], Planes]

KINDS = [(6, 4), (5, 2), (3, 1), (1, 1), (2, 2), (4, 1), (3, 3)]
"""Kernel and stride."""

EXTENTS = st.integers(1, 5)
THREADS = (1, 2)


def accumulate(kernel: npt.NDArray[Any], stride: int, planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The definition of a transposed convolution: every input position adds the kernel times its value."""
    side, (height, width) = len(kernel), planes.shape[1:]
    full = np.zeros((kernel.shape[2], (height - 1) * stride + side, (width - 1) * stride + side), planes.dtype)
    for y, x in np.ndindex(side, side):
        product = np.tensordot(kernel[y, x].astype(planes.dtype), planes, axes=1)
        full[:, y : y + height * stride : stride, x : x + width * stride : stride][:, :height, :width] += product
    start = (side - stride) // 2
    return full[:, start : start + height * stride, start : start + width * stride]


def reference(net: IntegerNet, planes: npt.NDArray[Any]) -> Wide:
    """The network in int64."""
    values: Wide = np.clip(planes.astype(np.int64), *net.input_range)
    for number, layer in enumerate(net.layers):
        sums = accumulate(layer.kernel, layer.stride, values) + layer.bias[:, None, None]
        last = number == len(net.layers) - 1
        values = np.clip(sums >> layer.shift[:, None, None].astype(np.int64), *(net.output_range if last else (0, 255)))
    return values


def random_layer(
    rng: np.random.Generator, kind: tuple[int, int], inputs: int, outputs: int, largest: int
) -> IntegerLayer:
    """Weights over all of int8; every other channel has a bias that takes its sums right up to the exact limit."""
    side, stride = kind
    kernel = rng.integers(-128, 128, (side, side, outputs, inputs), np.int8)
    layer = IntegerLayer(kernel, np.zeros(outputs, np.int32), rng.integers(7, 13, outputs, np.uint8), stride)
    to_the_limit = (EXACT_LIMIT - 1 - layer.peaks(largest)) * rng.choice([-1, 1], outputs)
    full = np.arange(outputs) % 2 == rng.integers(2)
    bias = np.where(full, to_the_limit, rng.integers(-10_000, 10_000, outputs))
    return replace(layer, bias=bias.astype(np.int32), shift=np.where(full, 16, layer.shift).astype(np.uint8))


def random_net(seed: int, kinds: Sequence[tuple[int, int]], channels: Sequence[int]) -> IntegerNet:
    rng = np.random.default_rng(seed)
    largest = [128] + [255] * (len(kinds) - 1)
    shapes = zip(kinds, channels[:-1], channels[1:], largest, strict=True)
    layers = tuple(random_layer(rng, kind, *shape) for kind, *shape in shapes)
    return IntegerNet(layers, (-128, 127), (-200, 255))


def random_planes(seed: int, *shape: int) -> Planes:
    """Small and extreme values, some of them outside of the input range."""
    rng = np.random.default_rng(seed)
    planes = rng.integers(-20, 21, shape, np.int32)
    extreme = rng.choice(np.array([-(2**31), -129, -128, 127, 128, 2**31 - 1], np.int32), shape)
    return np.where(rng.random(shape) < 0.3, extreme, planes)


@st.composite
def nets(draw: st.DrawFn) -> IntegerNet:
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3).filter(lambda k: np.prod(k, 0)[1] <= 16))
    channels = [draw(st.integers(1, 6)) for _ in range(len(kinds) + 1)]
    return random_net(draw(st.integers(0, 2**32 - 1)), kinds, channels)


def tiles(net: IntegerNet, height: int, width: int, side: int) -> Iterator[tuple[Any, Any, Any]]:
    """Slices of each tile with its halo in the input, and of the tile proper in its own and in the whole output."""
    for top, left in ((y, x) for y in range(0, height, side) for x in range(0, width, side)):
        cuts = [
            (max(start - net.halo, 0), start, min(start + side, extent), min(start + side + net.halo, extent))
            for start, extent in ((top, height), (left, width))
        ]
        yield (
            tuple(slice(first, end) for first, _, _, end in cuts),
            tuple(slice((start - first) * net.scale, (stop - first) * net.scale) for first, start, stop, _ in cuts),
            tuple(slice(start * net.scale, stop * net.scale) for _, start, stop, _ in cuts),
        )


def evaluate_in_tiles(net: IntegerNet, evaluate: Evaluate, planes: Planes, side: int) -> Planes:
    _, height, width = planes.shape
    result = np.full((net.outputs, height * net.scale, width * net.scale), -(2**31), np.int32)
    for window, inside, place in tiles(net, height, width, side):
        result[:, *place] = evaluate(np.ascontiguousarray(planes[:, *window]))[:, *inside]
    return result


def onnx_form(net: IntegerNet, threads: int) -> Evaluate:
    ort: Any = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from nicodec.models.integer_graph import integer_graph

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(integer_graph(net), options, providers=["CPUExecutionProvider"])

    def run(planes: Planes) -> Planes:
        result: Planes = session.run(None, {"planes": planes[None]})[0][0]
        return result

    return run


def keras_form(net: IntegerNet) -> Evaluate:
    """The network in `keras.ops` on float32, layer by layer as a trained model would run it."""
    ops: Any = pytest.importorskip("keras").ops

    def run(planes: Planes) -> Planes:
        x = ops.clip(planes.transpose(1, 2, 0)[None].astype(np.float32), *net.input_range)
        for number, layer in enumerate(net.layers):
            x = ops.conv_transpose(x, layer.kernel.astype(np.float32), layer.stride, padding="same")
            x = ops.floor((x + layer.bias.astype(np.float32)) * np.exp2(-layer.shift.astype(np.float32)))
            x = ops.clip(x, *(net.output_range if number == len(net.layers) - 1 else (0, 255)))
        result: Planes = np.asarray(x)[0].transpose(2, 0, 1).astype(np.int32)
        return result

    return run


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


@pytest.mark.train
@settings(deadline=None, max_examples=25)
@given(nets(), EXTENTS, EXTENTS, st.integers(0, 2**32 - 1))
def test_onnx_runtime_and_tensorflow_give_the_same(net: IntegerNet, height: int, width: int, seed: int) -> None:
    planes = random_planes(seed, net.inputs, height, width)
    whole = net(planes)
    for evaluate in (*(onnx_form(net, threads) for threads in THREADS), keras_form(net)):
        np.testing.assert_array_equal(evaluate(planes), whole)


@pytest.mark.train
def test_a_wide_network_gives_the_same_everywhere_whole_and_tiled() -> None:
    """Enough channels and positions for every runtime to block, vectorise and share out its sums."""
    net = random_net(3, [(3, 1), (6, 4)], [40, 48, 65])
    planes = random_planes(3, 40, 13, 21)
    whole = net(planes)
    np.testing.assert_array_equal(whole, reference(net, planes))
    forms: list[Evaluate] = [net, *(onnx_form(net, threads) for threads in THREADS), keras_form(net)]
    for evaluate in forms:
        np.testing.assert_array_equal(evaluate(planes), whole)
        np.testing.assert_array_equal(evaluate_in_tiles(net, evaluate, planes, 9), whole)


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


def stored(net: IntegerNet) -> dict[str, npt.NDArray[Any]]:
    file = BytesIO()
    arrays: dict[str, Any] = net.to_arrays("hyper")
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file) as loaded:
        return dict(loaded)


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


@pytest.mark.train
def test_same_network_same_portable_file() -> None:
    onnx: Any = pytest.importorskip("onnx")
    from nicodec.models.integer_graph import integer_graph

    net = random_net(13, [(3, 1), (6, 4)], [20, 30, 40])
    file = integer_graph(net)
    assert integer_graph(IntegerNet.from_arrays(stored(net), "hyper")) == file
    model = onnx.load_model_from_string(file)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert len(file) < 1.1 * sum(layer.kernel.size for layer in net.layers) + 4096


def test_importing_loads_no_runtime() -> None:
    heavy = "{'onnx', 'onnxruntime', 'keras', 'tensorflow', 'scipy'}"
    code = f"import sys; import nicodec.models.integer_net; print(*({heavy} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


def float_layer(seed: int, kind: tuple[int, int], inputs: int, outputs: int, *, transposed: bool = True) -> FloatLayer:
    rng = np.random.default_rng(seed)
    shape = (outputs, inputs) if transposed else (inputs, outputs)
    kernel = rng.normal(0, 1 / np.sqrt(inputs * (kind[0] / kind[1]) ** 2), (kind[0], kind[0], *shape))
    return FloatLayer(kernel, rng.normal(0, 1, outputs), kind[1], transposed)


def latents(seed: int, *shape: int) -> Planes:
    return np.round(np.random.default_rng(seed).laplace(0, 3, shape)).clip(-128, 127).astype(np.int32)


def float_reference(layers: Sequence[FloatLayer], planes: Planes) -> Floats:
    """The float network in float64."""
    values: Floats = planes.astype(np.float64)
    for number, layer in enumerate(layers):
        bias = layer.bias.astype(np.float64)[:, None, None]
        values = accumulate(layer.kernel_transposed, layer.stride, values) + bias
        if number < len(layers) - 1:
            values = np.maximum(values, 0)
    return values


def quantised(layers: Sequence[FloatLayer], calibration: Planes, unit: Any = 1 / 16, **changes: Any) -> IntegerNet:
    ranges: dict[str, Any] = {"input_range": (-128, 127), "output_range": (-32768, 32767)}
    return quantise(layers, [calibration], output_unit=unit, **ranges | changes)


@pytest.mark.train
@pytest.mark.parametrize("side", [1, 3, 5])
def test_a_convolution_is_that_of_keras(side: int) -> None:
    ops: Any = pytest.importorskip("keras").ops
    layer = float_layer(20, (side, 1), 3, 4, transposed=False)
    planes = latents(20, 3, 5, 6)
    x = planes.transpose(1, 2, 0)[None].astype(np.float32)
    expected = np.asarray(ops.conv(x, layer.kernel.astype(np.float32), padding="same"))[0].transpose(2, 0, 1)
    np.testing.assert_allclose(float_reference([layer], planes), expected + layer.bias[:, None, None], atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unit", [1 / 16, 0.7])
def test_one_quantised_layer_is_as_close_as_its_weights(kind: tuple[int, int], unit: float) -> None:
    """Rounding costs half a unit of the output, half a weight unit (unit / 2^shift) for each input and for the bias."""
    layer = float_layer(21, kind, 7, 5)
    planes = latents(21, 7, 8, 9)
    net = quantised([layer], planes, unit)
    weight_units = unit / np.exp2(net.layers[0].shift.astype(np.float64))
    reached = accumulate(np.ones(layer.kernel.shape), layer.stride, np.abs(planes).astype(np.float64))
    allowed = unit / 2 + weight_units[:, None, None] / 2 * (reached + 1)
    assert (np.abs(net(planes) * unit - float_reference([layer], planes)) <= allowed + 1e-9).all()
    assert (np.abs(net.layers[0].kernel.astype(int)).max(axis=(0, 1, 3)) >= 63).all()


def error_ratio(layers: Sequence[FloatLayer], unit: Any = 1 / 64, **changes: Any) -> float:
    """Error of the quantised network on planes that it was not calibrated on, relative to the spread of the output."""
    inputs = layers[0].kernel_transposed.shape[3]
    planes = latents(22, inputs, 12, 14)
    expected = float_reference(layers, planes)
    result = quantised(layers, latents(23, inputs, 40, 40), unit, **changes)(planes)
    steps = np.broadcast_to(np.asarray(unit), expected.shape[:1])[:, None, None]
    return float((result * steps - expected).std() / expected.std())


CHAIN = [
    float_layer(24, (3, 1), 12, 16, transposed=False),
    float_layer(25, (5, 2), 16, 16),
    float_layer(26, (6, 4), 16, 10),
]


def test_a_quantised_chain_is_close() -> None:
    """8 bits, of which a power-of-two requantisation may leave one unused, err by about 1% of the spread in each layer
    (a weight unit is 1/127 to 1/63 of the largest weight, an activation unit 1/510 to 1/255 of the range); three layers
    that err independently reach 2%."""
    assert error_ratio(CHAIN) < 0.02


def test_channels_of_any_scale_are_folded() -> None:
    """A channel that is large in one layer and weighs little in the next is the same network, and quantised as well."""
    scales = 10.0 ** np.linspace(-4, 4, 16)
    first, second, third = CHAIN
    scaled = [
        replace(first, kernel=first.kernel * scales, bias=first.bias * scales),
        replace(second, kernel=second.kernel / scales),
        third,
    ]
    planes = latents(22, 12, 5, 5)
    np.testing.assert_allclose(float_reference(scaled, planes), float_reference(CHAIN, planes), atol=1e-9)
    assert error_ratio(scaled) < 0.02


def test_output_units_by_channel() -> None:
    units = np.array([1 / 64, 1 / 16, 1 / 4, 1, 1 / 50, 1 / 64, 1 / 64, 1 / 64, 1 / 64, 1 / 64])
    net = quantised(CHAIN, latents(23, 12, 40, 40), units)
    planes = latents(22, 12, 12, 14)
    expected = float_reference(CHAIN, planes)
    error = np.abs(net(planes) * units[:, None, None] - expected)
    assert (error.mean(axis=(1, 2)) < units / 2 + 0.03 * expected.std()).all()


def test_weights_give_way_where_sums_are_long() -> None:
    """With full int8 weights, 700 inputs of one sign and nine taps would sum to over ten times what is exact."""
    rng = np.random.default_rng(27)
    wide = FloatLayer(rng.uniform(0.5, 1, (1, 1, 700, 4)), np.full(700, 50.0))
    long = FloatLayer(rng.uniform(0.5, 1, (3, 3, 5, 700)) * [[-1], [1], [-1], [1], [1]], np.zeros(5))
    (_, layer) = quantised([wide, long], latents(23, 4, 20, 20), unit=20.0).layers
    assert np.abs(layer.kernel.astype(int)).max() < 16
    assert EXACT_LIMIT / 4 < layer.peaks(255).max() < EXACT_LIMIT
    assert error_ratio([wide, long], unit=20.0) < 0.05


def test_channels_that_say_nothing() -> None:
    """Zero weights, a constant, and a channel that calibration never sees above zero."""
    kernel = np.random.default_rng(29).normal(0, 1, (3, 3, 4, 2))
    kernel[:, :, :2] = 0
    first = FloatLayer(kernel, np.array([0.0, 1000.0, -1e5, 0.1]))
    last = FloatLayer(np.array([[[[0.5, 0.002, 0.3, 1.0], [0.0] * 4]]]), np.array([0.5, -7.25]))
    planes = latents(29, 2, 9, 9)
    result = quantised([first, last], planes)(planes) / 16
    assert np.abs(result - float_reference([first, last], planes)).max() < 0.5
    assert (result[1] == -7.25).all()


def test_calibration_sees_what_the_network_sees() -> None:
    """|x| as the sum of two rectified channels: unless they are rectified in calibration too, nothing is left of it."""
    halves = FloatLayer(np.array([[[[1.0], [-1.0]]]]), np.zeros(2))
    whole = FloatLayer(np.ones((1, 1, 1, 2)), np.zeros(1))
    same = FloatLayer(np.ones((1, 1, 1, 1)), np.zeros(1))
    planes = np.arange(-127, 128, dtype=np.int32).reshape(1, 15, 17)
    result = quantised([halves, whole, same], planes, percentile=100)(planes) / 16
    assert np.abs(result - np.abs(planes)).max() < 1


def test_outliers_are_clipped_beyond_the_percentile() -> None:
    planes = np.ones((1, 40, 50), np.int32)
    planes[0, 0, 0] = 100
    layers = [FloatLayer(np.ones((1, 1, 1, 1)), np.zeros(1)), FloatLayer(np.ones((1, 1, 1, 1)), np.zeros(1))]
    most, every = (quantised(layers, planes, percentile=p)(planes) / 16 for p in (99.0, 100.0))
    assert every[0, 0, 0] == pytest.approx(100, abs=1)
    assert most[0, 0, 0] < 3
    assert most[0, 1, 1] == pytest.approx(1, abs=0.07)


def test_output_range_clips() -> None:
    planes = latents(23, 12, 10, 10)
    wide, narrow = quantised(CHAIN, planes), quantised(CHAIN, planes, output_range=(-3, 5))
    assert wide(planes).max() > 5
    np.testing.assert_array_equal(narrow(planes), wide(planes).clip(-3, 5))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"kernel": np.ones((3, 3, 2))}, "kernel"),
        ({"kernel": np.ones((3, 1, 2, 2))}, "square"),
        ({"bias": np.ones(3)}, "bias"),
        ({"stride": 0}, "stride 0"),
        ({"stride": 4}, "stride 4"),
        ({"transposed": False, "stride": 2}, "convolution 3/2"),
        ({"transposed": False, "kernel": np.ones((4, 4, 2, 2))}, "convolution 4/1"),
        ({"bias": np.array([0.0, np.nan])}, "not finite"),
        ({"kernel": np.full((3, 3, 2, 2), np.inf)}, "not finite"),
    ],
)
def test_float_layers_that_have_no_integer_form(changes: dict[str, Any], reason: str) -> None:
    layer = FloatLayer(np.ones((3, 3, 2, 2)), np.ones(2))
    with pytest.raises(RequestError, match=reason):
        replace(layer, **changes)


@pytest.mark.parametrize(
    ("layers", "planes", "changes", "reason"),
    [
        ([], latents(1, 12, 2, 2), {}, "0 layers"),
        (CHAIN, latents(1, 12, 2, 2), {"percentile": 0}, "percentile 0"),
        (CHAIN, latents(1, 11, 2, 2), {}, r"12 channels meets planes \(11, 2, 2\)"),
        (CHAIN[1:], latents(1, 16, 2), {}, r"planes \(16, 2\)"),
        ([CHAIN[0], CHAIN[0]], latents(1, 12, 2, 2), {}, r"12 channels meets planes \(16, 2, 2\)"),
        (CHAIN, latents(1, 12, 2, 2), {"unit": 0.0}, "output unit"),
        (CHAIN, latents(1, 12, 2, 2), {"unit": np.nan}, "output unit"),
        (CHAIN[:1], latents(1, 12, 2, 2), {"unit": 1e-4}, "larger unit"),
    ],
)
def test_quantisation_that_cannot_be(layers: Any, planes: Any, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RequestError, match=reason):
        quantised(layers, planes, **changes)


def test_quantising_to_a_range_beyond_int16() -> None:
    with pytest.raises(FormatError, match="output range"):
        quantised(CHAIN, latents(1, 12, 2, 2), output_range=(0, 70_000))
