"""Weights between Keras layers and the initialisers of ONNX files, in half precision.

A Keras weight is the initialiser `<layer>/<weight>` (such as `down1/kernel`) in float16. Kernels of convolutions change
from (height, width, in, out) to ONNX's (out, in, height, width), those of transposed convolutions from (height, width, out,
in) to (in, out, height, width): the same permutation. A transposed convolution that runs faster in cells has the kernels of
its cells instead (see `phases`), as `<layer>/kernel/<i>/<j>`. Everything else keeps its shape and meaning; what a layer
makes of its weights, such as the squares of a GDN's roots, the graph computes.

Half precision is enough: with the transforms started as a KLT, at the smallest quantisation steps in use, latents move by
at most 0.005 steps, pixels by at most 0.08 of 255 levels, and the PSNR of photos by 0.001 dB.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from ..errors import ModelError
from .phases import Run, cell_runs, join_kernel, split_kernel

_TO_ONNX = (3, 2, 0, 1)
_TO_KERAS = (2, 3, 1, 0)

Halves = npt.NDArray[np.float16]


def half_weights(layer: Any) -> dict[str, Halves]:
    """Gives a layer's weights as the ONNX file holds them.

    Args:
        layer: a Keras layer.

    Returns:
        Arrays by the name of their initialiser, in the layer's own order.

    Raises:
        ModelError: a weight is not finite or beyond the range of half precision.
    """
    stored: dict[str, Halves] = {}
    for name, array in _halves(layer).items():
        stored |= _to_onnx(layer, name, array)
    return stored


def round_to_half(model: Any) -> None:
    """Rounds every weight of a Keras model to half precision, in place: the model that the ONNX file will hold.

    Raises:
        ModelError: a weight is not finite or beyond the range of half precision.
    """
    for layer in model.layers:
        layer.set_weights([array.astype(np.float32) for array in _halves(layer).values()])


def load_from_onnx(path: Path, *models: Any) -> None:
    """Sets the weights of Keras models from an ONNX file, layer by layer by name.

    Args:
        path: a file written from the same architecture by `onnx_graph`.
        *models: the Keras models whose layers together are those in the file.

    Raises:
        ModelError: the file cannot be read, or its weights are not those of the models; nothing has been set then.
    """
    halves = _read_halves(path)
    layers = [layer for model in models for layer in model.layers if layer.weights]
    expected = {name: shape for layer in layers for name, shape in _stored_shapes(layer).items()}
    found = {name: array.shape for name, array in halves.items()}
    if found != expected:
        odd = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise ModelError(
            f"the weights in {path} are not those of the architecture, first {odd[0]} "
            f"(file {found.get(odd[0])}, architecture {expected.get(odd[0])}): reinstall the model"
        )
    for layer in layers:
        layer.set_weights([_to_keras(layer, weight, halves).astype(np.float32) for weight in layer.weights])


def _read_halves(path: Path) -> dict[str, Halves]:
    try:
        initialisers = onnx.load_model_from_string(path.read_bytes()).graph.initializer
        halves = [tensor for tensor in initialisers if tensor.data_type == onnx.TensorProto.FLOAT16]
        return {tensor.name: numpy_helper.to_array(tensor) for tensor in halves}
    except Exception as error:  # protobuf and onnx document no common class
        reason = " ".join(str(error).split())
        raise ModelError(f"cannot read {path}: {reason}, reinstall the model") from error


def _halves(layer: Any) -> dict[str, Halves]:
    halves: dict[str, Halves] = {}
    for weight, values in zip(layer.weights, layer.get_weights(), strict=True):
        name = _name(layer, weight)
        with np.errstate(over="ignore"):
            halves[name] = np.asarray(values, np.float32).astype(np.float16)
        if not np.isfinite(halves[name]).all():
            raise ModelError(f"{name} has values that half precision cannot hold: export an earlier checkpoint")
    return halves


def _name(layer: Any, weight: Any) -> str:
    return f"{layer.name}/{weight.name}"


def _stored_shapes(layer: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of a layer's initialisers by their names."""
    shapes: dict[str, tuple[int, ...]] = {}
    for weight in layer.weights:
        stored = _to_onnx(layer, _name(layer, weight), np.zeros(weight.shape, np.float16))
        shapes |= {name: array.shape for name, array in stored.items()}
    return shapes


def _to_onnx(layer: Any, name: str, array: Halves) -> dict[str, Halves]:
    """The initialisers that hold one weight of a layer."""
    if array.ndim != 4:
        return {name: array}
    if runs := _runs(layer, array.shape):
        return {f"{name}/{i}/{j}": cell for (i, j), cell in split_kernel(array, runs).items()}
    return {name: np.ascontiguousarray(array.transpose(_TO_ONNX))}


def _to_keras(layer: Any, weight: Any, stored: dict[str, Halves]) -> Halves:
    """One weight of a layer from the initialisers of a file that has been found to hold them all."""
    name = _name(layer, weight)
    if len(weight.shape) != 4:
        return stored[name]
    if runs := _runs(layer, weight.shape):
        return join_kernel(lambda i, j: stored[f"{name}/{i}/{j}"], weight.shape, runs)
    return stored[name].transpose(_TO_KERAS)


def _runs(layer: Any, shape: tuple[int, ...]) -> list[Run]:
    """The runs by which the kernel of a layer is stored, none if it is stored whole."""
    return cell_runs(shape, layer.strides[0]) if isinstance(layer, keras.layers.Conv2DTranspose) else []
