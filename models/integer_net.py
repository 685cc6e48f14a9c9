"""Exact integer networks: they turn decoded integers into the integers that choose probability tables.

A network is a chain of transposed convolutions in integers. Layer by layer, with x read as zero outside the plane:

    accumulate    a[o, Y, X] = bias[o] + sum of kernel[ty, tx, o, i] * x[i, y, x]   over the taps that meet in (Y, X)
    hidden layer  floor(a / 2^shift[o]) clipped to 0..255
    last layer    floor(a / 2^shift[o]) clipped to the network's output range

With kernel side k and stride s, tap t of input position y falls on output position Y = s y + t - floor((k - s) / 2):
"same" geometry as in Keras' Conv2DTranspose. A convolution of stride 1 and odd k is the same thing with its kernel
turned by 180 degrees. To round instead of truncating, 2^(shift - 1) is added to the bias.

Encoder and decoder must get the same integers on any machine, so exactness is a property of the weights, checked when
a network is built: for every output channel and every set of taps that meet, sum |kernel| * max |x| + |bias| < 2^24.
No partial sum, in whatever order a matrix product adds, then leaves the integers that float32 holds exactly; a factor
of 2^-shift in the weights only moves the exponent. What it takes is float32 products that are summed as they are:
bfloat16, TF32 and Winograd or Fourier convolutions are not exact.

`integer_graph` writes the same network as an ONNX file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ..errors import FormatError, RequestError

EXACT_LIMIT = 1 << 24
"""Integers of a magnitude below this are exact in float32."""

MAX_ACTIVATION = 255
"""Largest output of a hidden layer."""

MAX_SHIFT = 23
"""Any more would shift out every bit of an accumulator."""

_MAX_WEIGHT = 127
_INT16 = (-(1 << 15), (1 << 15) - 1)

# Strips of about 8 MB in float32: they stay in the cache, and bound the memory for planes of any height.
_STRIP_VALUES = 1 << 21

Planes = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One transposed convolution with its requantisation; the arrays become read-only copies.

    Attributes:
        kernel: int8 (k, k, outputs, inputs), as in Keras' Conv2DTranspose.
        bias: int32 (outputs,), with the rounding of the requantisation in it.
        shift: uint8 (outputs,), 0..23: the accumulator is divided by 2^shift.
        stride: output positions for each input position along an axis, 1..k.
    """

    kernel: npt.NDArray[np.int8]
    bias: npt.NDArray[np.int32]
    shift: npt.NDArray[np.uint8]
    stride: int = 1

    def __post_init__(self) -> None:
        """Checks types and shapes.

        Raises:
            FormatError: the arrays are not those of a layer.
        """
        for name, dtype in (("kernel", np.int8), ("bias", np.int32), ("shift", np.uint8)):
            array = np.array(getattr(self, name))
            _require(array.dtype == dtype, f"{name} is {array.dtype} instead of {np.dtype(dtype)}")
            array.flags.writeable = False
            object.__setattr__(self, name, array)
        shape = self.kernel.shape
        _require(len(shape) == 4 and shape[0] == shape[1] and 0 not in shape, f"kernel shape {shape}")
        _require(1 <= self.stride <= shape[0], f"stride {self.stride} of a kernel of {shape[0]}")
        _require(self.bias.shape == self.shift.shape == shape[2:3], f"bias {self.bias.shape}, shift {self.shift.shape}")
        _require(int(self.shift.max()) <= MAX_SHIFT, f"a shift over {MAX_SHIFT}")

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return int(self.kernel.shape[3])

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return int(self.kernel.shape[2])

    def peaks(self, max_input: int) -> npt.NDArray[np.int64]:
        """Bound of the magnitude of all partial sums, int64 (outputs,), for inputs of magnitude `max_input` at most."""
        return _peaks(self.kernel.astype(np.int64), self.bias.astype(np.int64), self.stride, max_input)

    @property
    def factors(self) -> Floats:
        """2^-shift, float32 (outputs,)."""
        return np.exp2(-self.shift.astype(np.float32))

    @cached_property
    def operator(self) -> "_TransposedConvolution":
        """The accumulation, already divided by 2^shift, in float32."""
        kernel = self.kernel.astype(np.float32) * self.factors[:, None]
        return _TransposedConvolution(kernel, self.bias.astype(np.float32) * self.factors, self.stride)


@dataclass(frozen=True, eq=False)
class IntegerNet:
    """An integer network; see the module for what it computes.

    Attributes:
        layers: at least one.
        input_range: smallest and largest input, within int16; inputs are clipped to it first.
        output_range: smallest and largest output of the last layer, within int16.
    """

    layers: tuple[IntegerLayer, ...]
    input_range: tuple[int, int]
    output_range: tuple[int, int]

    def __post_init__(self) -> None:
        """Checks that the layers fit together and that every accumulator is exact, from the weights alone.

        Raises:
            FormatError: the layers contradict each other, or could leave the integers that float32 holds exactly.
        """
        _require(len(self.layers) > 0, "no layer")
        for name, (low, high) in (("input", self.input_range), ("output", self.output_range)):
            _require(_INT16[0] <= low <= high <= _INT16[1], f"{name} range {low}..{high}")
        max_input = max(abs(bound) for bound in self.input_range)
        channels = self.inputs
        for number, layer in enumerate(self.layers):
            _require(layer.inputs == channels, f"layer {number} reads {layer.inputs} channels of {channels}")
            peak = int(layer.peaks(max_input).max())
            _require(peak < EXACT_LIMIT, f"sums of layer {number} reach {peak}, exact below {EXACT_LIMIT}")
            max_input, channels = MAX_ACTIVATION, layer.outputs

    @property
    def inputs(self) -> int:
        """Number of input channels."""
        return self.layers[0].inputs

    @property
    def outputs(self) -> int:
        """Number of output channels."""
        return self.layers[-1].outputs

    @property
    def scale(self) -> int:
        """Output positions for each input position along an axis."""
        return prod(layer.stride for layer in self.layers)

    @property
    def halo(self) -> int:
        """Input positions that a tile needs on each side, so that its inner part comes out as in the whole plane."""
        halo = 0
        for layer in reversed(self.layers):
            halo = -(-halo // layer.stride) + max(layer.operator.reach)
        return halo

    def macs_per_pixel(self, stride: int) -> float:
        """Multiply-accumulates per image pixel, if an input position stands for `stride` x `stride` pixels."""
        layers = zip(self._input_scales(), self.layers, strict=True)
        return sum(scale**2 * layer.kernel.size for scale, layer in layers) / stride**2

    def __call__(self, planes: npt.NDArray[np.integer[Any]]) -> Planes:
        """Evaluates the network on whole planes, in strips of bounded memory.

        Args:
            planes: integers (inputs, h, w), h and w at least 1.

        Returns:
            int32 (outputs, scale h, scale w) within the output range.

        Raises:
            RequestError: the planes do not fit the network.
        """
        return self.rows(planes)

    def rows(self, planes: npt.NDArray[np.integer[Any]], top: int = 0, bottom: int | None = None) -> Planes:
        """Evaluates some rows of the output, equal to those of the whole, in strips of bounded memory.

        Args:
            planes: the whole input, integers (inputs, h, w), h and w at least 1.
            top: first row of the output.
            bottom: the row after the last, over `top`; None for scale * h, the end.

        Returns:
            int32 (outputs, bottom - top, scale w) within the output range.

        Raises:
            RequestError: the planes do not fit the network, or there are no such rows.
        """
        self._check(planes)
        height, width = planes.shape[1] * self.scale, planes.shape[2]
        end: int = height if bottom is None else bottom
        if not 0 <= top < end <= height:
            raise RequestError(f"rows {top}..{end - 1} of {height}: ask for rows that the output has")
        result = np.empty((self.outputs, end - top, width * self.scale), np.int32)
        step = self._strip_rows(width)
        for start in range(top, end, step):
            stop = min(start + step, end)
            result[:, start - top : stop - top] = self._output_of(len(self.layers) - 1, planes, start, stop)
        return result

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], prefix: str) -> "IntegerNet":
        """Reads a network from the arrays that `to_arrays` made; others are ignored.

        Raises:
            FormatError: arrays are missing, of another type, or contradict each other.
        """
        try:
            ranges, strides = arrays[f"{prefix}_ranges"], arrays[f"{prefix}_strides"]
            _require(ranges.dtype == np.int16 and ranges.shape == (2, 2), f"ranges {ranges.dtype}{ranges.shape}")
            _require(strides.dtype == np.uint8 and strides.ndim == 1, f"strides {strides.dtype}{strides.shape}")
            layers = tuple(
                IntegerLayer(
                    kernel=arrays[f"{prefix}_kernel{number}"],
                    bias=arrays[f"{prefix}_bias{number}"],
                    shift=arrays[f"{prefix}_shift{number}"],
                    stride=int(stride),
                )
                for number, stride in enumerate(strides)
            )
        except KeyError as error:
            raise _damaged(f"{error.args[0]!r} is missing") from error
        (input_low, input_high), (output_low, output_high) = ranges.tolist()
        return cls(layers, (input_low, input_high), (output_low, output_high))

    def to_arrays(self, prefix: str) -> dict[str, npt.NDArray[Any]]:
        """The network as arrays of the smallest integer types, named `<prefix>_...`, for an .npz file."""
        arrays: dict[str, npt.NDArray[Any]] = {
            f"{prefix}_ranges": np.array([self.input_range, self.output_range], np.int16),
            f"{prefix}_strides": np.array([layer.stride for layer in self.layers], np.uint8),
        }
        for number, layer in enumerate(self.layers):
            arrays[f"{prefix}_kernel{number}"] = layer.kernel
            arrays[f"{prefix}_bias{number}"] = layer.bias
            arrays[f"{prefix}_shift{number}"] = layer.shift
        return arrays

    def _check(self, planes: npt.NDArray[Any]) -> None:
        if not np.issubdtype(planes.dtype, np.integer) or planes.ndim != 3 or len(planes) != self.inputs:
            shape = f"({self.inputs}, h, w)"
            raise RequestError(f"planes are {planes.dtype} {planes.shape}: an integer network takes integers {shape}")
        if 0 in planes.shape:
            raise RequestError(f"planes are empty, {planes.shape}: an integer network takes one position or more")

    def _input_scales(self) -> list[int]:
        """Input positions of each layer for each input position of the network, along an axis."""
        return [prod(layer.stride for layer in self.layers[:number]) for number in range(len(self.layers))]

    def _strip_rows(self, width: int) -> int:
        """Height of a strip in output rows, a multiple of the scale."""
        layers = zip(self._input_scales(), self.layers, strict=True)
        values: int = max(scale**2 * layer.operator.values_per_position for scale, layer in layers)
        return max(1, _STRIP_VALUES // (width * values)) * self.scale

    def _output_of(self, number: int, planes: npt.NDArray[Any], top: int, bottom: int) -> Floats:
        """Rows top..bottom - 1 of what layer `number` gives."""
        layer = self.layers[number]
        first, last = top // layer.stride, -(-bottom // layer.stride)
        output = layer.operator(self._input_of(number, planes, first, last))
        np.floor(output, out=output)
        low, high = self.output_range if number == len(self.layers) - 1 else (0, MAX_ACTIVATION)
        np.clip(output, low, high, out=output)
        return output[:, top - first * layer.stride : bottom - first * layer.stride]

    def _input_of(self, number: int, planes: npt.NDArray[Any], first: int, last: int) -> Floats:
        """What layer `number` reads for its input rows first..last - 1: they and its reach, zero outside the plane."""
        before, after = self.layers[number].operator.reach
        height = planes.shape[1] * self._input_scales()[number]
        top, bottom = max(first - before, 0), min(last + after, height)
        if number == 0:
            # Large integers round when cast, but not across a bound that they are clipped to.
            values = planes[:, top:bottom].astype(np.float32).clip(*self.input_range)
        else:
            values = self._output_of(number - 1, planes, top, bottom)
        outside = (top - (first - before), last + after - bottom)
        return np.pad(values, ((0, 0), outside, (before, after)))


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
    operator = _TransposedConvolution(
        layer.kernel_transposed.astype(np.float32), layer.bias.astype(np.float32), layer.stride
    )
    return operator(np.pad(planes, ((0, 0), operator.reach, operator.reach)))


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
        over |= _peaks(kernel, bias, layer.stride, max_input) >= EXACT_LIMIT
        if not over.any():
            return IntegerLayer(
                kernel.astype(np.int8), bias.astype(np.int32), shift.astype(np.uint8), stride=layer.stride
            )
        if not shift[over].all():
            raise RequestError("weights are too large to be whole multiples of the output unit: choose a larger unit")
        shift[over] -= 1


class _AxisPhase(NamedTuple):
    """The taps that meet in the output positions s c + r of an axis, for one r.

    Attributes:
        taps: slice of the kernel's axis.
        offsets: input position of each of the taps, relative to c.
    """

    taps: slice
    offsets: range


def _axis_phases(kernel: int, stride: int) -> list[_AxisPhase]:
    """Phases r = 0..stride - 1. Tap t of input c + d meets output s c + r if s d + t = r + p: t is r + p modulo s.

    >>> [list(zip(range(6)[phase.taps], phase.offsets)) for phase in _axis_phases(6, 4)]
    [[(1, 0), (5, -1)], [(2, 0)], [(3, 0)], [(0, 1), (4, 0)]]
    """
    phases: list[_AxisPhase] = []
    for position in range((kernel - stride) // 2, (kernel - stride) // 2 + stride):
        nearest, first = divmod(position, stride)
        count = len(range(first, kernel, stride))
        phases.append(_AxisPhase(slice(first, None, stride), range(nearest, nearest - count, -1)))
    return phases


class _TransposedConvolution:
    """A transposed convolution in float32, as one matrix product for each phase of the output (sub-pixel form).

    Args:
        kernel: (k, k, outputs, inputs).
        bias: (outputs,).
        stride: 1..k.
    """

    def __init__(self, kernel: Floats, bias: Floats, stride: int) -> None:
        outputs, inputs = kernel.shape[2:]
        self._stride = stride
        self._phases = _axis_phases(len(kernel), stride)
        self._bias = bias[:, None]
        self._matrices = [
            np.ascontiguousarray(kernel[row.taps, column.taps].transpose(2, 0, 1, 3)).reshape(outputs, -1)
            for row in self._phases
            for column in self._phases
        ]
        self.reach = (
            max(0, *(-phase.offsets[-1] for phase in self._phases)),
            max(0, *(phase.offsets[0] for phase in self._phases)),
        )
        """Input positions before and after its own that an output position depends on, along either axis."""
        self.values_per_position = outputs * stride**2 + inputs * max(len(phase.offsets) for phase in self._phases) ** 2
        """Values that are in memory at once for each input position."""

    def __call__(self, padded: Floats) -> Floats:
        """Accumulates.

        Args:
            padded: (inputs, h, w) with the reach around.

        Returns:
            (outputs, stride h, stride w).
        """
        reach, stride = sum(self.reach), self._stride
        height, width = padded.shape[1] - reach, padded.shape[2] - reach
        output = np.empty((len(self._bias), height * stride, width * stride), np.float32)
        for number, matrix in enumerate(self._matrices):
            y, x = divmod(number, stride)
            gathered = self._gather(padded, self._phases[y], self._phases[x], height, width)
            product = matrix @ gathered
            product += self._bias
            output[:, y::stride, x::stride] = product.reshape(-1, height, width)
        return output

    def _gather(self, padded: Floats, row: _AxisPhase, column: _AxisPhase, height: int, width: int) -> Floats:
        """The inputs that meet in each position of a phase, (taps * inputs, height * width)."""
        before = self.reach[0]
        taps = [
            padded[:, before + y : before + y + height, before + x : before + x + width]
            for y in row.offsets
            for x in column.offsets
        ]
        return np.concatenate(taps).reshape(-1, height * width)


def _peaks(kernel: npt.NDArray[Any], bias: npt.NDArray[Any], stride: int, max_input: int) -> npt.NDArray[np.int64]:
    """Largest sum |kernel| * max_input + |bias| over the taps that meet in one position, int64 (outputs,)."""
    taps = np.abs(kernel).sum(axis=3)
    phases = _axis_phases(len(kernel), stride)
    sums = [taps[row.taps, column.taps].sum(axis=(0, 1)) for row in phases for column in phases]
    return np.asarray(np.max(sums, axis=0) * max_input + np.abs(bias), np.int64)


def _require(condition: bool | np.bool_, what: str) -> None:
    if not condition:
        raise _damaged(what)


def _damaged(what: str) -> FormatError:
    return FormatError(f"the model's integer network is damaged ({what}): reinstall the model")
