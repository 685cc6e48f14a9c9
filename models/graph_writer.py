"""Builds ONNX files node by node; knows neither Keras nor any network.

The same calls always give the same bytes: the content hash of a model covers them.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

OPSET = 17
IR_VERSION = 8
"""The version that came with opset 17; every runtime that knows the opset reads it."""


class GraphWriter:
    """Nodes and initialisers in the order in which they are added; tensors are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._initialisers: list[onnx.TensorProto] = []

    def add(self, operator: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """Adds a node with one output and returns the output's name.

        Args:
            operator: an operator of ONNX's own.
            *inputs: tensors; the graph's input is known by the name of its port.
            output: name of the output; None for one that says the operator and its place.
            **attributes: of the operator.
        """
        name = output or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, name: str, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """Adds an initialiser of any shape and returns its name, which must be new."""
        self._initialisers.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def serialise(
        self,
        name: str,
        purpose: str,
        sources: Sequence[onnx.ValueInfoProto],
        targets: Sequence[onnx.ValueInfoProto],
    ) -> bytes:
        """Closes the graph and returns the file.

        Args:
            name: of the graph.
            purpose: one line for people who open the file.
            sources: the inputs, made by `port`.
            targets: the outputs, made by `port`.
        """
        model = helper.make_model(
            helper.make_graph(self._nodes, name, sources, targets, self._initialisers),
            producer_name="nicodec",
            doc_string=purpose,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def port(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    """An input or output of a graph.

    Args:
        name: of the tensor.
        kind: element type, one of `onnx.TensorProto`.
        *shape: extents; those with a name are free.
    """
    return helper.make_tensor_value_info(name, kind, shape)
