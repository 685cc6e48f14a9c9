"""Weights between Keras layers and the initialisers of ONNX files, in half precision.

A Keras weight is the initialiser `<layer>/<weight>` (such as `down1/kernel`) in float16. Convolution kernels change
from (height, width, in, out) to ONNX's (out, in, height, width); everything else keeps its shape.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import numpy_helper

from ..errors import ModelError

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
    return {name: _to_onnx(array) for name, array in _halves(layer).items()}


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
    expected = {_name(layer, weight): tuple(weight.shape) for layer in layers for weight in layer.weights}
    found = {name: array.shape for name, array in halves.items()}
    if found != expected:
        odd = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise ModelError(
            f"the weights in {path} are not those of the architecture, first {odd[0]} "
            f"(file {found.get(odd[0])}, architecture {expected.get(odd[0])}): reinstall the model"
        )
    for layer in layers:
        layer.set_weights([halves[_name(layer, weight)].astype(np.float32) for weight in layer.weights])


def _read_halves(path: Path) -> dict[str, Halves]:
    try:
        initialisers = onnx.load_model_from_string(path.read_bytes()).graph.initializer
        halves = [tensor for tensor in initialisers if tensor.data_type == onnx.TensorProto.FLOAT16]
        return {tensor.name: _to_keras(numpy_helper.to_array(tensor)) for tensor in halves}
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


def _to_onnx(array: Halves) -> Halves:
    return np.ascontiguousarray(array.transpose(_TO_ONNX)) if array.ndim == 4 else array


def _to_keras(array: Halves) -> Halves:
    return array.transpose(_TO_KERAS) if array.ndim == 4 else array
