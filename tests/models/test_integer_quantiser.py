"""Quantisation of float networks to integer ones: how close, and what is refused."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import FormatError, RequestError
from nicodec.models.integer_net import EXACT_LIMIT, IntegerNet
from nicodec.models.integer_quantiser import FloatLayer, quantise

from .integer_nets import KINDS, Planes, accumulate

Floats = npt.NDArray[np.float64]


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
