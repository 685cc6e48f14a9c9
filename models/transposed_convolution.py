"""Transposed convolutions in NumPy, for integer networks: exact as long as every sum stays below 2^24.

Channels come last: a phase of the output is then one matrix product whose rows go to their places in one piece each.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]


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


class TransposedConvolution:
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
        self._bias = bias
        self._matrices = [
            np.ascontiguousarray(kernel[row.taps, column.taps].transpose(0, 1, 3, 2)).reshape(-1, outputs)
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

    def __call__(self, padded: Floats, settle: Callable[[Floats], None], output: npt.NDArray[Any]) -> None:
        """Accumulates.

        Args:
            padded: (h, w, inputs) with the reach around.
            settle: what to do with sums (n, outputs) in place, before they are written, while they are in the cache.
            output: receives the result, (stride h, stride w, outputs).
        """
        reach, stride = sum(self.reach), self._stride
        height, width = padded.shape[0] - reach, padded.shape[1] - reach
        for number, matrix in enumerate(self._matrices):
            y, x = divmod(number, stride)
            product = self._gather(padded, self._phases[y], self._phases[x], height, width) @ matrix
            product += self._bias
            settle(product)
            output[y::stride, x::stride] = product.reshape(height, width, -1)

    def _gather(self, padded: Floats, row: _AxisPhase, column: _AxisPhase, height: int, width: int) -> Floats:
        """The inputs that meet in each position of a phase, (height * width, taps * inputs)."""
        before = self.reach[0]
        taps = [
            padded[before + y : before + y + height, before + x : before + x + width]
            for y in row.offsets
            for x in column.offsets
        ]
        return np.concatenate(taps, axis=2).reshape(height * width, -1)


def peaks(kernel: npt.NDArray[Any], bias: npt.NDArray[Any], stride: int, max_input: int) -> npt.NDArray[np.int64]:
    """Largest sum |kernel| * max_input + |bias| over the taps that meet in one position, int64 (outputs,)."""
    taps = np.abs(kernel).sum(axis=3)
    phases = _axis_phases(len(kernel), stride)
    sums = [taps[row.taps, column.taps].sum(axis=(0, 1)) for row in phases for column in phases]
    return np.asarray(np.max(sums, axis=0) * max_input + np.abs(bias), np.int64)
