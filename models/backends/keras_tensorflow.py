"""TensorFlow through Keras: the network definitions that are trained, with the weights of the ONNX files.

Slow to start; worth it on a GPU, and as a check of the exported files.
"""

import os
import sys
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import BackendError
from ..runtime import Network, Part
from ..zoo import Model

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf
from keras import ops

from .. import keras_weights, l3ic

_FAMILIES = {"l3ic": (l3ic.analysis, l3ic.synthesis)}


def load(model: Model, part: Part, threads: int | None) -> Network:
    """Builds the network that the card describes and gives it the weights in `<part>.onnx`.

    Args:
        model: from the zoo.
        part: which half of the model.
        threads: threads of one operation, one number for the whole process; None leaves it to TensorFlow.

    Raises:
        BackendError: Keras or TensorFlow was set up otherwise earlier in this process, or the card names an
            architecture that has no Keras definition here.
        ModelError: the weights do not fit the architecture on the card.
    """
    if keras.backend.backend() != "tensorflow":
        raise BackendError(
            f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=tensorflow and start again"
        )
    if threads is not None:
        _set_threads(threads)
    architecture = model.card["architecture"]
    if architecture.get("family") not in _FAMILIES:
        raise BackendError(
            f"backend tensorflow has no definition of architecture {architecture.get('family')!r}: use another backend"
        )
    analysis, synthesis = _FAMILIES[architecture["family"]]
    network = _build(analysis if part == "encoder" else synthesis, architecture["channels"])
    keras_weights.load_from_onnx(model.path(f"{part}.onnx"), network)
    return _encoder(network) if part == "encoder" else _decoder(network)


def _set_threads(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise BackendError(
            f"TensorFlow cannot change its number of threads to {threads} once it runs: start a new process"
        ) from error


def _build(definition: Any, channels: int) -> Any:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return definition(channels)
    finally:
        keras.config.set_dtype_policy(policy)


def _encoder(analysis: Any) -> Network:
    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        latents = analysis(ops.multiply(ops.cast(array, "float32"), 1.0 / 255.0), training=False)
        return np.asarray(ops.convert_to_numpy(ops.transpose(latents, (0, 3, 1, 2))))

    return run


def _decoder(synthesis: Any) -> Network:
    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        latents = ops.transpose(ops.cast(array, "float32"), (0, 2, 3, 1))
        pixels = ops.clip(synthesis(latents, training=False), 0.0, 1.0)
        return np.asarray(ops.convert_to_numpy(ops.cast(ops.round(ops.multiply(pixels, 255.0)), "uint8")))

    return run
