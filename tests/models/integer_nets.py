"""Integer networks of random weights, and what they must compute."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from nicodec.models.integer_net import EXACT_LIMIT, IntegerLayer, IntegerNet

Planes = npt.NDArray[np.int32]
Wide = npt.NDArray[np.int64]
Evaluate = Callable[[Planes], Planes]

KINDS = [(6, 4), (5, 2), (3, 1), (1, 1), (2, 2), (4, 1), (3, 3)]
"""Kernel and stride."""

EXTENTS = st.integers(1, 5)
"""Rows or columns of planes."""


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


def stored(net: IntegerNet) -> dict[str, npt.NDArray[Any]]:
    """The arrays of the network under the name "hyper", as they come out of a file."""
    file = BytesIO()
    arrays: dict[str, Any] = net.to_arrays("hyper")
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file) as loaded:
        return dict(loaded)
