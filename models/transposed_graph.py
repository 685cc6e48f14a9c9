"""Transposed convolutions in ONNX files, each in the form that runs fastest.

ONNX Runtime runs its own operator as a matrix product to k x k values per input position and filter, which a single thread
then adds up where they overlap. With many filters that sum takes up to a third of the time; with few inputs it takes most of
the time and of the memory. The cells of `phases` have nothing to add up: plain convolutions, and then two transpositions
that move long stretches to put the phases in place (DepthToSpace does the same and takes ten times as long).

Processor time with one thread, of the better kind of cells against the operator:

    13x13/8, 320 to 12 filters   0.83        5x5/2, 12 to 3 filters     1.0, and 0.72 of the time with two threads
    13x13/8, 320 to 24           0.73        18x18/16, 320 to 3         1.15: stays the operator
    5x5/2, 192 to 192            0.65        9x9/4, 192 to 3            1.5: stays the operator

Nearly all of a cell's work is shared out among threads. What stays the operator has so few filters that cells would not fill
the vectors of the processor, and so many inputs that the product outweighs the sum.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .graph_writer import GraphWriter
from .phases import Run, cell_runs, pad_before

_PHASES_LAST = (0, 1, 3, 2)
_ROW_PHASES_BEHIND_ROWS = (0, 2, 3, 1, 4)


@dataclass(frozen=True)
class TransposedConvolution:
    """Shape of a transposed convolution with "same" padding and a square kernel.

    Attributes:
        inputs: input channels.
        filters: output channels.
        side: of the kernel, at least `stride`.
        stride: along both axes.
    """

    inputs: int
    filters: int
    side: int
    stride: int


def add_transposed_convolution(
    graph: GraphWriter, name: str, shape: TransposedConvolution, x: str, weights: Mapping[str, str]
) -> str:
    """Adds a transposed convolution.

    Args:
        graph: where to.
        name: of the layer, for the names of constants.
        shape: of the layer.
        x: float32 (n, inputs, h, w).
        weights: names of float32 tensors, as `keras_weights` lays them out: `kernel` (inputs, filters, side, side), or
            `kernel/<i>/<j>` for each cell; `bias` (filters,), if there is one.

    Returns:
        The tensor float32 (n, filters, stride h, stride w).
    """
    runs = cell_runs((shape.side, shape.side, shape.filters, shape.inputs), shape.stride)
    if not runs:
        return _as_operator(graph, shape, x, weights)
    return _in_place(graph, name, shape, x, _phases(graph, name, shape, runs, x, weights))


def _as_operator(graph: GraphWriter, shape: TransposedConvolution, x: str, weights: Mapping[str, str]) -> str:
    before = pad_before(shape.side, shape.stride)
    after = shape.side - shape.stride - before
    return graph.add(
        "ConvTranspose",
        x,
        *(weights[name] for name in ("kernel", "bias") if name in weights),
        kernel_shape=(shape.side, shape.side),
        strides=(shape.stride, shape.stride),
        pads=(before, before, after, after),
    )


def _phases(
    graph: GraphWriter,
    name: str,
    shape: TransposedConvolution,
    runs: Sequence[Run],
    x: str,
    weights: Mapping[str, str],
) -> str:
    """Adds the convolutions; returns the tensor (n, row phases * filters, column phases, h * w)."""
    bands: list[str] = []
    for i, rows in enumerate(runs):
        cells: list[str] = []
        for j, columns in enumerate(runs):
            operands = [x, weights[f"kernel/{i}/{j}"]]
            if "bias" in weights:
                filters = graph.constant(f"{name}/filters/{i}/{j}", _filters(shape, rows, columns), np.int64)
                operands.append(graph.add("Gather", weights["bias"], filters))
            cells.append(_cell(graph, f"{name}/extents/{i}/{j}", shape, (rows, columns), operands))
        bands.append(_joined(graph, cells, axis=2))
    return _joined(graph, bands, axis=1)


def _filters(shape: TransposedConvolution, rows: Run, columns: Run) -> list[int]:
    """The filter that each output channel of a cell belongs to."""
    return [filter_ for _ in range(rows.phases) for filter_ in range(shape.filters) for _ in range(columns.phases)]


def _cell(
    graph: GraphWriter, name: str, shape: TransposedConvolution, runs: tuple[Run, Run], operands: Sequence[str]
) -> str:
    """Adds the convolution of one cell; returns the tensor (n, row phases * filters, column phases, h * w)."""
    rows, columns = runs
    values = graph.add(
        "Conv",
        *operands,
        kernel_shape=(len(rows.sources), len(columns.sources)),
        pads=[-run.sources[0] for run in runs] + [run.sources[-1] for run in runs],
    )
    extents = (0, rows.phases * shape.filters, columns.phases, -1)
    return graph.add("Reshape", values, graph.constant(name, extents, np.int64))


def _joined(graph: GraphWriter, tensors: Sequence[str], axis: int) -> str:
    return graph.add("Concat", *tensors, axis=axis) if len(tensors) > 1 else tensors[0]


def _in_place(graph: GraphWriter, name: str, shape: TransposedConvolution, x: str, phases: str) -> str:
    """Turns (n, row phases * filters, column phases, h * w) into (n, filters, stride h, stride w)."""
    rest = graph.constant(f"{name}/rest", [-1], np.int64)
    stride = graph.constant(f"{name}/stride", [shape.stride], np.int64)
    leading = graph.constant(f"{name}/leading", [0, shape.stride, shape.filters], np.int64)
    filters = graph.constant(f"{name}/filters", [0, shape.filters], np.int64)
    height = graph.add("Shape", x, start=2, end=3)
    x = graph.add("Transpose", phases, perm=_PHASES_LAST)
    x = graph.add("Reshape", x, graph.add("Concat", leading, height, rest, axis=0))
    x = graph.add("Transpose", x, perm=_ROW_PHASES_BEHIND_ROWS)
    return graph.add("Reshape", x, graph.add("Concat", filters, graph.add("Mul", height, stride), rest, axis=0))
