"""Writes an integer network as an ONNX file that gives the same integers.

Inside, tensors are float32 and hold integers. Kernels are int8 initialisers that are widened and divided by 2^shift
once, when the file is loaded; each layer is then a transposed convolution, a Floor and a Clip. The same network always
gives the same bytes.

    Cast, Clip | ConvTranspose, Floor, Clip | ... | Cast
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from .integer_net import MAX_ACTIVATION, IntegerLayer, IntegerNet

OPSET = 17
IR_VERSION = 8
"""The version that came with opset 17; every runtime that knows the opset reads it."""


def integer_graph(net: IntegerNet) -> bytes:
    """Writes a network.

    The file is exact wherever the runtime adds plain float32 products, so not with bfloat16, TF32 or Winograd kernels.

    Args:
        net: the network.

    Returns:
        An ONNX file from int32 "planes" (n, inputs, h, w) to int32 "features" (n, outputs, scale h, scale w).
    """
    graph = _Graph()
    x = graph.add("Clip", graph.add("Cast", "planes", to=TensorProto.FLOAT), *graph.bounds("input", net.input_range))
    for number, layer in enumerate(net.layers):
        last = number == len(net.layers) - 1
        x = graph.add("Floor", _accumulate(graph, f"layer{number}", layer, x))
        x = graph.add("Clip", x, *graph.bounds(f"layer{number}", net.output_range if last else (0, MAX_ACTIVATION)))
    graph.add("Cast", x, output="features", to=TensorProto.INT32)
    return graph.serialise(
        helper.make_tensor_value_info("planes", TensorProto.INT32, ("n", net.inputs, "h", "w")),
        helper.make_tensor_value_info("features", TensorProto.INT32, ("n", net.outputs, "feature_h", "feature_w")),
    )


def _accumulate(graph: "_Graph", name: str, layer: IntegerLayer, x: str) -> str:
    """Adds a layer's transposed convolution with its division by 2^shift."""
    kernel = graph.constant(f"{name}/kernel", np.ascontiguousarray(layer.kernel.transpose(3, 2, 0, 1)))
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


class _Graph:
    """Nodes and initialisers in the order in which they are added; tensors are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name."""
        name = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Adds an initialiser and returns its name."""
        self._initialisers.append(numpy_helper.from_array(value, name))
        return name

    def bounds(self, name: str, bounds: tuple[int, int]) -> list[str]:
        """Adds the two bounds of a Clip."""
        return [self.constant(f"{name}/bound{k}", np.array(bound, np.float32)) for k, bound in enumerate(bounds)]

    def serialise(self, source: onnx.ValueInfoProto, target: onnx.ValueInfoProto) -> bytes:
        """Closes the graph and returns the file."""
        model = helper.make_model(
            helper.make_graph(self._nodes, "integer_net", [source], [target], self._initialisers),
            producer_name="nicodec",
            doc_string="exact integer network of a nicodec model",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))
