"""Transposed convolutions taken apart into plain ones: which taps of the kernel make which positions of the output.

A transposed convolution with stride s makes a block of s x s output positions, the phases, for every input position; a
kernel wider than the stride lets neighbouring input positions have a part in the outer ones. Consecutive phases along an
axis that are made of the same input positions form a run. The runs of rows and columns make a grid of cells (3 x 3 for
13x13/8 and 18x18/16), and each cell is a plain convolution: every tap of the kernel is in exactly one of them. Where cells
would have too few filters, all phases form one run, and zeros fill the places of taps that it has for some of them only.
"""

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

_MANY_FILTERS = 8
_ONE_VECTOR = 16
_FEW_INPUTS = 32

_Scalar = TypeVar("_Scalar", bound=np.generic)


class Run(NamedTuple):
    """Consecutive phases along one axis that are made of the same input positions.

    Attributes:
        phases: how many.
        sources: input positions relative to that of the block, ascending; never without 0.
        taps: which tap leads from each source to each phase, -1 for none, (phases, sources).
    """

    phases: int
    sources: range
    taps: npt.NDArray[np.intp]


def pad_before(side: int, stride: int) -> int:
    """Output positions that a kernel reaches before the block of its input position.

    Keras and TensorFlow call this geometry "same": of the `side - stride` positions beyond the block, half go before it,
    rounded down.

    Args:
        side: of the kernel, at least `stride`.
        stride: of the layer.
    """
    return (side - stride) // 2


def cell_runs(shape: Sequence[int], stride: int) -> list[Run]:
    """The runs along either axis by which a layer is stored and run; `transposed_graph` says why.

    Weights are found in released files by this rule.

    Args:
        shape: of the kernel in Keras layout, (side, side, filters, inputs).
        stride: of the layer.

    Returns:
        The runs in the order of their phases; none for a layer that stays a transposed convolution.
    """
    side, _, filters, inputs = shape
    if stride == 1:
        return []
    if filters >= _MANY_FILTERS:
        return runs_of(side, stride)
    if stride * stride * filters <= _ONE_VECTOR and inputs <= _FEW_INPUTS:
        return [_merged(runs_of(side, stride))]
    return []


def runs_of(side: int, stride: int) -> list[Run]:
    """The runs along one axis, in the order of their phases; arguments as for `pad_before`.

    >>> [(run.phases, list(run.sources)) for run in runs_of(13, 8)]
    [(3, [-1, 0]), (3, [0]), (2, [0, 1])]
    """
    runs: list[Run] = []
    offsets = range(pad_before(side, stride), pad_before(side, stride) + stride)
    for sources, group in groupby(offsets, lambda offset: _sources(offset, side, stride)):
        run = np.array(list(group))
        runs.append(Run(len(run), sources, run[:, None] - stride * np.array(sources)))
    return runs


def split_kernel(kernel: npt.NDArray[_Scalar], runs: Sequence[Run]) -> dict[tuple[int, int], npt.NDArray[_Scalar]]:
    """Takes a kernel apart.

    Args:
        kernel: Keras layout (side, side, filters, inputs).
        runs: of its layer.

    Returns:
        For each run of rows and run of columns the kernel of a plain convolution, ONNX layout
        (row phases * filters * column phases, inputs, row sources, column sources).
    """
    inputs = kernel.shape[3]
    padded = np.pad(kernel, ((0, 1), (0, 1), (0, 0), (0, 0)))  # tap -1 is zero
    cells: dict[tuple[int, int], npt.NDArray[_Scalar]] = {}
    for place, rows, columns in _grid(runs):
        taps = padded[rows.taps[:, :, None, None], columns.taps]  # phases and sources, twice; filters; inputs
        ordered = taps.transpose(0, 4, 2, 5, 1, 3)
        cells[place] = ordered.reshape(-1, inputs, len(rows.sources), len(columns.sources))
    return cells


def join_kernel(
    cell: Callable[[int, int], npt.NDArray[_Scalar]], shape: Sequence[int], runs: Sequence[Run]
) -> npt.NDArray[_Scalar]:
    """Puts together what `split_kernel` took apart.

    Args:
        cell: gives the kernel of the cell at a run of rows and a run of columns.
        shape: of the kernel, (side, side, filters, inputs).
        runs: of its layer.
    """
    side, _, filters, inputs = shape
    kernel = np.empty((side + 1, side + 1, filters, inputs), cell(0, 0).dtype)  # a place for tap -1
    for place, rows, columns in _grid(runs):
        extents = (rows.phases, filters, columns.phases, inputs, len(rows.sources), len(columns.sources))
        taps = cell(*place).reshape(extents).transpose(0, 4, 2, 5, 1, 3)
        kernel[rows.taps[:, :, None, None], columns.taps] = taps
    return kernel[:side, :side]


def _sources(offset: int, side: int, stride: int) -> range:
    """Input positions, relative to that of the block, whose kernels cover the phase at `offset` from the first tap."""
    return range(-((side - 1 - offset) // stride), offset // stride + 1)


def _merged(runs: Sequence[Run]) -> Run:
    """All phases as one run."""
    sources = range(min(run.sources.start for run in runs), max(run.sources.stop for run in runs))
    taps = np.full((sum(run.phases for run in runs), len(sources)), -1)
    first = 0
    for run in runs:
        column = run.sources.start - sources.start
        taps[first : first + run.phases, column : column + len(run.sources)] = run.taps
        first += run.phases
    return Run(len(taps), sources, taps)


def _grid(runs: Sequence[Run]) -> list[tuple[tuple[int, int], Run, Run]]:
    """Place, rows and columns of every cell."""
    return [((i, j), rows, columns) for i, rows in enumerate(runs) for j, columns in enumerate(runs)]
