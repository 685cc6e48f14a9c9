"""Makes an exact integer network of a trained float one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RequestError
from .integer_net import EXACT_LIMIT, MAX_ACTIVATION, MAX_SHIFT, IntegerLayer, IntegerNet
from .transposed_convolution import Floats, TransposedConvolution, peaks

_MAX_WEIGHT = 127

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FloatLayer:
    """A layer of a float network that is to be quantised; a ReLU follows each but the last.

    Attributes:
        kernel: floats in Keras' layout: (k, k, outputs, inputs) of a Conv2DTranspose, or (k, k, inputs, outputs) of a
            Conv2D, both with padding="same".
        bias: floats (outputs,).
        stride: of a transposed convolution, 1..k.
        transposed: Conv2DTranspose, otherwise Conv2D, which has stride 1 and an odd k.
    """

    kernel: npt.NDArray[np.floating[Any]]
    bias: npt.NDArray[np.floating[Any]]
    stride: int = 1
    transposed: bool = True

    def __post_init__(self) -> None:
        """Checks shapes and values.

        Raises:
            RequestError: there is no integer layer of that kind.
        """
        shape = self.kernel.shape
        if len(shape) != 4 or shape[0] != shape[1] or self.bias.shape != (shape[2 if self.transposed else 3],):
            raise RequestError(f"kernel {shape} and bias {self.bias.shape}: quantise layers with square kernels")
        if not 1 <= self.stride <= shape[0]:
            raise RequestError(f"stride {self.stride} of a kernel of {shape[0]}: use one from 1 to the kernel's side")
        if not self.transposed and (self.stride != 1 or shape[0] % 2 == 0):
            raise RequestError(f"convolution {shape[0]}/{self.stride}: quantise odd kernels of stride 1")
        if not (np.isfinite(self.kernel).all() and np.isfinite(self.bias).all()):
            raise RequestError("a float layer has weights that are not finite: quantise an earlier checkpoint")

    @property
    def kernel_transposed(self) -> Doubles:
        """Kernel of the equal transposed convolution, float64 (k, k, outputs, inputs)."""
        kernel = self.kernel if self.transposed else self.kernel[::-1, ::-1].swapaxes(2, 3)
        return kernel.astype(np.float64)


def quantise(
    layers: Sequence[FloatLayer],
    calibration: Sequence[npt.NDArray[np.integer[Any]]],
    *,
    output_unit: npt.ArrayLike,
    input_range: tuple[int, int],
    output_range: tuple[int, int],
    percentile: float = 99.9,
) -> IntegerNet:
    """Quantises a trained float network to integers, from its weights and from what it does on some inputs.

    Hidden activations get a unit for each channel, so that the given percentile of the channel's positive values still
    fits into 255 steps; the unit is folded into the weights of the next layer. Each output channel uses int8 as fully
    as a power-of-two requantisation allows, less where sums could become inexact.

    Args:
        layers: of the float network, which reads the same integers.
        calibration: typical inputs, integers (inputs, h, w) each.
        output_unit: what 1 stands for in the integer output: one positive value, or one for each output channel.
        input_range: smallest and largest input.
        output_range: smallest and largest output, in units.
        percentile: of the positive activations that are not clipped, over 0 and up to 100.

    Returns:
        The network whose output times `output_unit` is about that of the float network.

    Raises:
        RequestError: the layers or inputs do not fit together, or the weights are too large for the output unit.
        FormatError: a range leaves int16.
    """
    if not layers or not calibration or not 0 < percentile <= 100:
        given = f"{len(layers)} layers, {len(calibration)} inputs, percentile {percentile}"
        raise RequestError(f"{given}: quantise takes at least one layer and one input, and a percentile up to 100")
    units = np.broadcast_to(np.asarray(output_unit, np.float64), layers[-1].bias.shape)
    if not (np.isfinite(units).all() and (units > 0).all()):
        raise RequestError("an output unit is not positive: give the size of one step of the output")
    values = [planes.astype(np.float32).clip(*input_range) for planes in calibration]
    input_units = np.ones(layers[0].kernel_transposed.shape[3])
    max_input = max(abs(bound) for bound in input_range)
    quantised: list[IntegerLayer] = []
    for layer in layers[:-1]:
        _check_channels(layer, values)
        values = [np.maximum(_forward(layer, planes), 0) for planes in values]
        folded = layer.kernel_transposed * input_units
        activation_units = _activation_units(folded, layer.bias, _tops(values, percentile))
        quantised.append(_quantise_layer(folded, layer, activation_units, max_input))
        input_units, max_input = activation_units, MAX_ACTIVATION
    _check_channels(layers[-1], values)
    quantised.append(_quantise_layer(layers[-1].kernel_transposed * input_units, layers[-1], units, max_input))
    return IntegerNet(tuple(quantised), input_range, output_range)


def _check_channels(layer: FloatLayer, values: Sequence[Floats]) -> None:
    inputs = layer.kernel_transposed.shape[3]
    for planes in values:
        if planes.ndim != 3 or len(planes) != inputs or 0 in planes.shape:
            raise RequestError(f"a float layer for {inputs} channels meets planes {planes.shape}: make them fit")


def _forward(layer: FloatLayer, planes: Floats) -> Floats:
    """Output of a float layer, (outputs, stride h, stride w), for planes (inputs, h, w)."""
    operator = TransposedConvolution(
        layer.kernel_transposed.astype(np.float32), layer.bias.astype(np.float32), layer.stride
    )
    padded = np.pad(planes, ((0, 0), operator.reach, operator.reach)).transpose(1, 2, 0)
    height, width = (layer.stride * extent for extent in planes.shape[1:])
    output = np.empty((height, width, len(layer.bias)), np.float32)
    operator(padded, lambda sums: None, output)
    return output.transpose(2, 0, 1)


def _tops(values: Sequence[Floats], percentile: float) -> Doubles:
    """The percentile of each channel's positive values, (channels,); the least of the others for one without any."""
    channels = np.concatenate([planes.reshape(len(planes), -1) for planes in values], axis=1)
    tops = np.array([np.percentile(row[row > 0], percentile) if (row > 0).any() else 0.0 for row in channels])
    tops[tops == 0] = tops[tops > 0].min() if tops.any() else 1.0
    return tops


def _activation_units(folded: Doubles, bias: npt.NDArray[np.floating[Any]], tops: Doubles) -> Doubles:
    """Units of a hidden layer's outputs, (outputs,): 255 of them reach the top, less than 510 are needed for it.

    Within that freedom a unit is a power of two times the weight unit that fills int8, so that weights lose nothing.
    """
    fullest = np.abs(folded).max(axis=(0, 1, 3)) / _MAX_WEIGHT
    # A channel of small weights must leave room for its bias, which is held in the same unit, in the sums.
    weight_units = np.maximum(fullest, np.maximum(np.abs(bias), tops) / (EXACT_LIMIT // 4))
    doublings = np.maximum(np.ceil(np.log2(tops / MAX_ACTIVATION / weight_units)), 0)
    return np.asarray(weight_units * np.exp2(doublings), np.float64)


def _quantise_layer(folded: Doubles, layer: FloatLayer, output_units: Doubles, max_input: int) -> IntegerLayer:
    """The integer layer with the largest shifts, hence the finest weights, that int8 and exact sums allow.

    Args:
        folded: kernel (k, k, outputs, inputs) for inputs counted in their units.
        layer: for its bias and stride.
        output_units: (outputs,) what 1 stands for in the output.
        max_input: largest magnitude of an input.
    """
    shift = np.full(len(output_units), MAX_SHIFT)
    while True:
        units = output_units * np.exp2(-shift)
        kernel = np.rint(folded / units[:, None])
        bias = np.rint(layer.bias / units) + (1 << shift >> 1)
        over = np.abs(kernel).max(axis=(0, 1, 3)) > _MAX_WEIGHT
        over |= peaks(kernel, bias, layer.stride, max_input) >= EXACT_LIMIT
        if not over.any():
            return IntegerLayer(
                kernel.astype(np.int8), bias.astype(np.int32), shift.astype(np.uint8), stride=layer.stride
            )
        if not shift[over].all():
            raise RequestError("weights are too large to be whole multiples of the output unit: choose a larger unit")
        shift[over] -= 1
