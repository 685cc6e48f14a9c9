"""Transposed convolutions in NumPy, for integer networks: exact as long as every sum stays below 2^24."""

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


def peaks(kernel: npt.NDArray[Any], bias: npt.NDArray[Any], stride: int, max_input: int) -> npt.NDArray[np.int64]:
    """Largest sum |kernel| * max_input + |bias| over the taps that meet in one position, int64 (outputs,)."""
    taps = np.abs(kernel).sum(axis=3)
    phases = _axis_phases(len(kernel), stride)
    sums = [taps[row.taps, column.taps].sum(axis=(0, 1)) for row in phases for column in phases]
    return np.asarray(np.max(sums, axis=0) * max_input + np.abs(bias), np.int64)
