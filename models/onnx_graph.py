"""Writes Keras transforms as ONNX files that carry the whole way between 8-bit pixels and latents.

The files follow the contract in `nicodec.models.runtime`; batch, height and width are free. Inside, tensors are
(n, channels, h, w) in float32, and weights are float16 initialisers (see `keras_weights`) that the runtime widens once,
when it loads the file. The same weights always give the same bytes.

    encoder   Transpose, Cast, Mul 1/255 | analysis layers
    decoder                                synthesis layers | Clip, Mul 255, Round, Cast to uint8, Transpose
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import RequestError
from .keras_weights import half_weights
from .layers import ChannelScale, DepthToSpace

OPSET = 17
IR_VERSION = 8
"""The version that came with opset 17; every runtime that knows the opset reads it."""

_TO_CHANNELS_FIRST = (0, 3, 1, 2)
_TO_CHANNELS_LAST = (0, 2, 3, 1)


def encoder_graph(analysis: Any) -> bytes:
    """Writes an analysis transform.

    Args:
        analysis: functional Keras model from pixels (n, h, w, 3) in [0, 1] to latents (n, h/s, w/s, channels).

    Returns:
        An ONNX file from uint8 "pixels" (n, h, w, 3) to float32 "latents" (n, channels, h/s, w/s), which are neither
        rounded nor clipped.

    Raises:
        RequestError: the model holds a layer, or a kind of it, that has no ONNX form here.
        ModelError: a weight is beyond the range of half precision.
    """
    graph = _Graph()
    x = graph.add("Transpose", "pixels", perm=_TO_CHANNELS_FIRST)
    x = graph.add("Cast", x, to=TensorProto.FLOAT)
    x = graph.add("Mul", x, graph.constant("pixel_scale", 1.0 / 255.0))
    x = _add_layers(graph, analysis, x)
    graph.add("Identity", x, output="latents")
    return graph.serialise(
        analysis.name,
        _port("pixels", TensorProto.UINT8, "n", "h", "w", analysis.input_shape[-1]),
        _port("latents", TensorProto.FLOAT, "n", analysis.output_shape[-1], "latent_h", "latent_w"),
    )


def decoder_graph(synthesis: Any) -> bytes:
    """Writes a synthesis transform.

    Args:
        synthesis: functional Keras model from latents (n, h, w, channels) to pixels (n, s h, s w, 3), nominally in
            [0, 1].

    Returns:
        An ONNX file from float32 "latents" (n, channels, h, w) to uint8 "pixels" (n, s h, s w, 3).

    Raises:
        RequestError: the model holds a layer, or a kind of it, that has no ONNX form here.
        ModelError: a weight is beyond the range of half precision.
    """
    graph = _Graph()
    x = _add_layers(graph, synthesis, "latents")
    x = graph.add("Clip", x, graph.constant("black", 0.0), graph.constant("white", 1.0))
    x = graph.add("Mul", x, graph.constant("pixel_scale", 255.0))
    x = graph.add("Round", x)
    x = graph.add("Cast", x, to=TensorProto.UINT8)
    graph.add("Transpose", x, output="pixels", perm=_TO_CHANNELS_LAST)
    return graph.serialise(
        synthesis.name,
        _port("latents", TensorProto.FLOAT, "n", synthesis.input_shape[-1], "h", "w"),
        _port("pixels", TensorProto.UINT8, "n", "pixel_h", "pixel_w", synthesis.output_shape[-1]),
    )


def _port(name: str, kind: int, *shape: str | int) -> onnx.ValueInfoProto:
    """An input or output of the graph; extents with a name are free."""
    return helper.make_tensor_value_info(name, kind, shape)


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

    def constant(self, name: str, value: float | Sequence[int], dtype: npt.DTypeLike = np.float32) -> str:
        """Adds a constant that is no weight and returns its name."""
        self._initialisers.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def weights(self, layer: Any) -> dict[str, str]:
        """Adds a layer's weights; returns the names of their float32 tensors by the names they have in the layer."""
        names: dict[str, str] = {}
        for name, array in half_weights(layer).items():
            self._initialisers.append(numpy_helper.from_array(array, name))
            names[name.rpartition("/")[2]] = self.add("Cast", name, to=TensorProto.FLOAT)
        return names

    def serialise(self, name: str, source: onnx.ValueInfoProto, target: onnx.ValueInfoProto) -> bytes:
        """Closes the graph and returns the file."""
        graph = helper.make_graph(self._nodes, name, [source], [target], self._initialisers)
        model = helper.make_model(
            graph,
            producer_name="nicodec",
            doc_string=f"{name}: transform of a nicodec model",
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))


def _add_layers(graph: _Graph, model: Any, entry: str) -> str:
    """Adds the layers between a model's input and output, fed from the tensor `entry`; returns the last tensor."""
    names = {id(model.inputs[0]): entry}
    for layer in model.layers:  # Keras keeps them in topological order
        if isinstance(layer, keras.layers.InputLayer):
            continue
        convert = _CONVERTERS.get(type(layer))
        if convert is None:
            supported = ", ".join(kind.__name__ for kind in _CONVERTERS)
            raise _unsupported(layer, f"a {type(layer).__name__}", supported)
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        if any(id(tensor) not in names for tensor in inputs):
            raise _unsupported(layer, "fed by a second input or a layer used twice", "layers used once, in one model")
        names[id(layer.output)] = convert(graph, layer, *(names[id(tensor)] for tensor in inputs))
    return names[id(model.outputs[0])]


def _rescaling(graph: _Graph, layer: Any, x: str) -> str:
    scaled = graph.add("Mul", x, graph.constant(f"{layer.name}/factor", layer.scale))
    return graph.add("Add", scaled, graph.constant(f"{layer.name}/offset", layer.offset))


def _convolution(graph: _Graph, layer: Any, x: str) -> str:
    if layer.padding != "same" or layer.data_format != "channels_last":
        raise _unsupported(layer, f"padded {layer.padding!r}, {layer.data_format}", "'same' and channels_last")
    if layer.activation is not keras.activations.linear:
        raise _unsupported(layer, "fused with an activation", "an activation layer of its own")
    if layer.groups != 1 or set(layer.dilation_rate) != {1} or layer.strides not in ((1, 1), (2, 2)):
        raise _unsupported(layer, "grouped, dilated or of another stride", "strides 1 and 2 alone")
    weights = graph.weights(layer)
    return graph.add(
        "Conv",
        x,
        *(weights[name] for name in ("kernel", "bias") if name in weights),
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        pads=_same_padding(layer.kernel_size, layer.strides),
    )


def _same_padding(kernel: tuple[int, int], strides: tuple[int, int]) -> list[int]:
    """Explicit form of "same" padding for extents that are multiples of the stride: the odd one goes last."""
    totals = [max(k - s, 0) for k, s in zip(kernel, strides, strict=True)]
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def _leaky_relu(graph: _Graph, layer: Any, x: str) -> str:
    return graph.add("LeakyRelu", x, alpha=float(layer.negative_slope))


def _sum(graph: _Graph, layer: Any, *terms: str) -> str:
    if len(terms) != 2:
        raise _unsupported(layer, f"a sum of {len(terms)}", "sums of two")
    return graph.add("Add", *terms)


def _depth_to_space(graph: _Graph, layer: Any, x: str) -> str:
    return graph.add("DepthToSpace", x, blocksize=layer.factor, mode="DCR")


def _channel_scale(graph: _Graph, layer: Any, x: str) -> str:
    axes = graph.constant(f"{layer.name}/axes", (1, 2), np.int64)
    return graph.add("Mul", x, graph.add("Unsqueeze", graph.weights(layer)["scale"], axes))


_CONVERTERS: dict[type, Callable[..., str]] = {
    keras.layers.Rescaling: _rescaling,
    keras.layers.Conv2D: _convolution,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.Add: _sum,
    DepthToSpace: _depth_to_space,
    ChannelScale: _channel_scale,
}


def _unsupported(layer: Any, found: str, supported: str) -> RequestError:
    return RequestError(f"layer {layer.name} is {found}, which cannot be exported: supported are {supported}")
