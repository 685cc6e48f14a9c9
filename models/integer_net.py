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

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError, RequestError
from .transposed_convolution import Floats, TransposedConvolution, peaks

EXACT_LIMIT = 1 << 24
"""Integers of a magnitude below this are exact in float32."""

MAX_ACTIVATION = 255
"""Largest output of a hidden layer."""

MAX_SHIFT = 23
"""Any more would shift out every bit of an accumulator."""

_INT16 = (-(1 << 15), (1 << 15) - 1)

# Strips of about 8 MB in float32: they stay in the cache, and bound the memory for planes of any height.
_STRIP_VALUES = 1 << 21

Planes = npt.NDArray[np.int32]


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
        return peaks(self.kernel.astype(np.int64), self.bias.astype(np.int64), self.stride, max_input)

    @property
    def factors(self) -> Floats:
        """2^-shift, float32 (outputs,)."""
        return np.exp2(-self.shift.astype(np.float32))

    @cached_property
    def operator(self) -> TransposedConvolution:
        """The accumulation, already divided by 2^shift, in float32."""
        kernel = self.kernel.astype(np.float32) * self.factors[:, None]
        return TransposedConvolution(kernel, self.bias.astype(np.float32) * self.factors, self.stride)


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
            int32 (outputs, scale h, scale w) within the output range, in memory with the channels last.

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
            int32 (outputs, bottom - top, scale w) within the output range, in memory with the channels last.

        Raises:
            RequestError: the planes do not fit the network, or there are no such rows.
        """
        self._check(planes)
        height, width = planes.shape[1] * self.scale, planes.shape[2]
        end: int = height if bottom is None else bottom
        if not 0 <= top < end <= height:
            raise RequestError(f"rows {top}..{end - 1} of {height}: ask for rows that the output has")
        result = np.empty((end - top, width * self.scale, self.outputs), np.int32)
        step = self._strip_rows(width)
        for start in range(top, end, step):
            stop = min(start + step, end)
            result[start - top : stop - top] = self._output_of(len(self.layers) - 1, planes, start, stop)
        return result.transpose(2, 0, 1)

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

    def _output_of(self, number: int, planes: npt.NDArray[Any], top: int, bottom: int) -> npt.NDArray[Any]:
        """Rows top..bottom - 1 of what layer `number` gives, (rows, columns, channels): int32 of the last, else float32."""
        layer, is_last = self.layers[number], number == len(self.layers) - 1
        first, last = top // layer.stride, -(-bottom // layer.stride)
        low, high = self.output_range if is_last else (0, MAX_ACTIVATION)

        def requantise(sums: Floats) -> None:
            np.floor(sums, out=sums)
            np.clip(sums, low, high, out=sums)

        columns = planes.shape[2] * self._input_scales()[number] * layer.stride
        shape = ((last - first) * layer.stride, columns, layer.outputs)
        output = np.empty(shape, np.int32 if is_last else np.float32)
        layer.operator(self._input_of(number, planes, first, last), requantise, output)
        return output[top - first * layer.stride : bottom - first * layer.stride]

    def _input_of(self, number: int, planes: npt.NDArray[Any], first: int, last: int) -> Floats:
        """What layer `number` reads for its input rows first..last - 1: they and its reach, zero outside the plane."""
        before, after = self.layers[number].operator.reach
        height = planes.shape[1] * self._input_scales()[number]
        top, bottom = max(first - before, 0), min(last + after, height)
        if number == 0:
            # Large integers round when cast, but not across a bound that they are clipped to.
            values = planes[:, top:bottom].transpose(1, 2, 0).astype(np.float32).clip(*self.input_range)
        else:
            values = self._output_of(number - 1, planes, top, bottom)
        outside = (top - (first - before), last + after - bottom)
        return np.pad(values, (outside, (before, after), (0, 0)))


def _require(condition: bool | np.bool_, what: str) -> None:
    if not condition:
        raise _damaged(what)


def _damaged(what: str) -> FormatError:
    return FormatError(f"the model's integer network is damaged ({what}): reinstall the model")
