"""Writes an integer network as an ONNX file that gives the same integers.

Inside, tensors are float32 and hold integers. Kernels are int8 initialisers that are widened and divided by 2^shift
once, when the file is loaded; each layer is then a transposed convolution, a Floor and a Clip. The same network always
gives the same bytes.

    Cast, Clip | ConvTranspose, Floor, Clip | ... | Cast
"""

import numpy as np
from onnx import TensorProto

from .graph_writer import GraphWriter, port
from .integer_net import MAX_ACTIVATION, IntegerLayer, IntegerNet


def integer_graph(net: IntegerNet) -> bytes:
    """Writes a network.

    The file is exact wherever the runtime adds plain float32 products, so not with bfloat16, TF32 or Winograd kernels.

    Args:
        net: the network.

    Returns:
        An ONNX file from int32 "planes" (n, inputs, h, w) to int32 "features" (n, outputs, scale h, scale w).
    """
    graph = GraphWriter()
    x = graph.add("Clip", graph.add("Cast", "planes", to=TensorProto.FLOAT), *_bounds(graph, "input", net.input_range))
    for number, layer in enumerate(net.layers):
        last = number == len(net.layers) - 1
        x = graph.add("Floor", _accumulate(graph, f"layer{number}", layer, x))
        bounds = net.output_range if last else (0, MAX_ACTIVATION)
        x = graph.add("Clip", x, *_bounds(graph, f"layer{number}", bounds))
    graph.add("Cast", x, output="features", to=TensorProto.INT32)
    return graph.serialise(
        "integer_net",
        "exact integer network of a nicodec model",
        [port("planes", TensorProto.INT32, "n", net.inputs, "h", "w")],
        [port("features", TensorProto.INT32, "n", net.outputs, "feature_h", "feature_w")],
    )


def _accumulate(graph: GraphWriter, name: str, layer: IntegerLayer, x: str) -> str:
    """Adds a layer's transposed convolution with its division by 2^shift."""
    kernel = graph.constant(f"{name}/kernel", layer.kernel.transpose(3, 2, 0, 1), np.int8)
    factors = graph.constant(f"{name}/factors", layer.factors[:, None, None])
    side = len(layer.kernel)
    before = (side - layer.stride) // 2
    after = side - layer.stride - before
    return graph.add(
        "ConvTranspose",
        x,
        graph.add("Mul", graph.add("Cast", kernel, to=TensorProto.FLOAT), factors),
        graph.constant(f"{name}/bias", layer.bias.astype(np.float32) * layer.factors),
        kernel_shape=(side, side),
        strides=(layer.stride, layer.stride),
        pads=(before, before, after, after),
    )


def _bounds(graph: GraphWriter, name: str, bounds: tuple[int, int]) -> list[str]:
    """Adds the two bounds of a Clip."""
    return [graph.constant(f"{name}/bound{k}", bound) for k, bound in enumerate(bounds)]
