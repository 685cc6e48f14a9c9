"""Writes Keras transforms as ONNX files that carry the whole way between 8-bit pixels and latents or hyper-latents.

The files follow the contract in `nicodec.models.runtime`; batch, height and width are free. Inside, tensors are
(n, channels, h, w) in float32, and weights are float16 initialisers (see `keras_weights`) that the runtime widens once,
when it loads the file. The same weights always give the same bytes.

    encoder         Transpose, Cast, Mul 1/255 | analysis layers
    hyper_encoder                                hyper-analysis layers
    decoder                                      synthesis layers | Clip, Mul 255, Round, Cast to uint8, Transpose

Recurrent transforms and the processors of sandwiches stay float32 on both sides: what they take and give is no picture yet.
"""

from collections.abc import Sequence
from typing import Any

from onnx import TensorProto

from .graph_writer import GraphWriter, port
from .onnx_layers import add_layers

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
    graph = GraphWriter()
    x = graph.add("Transpose", "pixels", perm=_TO_CHANNELS_FIRST)
    x = graph.add("Cast", x, to=TensorProto.FLOAT)
    x = graph.add("Mul", x, graph.constant("pixel_scale", 1.0 / 255.0))
    (x,) = add_layers(graph, analysis, x)
    graph.add("Identity", x, output="latents")
    return graph.serialise(
        analysis.name,
        _purpose(analysis),
        [port("pixels", TensorProto.UINT8, "n", "h", "w", analysis.input_shape[-1])],
        [port("latents", TensorProto.FLOAT, "n", analysis.output_shape[-1], "latent_h", "latent_w")],
    )


def hyper_encoder_graph(hyper_analysis: Any) -> bytes:
    """Writes a hyper-analysis transform.

    Args:
        hyper_analysis: functional Keras model from latents (n, h, w, channels) to hyper-latents
            (n, h/s, w/s, hyper channels).

    Returns:
        An ONNX file from float32 "latents" (n, channels, h, w) to float32 "hyper_latents" (n, hyper channels, h/s, w/s),
        which are not rounded.

    Raises:
        RequestError: the model holds a layer, or a kind of it, that has no ONNX form here.
        ModelError: a weight is beyond the range of half precision.
    """
    graph = GraphWriter()
    (x,) = add_layers(graph, hyper_analysis, "latents")
    graph.add("Identity", x, output="hyper_latents")
    return graph.serialise(
        hyper_analysis.name,
        _purpose(hyper_analysis),
        [port("latents", TensorProto.FLOAT, "n", hyper_analysis.input_shape[-1], "h", "w")],
        [port("hyper_latents", TensorProto.FLOAT, "n", hyper_analysis.output_shape[-1], "hyper_h", "hyper_w")],
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
    graph = GraphWriter()
    (x,) = add_layers(graph, synthesis, "latents")
    x = graph.add("Clip", x, graph.constant("black", 0.0), graph.constant("white", 1.0))
    x = graph.add("Mul", x, graph.constant("pixel_scale", 255.0))
    x = graph.add("Round", x)
    x = graph.add("Cast", x, to=TensorProto.UINT8)
    graph.add("Transpose", x, output="pixels", perm=_TO_CHANNELS_LAST)
    return graph.serialise(
        synthesis.name,
        _purpose(synthesis),
        [port("latents", TensorProto.FLOAT, "n", synthesis.input_shape[-1], "h", "w")],
        [port("pixels", TensorProto.UINT8, "n", "pixel_h", "pixel_w", synthesis.output_shape[-1])],
    )


def float_graph(transform: Any) -> bytes:
    """Writes a transform between floats: one iteration of a recurrent one, or one without states.

    Args:
        transform: functional Keras model of data and states, each (n, h, w, channels), to a result and the states.

    Returns:
        An ONNX file from float32 tensors (n, channels, h, w), named as the model's inputs, to float32 tensors of that
        kind, the first named "result", the states as the inputs that they go into next, with "_next" added.

    Raises:
        RequestError: the model holds a layer, or a kind of it, that has no ONNX form here.
        ModelError: a weight is beyond the range of half precision.
    """
    graph = GraphWriter()
    entries = [tensor.name for tensor in transform.inputs]
    states = entries[len(entries) - len(transform.outputs) + 1 :]
    exits = ["result", *(f"{name}_next" for name in states)]
    for found, name in zip(add_layers(graph, transform, *entries), exits, strict=True):
        graph.add("Identity", found, output=name)
    return graph.serialise(
        transform.name,
        _purpose(transform),
        _float_ports(transform.inputs, entries),
        _float_ports(transform.outputs, exits),
    )


def _float_ports(tensors: Sequence[Any], names: Sequence[str]) -> list[Any]:
    return [
        port(name, TensorProto.FLOAT, "n", tensor.shape[-1], f"{name}_h", f"{name}_w")
        for tensor, name in zip(tensors, names, strict=True)
    ]


def _purpose(transform: Any) -> str:
    return f"{transform.name}: transform of a nicodec model"
