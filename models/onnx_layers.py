"""The ONNX form of every kind of Keras layer that the architectures are made of.

Tensors are (n, channels, h, w) in float32. Extents must be multiples of the strides, as every codec pads them.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import keras
import numpy as np
from onnx import TensorProto

from ..errors import RequestError
from .graph_writer import GraphWriter
from .keras_weights import half_weights
from .layers import (
    GDN,
    GDN_FLOOR,
    ChannelRange,
    ChannelScale,
    ChannelSplit,
    DepthToSpace,
    PatchConv2D,
    Sine,
    SpaceToDepth,
    Subsampling,
)
from .shallow import Compress
from .transposed_graph import TransposedConvolution, add_transposed_convolution

_END = 2**31 - 1
"""Beyond the last position of any axis."""


def add_layers(graph: GraphWriter, model: Any, *entries: str) -> tuple[str, ...]:
    """Adds the layers between a model's inputs and outputs.

    Args:
        graph: where to.
        model: a functional Keras model.
        *entries: the tensors that its inputs stand for.

    Returns:
        The tensors that its outputs stand for.

    Raises:
        RequestError: the model holds a layer, or a kind of it, that has no ONNX form here.
        ModelError: a weight is beyond the range of half precision.
    """
    names = {id(tensor): entry for tensor, entry in zip(model.inputs, entries, strict=True)}
    for layer in model.layers:  # Keras keeps them in topological order
        if isinstance(layer, keras.layers.InputLayer):
            continue
        convert = _CONVERTERS.get(type(layer))
        if convert is None:
            supported = ", ".join(kind.__name__ for kind in _CONVERTERS)
            raise _unsupported(layer, f"a {type(layer).__name__}", supported)
        inputs, outputs = (_listed(tensors) for tensors in (layer.input, layer.output))
        if any(id(tensor) not in names for tensor in inputs):
            raise _unsupported(layer, "fed by another model or a layer used twice", "layers used once, in one model")
        found = _listed(convert(graph, layer, *(names[id(tensor)] for tensor in inputs)))
        names |= {id(tensor): name for tensor, name in zip(outputs, found, strict=True)}
    return tuple(names[id(tensor)] for tensor in model.outputs)


def _listed(one_or_many: Any) -> list[Any]:
    return one_or_many if isinstance(one_or_many, list) else [one_or_many]


def _weights(graph: GraphWriter, layer: Any) -> dict[str, str]:
    """Adds a layer's weights; returns the names of their float32 tensors by the names they have in the layer."""
    names: dict[str, str] = {}
    for name, array in half_weights(layer).items():
        half = graph.constant(name, array, np.float16)
        names[name.removeprefix(f"{layer.name}/")] = graph.add("Cast", half, to=TensorProto.FLOAT)
    return names


def _rescaling(graph: GraphWriter, layer: Any, x: str) -> str:
    if (layer.scale, layer.offset) == (1.0, 0.0):
        return x
    scaled = graph.add("Mul", x, graph.constant(f"{layer.name}/factor", layer.scale))
    return graph.add("Add", scaled, graph.constant(f"{layer.name}/offset", layer.offset))


def _convolution(graph: GraphWriter, layer: Any, x: str) -> str:
    _require_plain(layer)
    if layer.groups != 1:
        raise _unsupported(layer, "grouped", "one group alone")
    weights = _weights(graph, layer)
    return graph.add(
        "Conv",
        x,
        *(weights[name] for name in ("kernel", "bias") if name in weights),
        kernel_shape=layer.kernel_size,
        strides=layer.strides,
        pads=_same_padding(layer.kernel_size, layer.strides),
    )


def _transposed_convolution(graph: GraphWriter, layer: Any, x: str) -> str:
    _require_plain(layer)
    (side, width), (stride, across) = layer.kernel_size, layer.strides
    if side != width or stride != across or side < stride or layer.output_padding is not None:
        raise _unsupported(
            layer,
            f"of kernel {layer.kernel_size}, strides {layer.strides} and output padding {layer.output_padding}",
            "square kernels of at least the stride, without output padding",
        )
    shape = TransposedConvolution(layer.input.shape[-1], layer.filters, side, stride)
    return add_transposed_convolution(graph, layer.name, shape, x, _weights(graph, layer))


def _require_plain(layer: Any) -> None:
    """Refuses convolutions of another padding, order of axes, activation or dilation than the architectures have."""
    if layer.padding != "same" or layer.data_format != "channels_last":
        raise _unsupported(layer, f"padded {layer.padding!r}, {layer.data_format}", "'same' and channels_last")
    if layer.activation is not keras.activations.linear:
        raise _unsupported(layer, "fused with an activation", "an activation layer of its own")
    if set(layer.dilation_rate) != {1}:
        raise _unsupported(layer, "dilated", "kernels without gaps")


def _same_padding(kernel: tuple[int, int], strides: tuple[int, int]) -> list[int]:
    """Explicit form of "same" padding for extents that are multiples of the stride: the odd one goes last."""
    totals = [max(k - s, 0) for k, s in zip(kernel, strides, strict=True)]
    return [total // 2 for total in totals] + [total - total // 2 for total in totals]


def _leaky_relu(graph: GraphWriter, layer: Any, x: str) -> str:
    return graph.add("LeakyRelu", x, alpha=float(layer.negative_slope))


def _relu(graph: GraphWriter, layer: Any, x: str) -> str:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise _unsupported(layer, "a ReLU with a limit, slope or threshold", "plain ReLU and LeakyReLU")
    return graph.add("Relu", x)


def _activation(graph: GraphWriter, layer: Any, x: str) -> str:
    operator = _ACTIVATIONS.get(layer.activation)
    if operator is None:
        raise _unsupported(layer, f"the activation {layer.activation.__name__}", "sigmoid, tanh, elu and exponential")
    return graph.add(operator, x)


def _sum(graph: GraphWriter, layer: Any, *terms: str) -> str:
    if len(terms) != 2:
        raise _unsupported(layer, f"a sum of {len(terms)}", "sums of two")
    return graph.add("Add", *terms)


def _difference(graph: GraphWriter, layer: Any, *terms: str) -> str:
    return graph.add("Sub", *terms)


def _product(graph: GraphWriter, layer: Any, *factors: str) -> str:
    if len(factors) != 2:
        raise _unsupported(layer, f"a product of {len(factors)}", "products of two")
    return graph.add("Mul", *factors)


def _sine(graph: GraphWriter, layer: Any, x: str) -> str:
    return graph.add("Sin", x)


def _depth_to_space(graph: GraphWriter, layer: Any, x: str) -> str:
    return graph.add("DepthToSpace", x, blocksize=layer.factor, mode="DCR")


def _space_to_depth(graph: GraphWriter, layer: Any, x: str) -> str:
    return graph.add("SpaceToDepth", x, blocksize=layer.factor)


def _subsampling(graph: GraphWriter, layer: Any, x: str) -> str:
    bounds = (("start", (1, 1)), ("stop", (_END, _END)), ("axes", (2, 3)), ("steps", (2, 2)))
    return graph.add("Slice", x, *(graph.constant(f"{layer.name}/{key}", value, np.int64) for key, value in bounds))


def _upsampling(graph: GraphWriter, layer: Any, x: str) -> str:
    if layer.interpolation != "bilinear":
        raise _unsupported(layer, f"of the interpolation {layer.interpolation}", "bilinear ones")
    scales = graph.constant(f"{layer.name}/scales", (1.0, 1.0, *map(float, layer.size)))
    # Positions are centres of pixels, and edges repeat: so do Keras' backends.
    return graph.add("Resize", x, "", scales, mode="linear", coordinate_transformation_mode="half_pixel")


def _concatenation(graph: GraphWriter, layer: Any, *parts: str) -> str:
    if layer.axis != -1:
        raise _unsupported(layer, f"along axis {layer.axis}", "joined channels")
    return graph.add("Concat", *parts, axis=1)


def _channel_scale(graph: GraphWriter, layer: Any, x: str) -> str:
    axes = graph.constant(f"{layer.name}/axes", (1, 2), np.int64)
    return graph.add("Mul", x, graph.add("Unsqueeze", _weights(graph, layer)["scale"], axes))


def _channel_range(graph: GraphWriter, layer: Any, x: str) -> str:
    return _channels(graph, layer.name, x, layer.start, layer.stop)


def _channel_split(graph: GraphWriter, layer: Any, x: str) -> list[str]:
    bounds = enumerate(pairwise((0, *layer.bounds())))
    return [_channels(graph, f"{layer.name}/{index}", x, start, stop) for index, (start, stop) in bounds]


def _channels(graph: GraphWriter, name: str, x: str, start: int, stop: int) -> str:
    bounds = (("start", start), ("stop", stop), ("axis", 1))
    return graph.add("Slice", x, *(graph.constant(f"{name}/{key}", [value], np.int64) for key, value in bounds))


def _gdn(graph: GraphWriter, layer: Any, x: str) -> str:
    """A 1x1 convolution of magnitudes, with the squares of the roots that the file holds."""
    squares = {name: graph.add("Mul", root, root) for name, root in _weights(graph, layer).items()}
    gamma = graph.add("Transpose", squares["gamma_root"], perm=(1, 0))
    kernel = graph.add("Unsqueeze", gamma, graph.constant(f"{layer.name}/axes", (2, 3), np.int64))
    beta = graph.add("Add", squares["beta_root"], graph.constant(f"{layer.name}/floor", GDN_FLOOR))
    norm = graph.add("Conv", graph.add("Abs", x), kernel, beta, kernel_shape=(1, 1))
    return graph.add("Mul" if layer.inverse else "Div", x, norm)


def _compress(graph: GraphWriter, layer: Any, x: str) -> str:
    one = graph.constant(f"{layer.name}/one", 1.0)
    magnitude = graph.add("Log", graph.add("Add", graph.add("Abs", x), one))
    return graph.add("Mul", graph.add("Sign", x), magnitude)


_ACTIVATIONS = {
    keras.activations.sigmoid: "Sigmoid",
    keras.activations.tanh: "Tanh",
    keras.activations.elu: "Elu",
    keras.activations.exponential: "Exp",
}

_CONVERTERS: dict[type, Callable[..., str | list[str]]] = {
    keras.layers.Rescaling: _rescaling,
    keras.layers.Conv2D: _convolution,
    PatchConv2D: _convolution,
    keras.layers.Conv2DTranspose: _transposed_convolution,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.ReLU: _relu,
    keras.layers.Activation: _activation,
    keras.layers.Add: _sum,
    keras.layers.Subtract: _difference,
    keras.layers.Multiply: _product,
    keras.layers.UpSampling2D: _upsampling,
    keras.layers.Concatenate: _concatenation,
    DepthToSpace: _depth_to_space,
    SpaceToDepth: _space_to_depth,
    Subsampling: _subsampling,
    Sine: _sine,
    ChannelScale: _channel_scale,
    ChannelRange: _channel_range,
    ChannelSplit: _channel_split,
    GDN: _gdn,
    Compress: _compress,
}


def _unsupported(layer: Any, found: str, supported: str) -> RequestError:
    return RequestError(f"layer {layer.name} is {found}, which cannot be exported: supported are {supported}")
