"""TensorFlow through Keras: the network definitions that are trained, with the weights of the ONNX files.

Slow to start; worth it on a GPU, and as a check of the exported files.
"""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import fields
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import BackendError
from ..runtime import FloatNetwork, Network, Part
from ..zoo import Model

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "keras" not in sys.modules:
    os.environ["KERAS_BACKEND"] = "tensorflow"

import keras
import tensorflow as tf
from keras import ops

from .. import embedded, keras_weights, l3ic, residual_gru, sandwich, shallow

_Card = Mapping[str, Any]


class _Family(NamedTuple):
    """The definitions of a family of architectures, by part.

    Attributes:
        settings: what the definitions take, from the `architecture` of a card.
        encoder: builds the analysis.
        decoder: builds the synthesis.
        hyper_encoder: builds the hyper-analysis, in families with a hyperprior.
    """

    settings: Callable[[_Card], Any]
    encoder: Callable[[Any], Any]
    decoder: Callable[[Any], Any]
    hyper_encoder: Callable[[Any], Any] | None = None


def _channels(card: _Card) -> int:
    return int(card["channels"])


def _named_in(kind: type[Any]) -> Callable[[_Card], Any]:
    """Makes a dataclass of those of its fields that the card names; what else it says is for the codec."""
    names = {field.name for field in fields(kind)}
    return lambda card: kind(**{name: value for name, value in card.items() if name in names})


def _sandwich_architecture(card: _Card) -> sandwich.SandwichArchitecture:
    return sandwich.SandwichArchitecture.from_json({name: value for name, value in card.items() if name != "family"})


_FAMILIES = {
    "embedded": _Family(_named_in(embedded.EmbeddedArchitecture), embedded.analysis, embedded.synthesis),
    "l3ic": _Family(_channels, l3ic.analysis, l3ic.synthesis),
    "residual_gru": _Family(_named_in(residual_gru.GruArchitecture), residual_gru.encoder, residual_gru.decoder),
    "sandwich": _Family(_sandwich_architecture, sandwich.preprocessor, sandwich.postprocessor),
    "shallow": _Family(_named_in(shallow.Architecture), shallow.analysis, shallow.synthesis, shallow.hyper_analysis),
}


def load(model: Model, part: Part, threads: int | None) -> Network:
    """Builds the network that the card describes and gives it the weights in `<part>.onnx`.

    Args:
        model: from the zoo.
        part: which part of the model.
        threads: threads of one operation, one number for the whole process; None leaves it to TensorFlow.

    Raises:
        BackendError: Keras or TensorFlow was set up otherwise earlier in this process, or the card names an
            architecture that has no Keras definition here.
        ModelError: the weights do not fit the architecture on the card.
    """
    if threads is not None:
        _set_threads(threads)
    return _RUNNERS[part](definition(model, part))


def load_float(model: Model, part: Part, threads: int | None) -> FloatNetwork:
    """As `load`, for a `FloatNetwork`."""
    if threads is not None:
        _set_threads(threads)
    network = definition(model, part)
    alone = len(network.inputs) == 1

    def run(*arrays: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        tensors = [ops.transpose(array, (0, 2, 3, 1)) for array in arrays]
        # What stands alone is a tensor, not a list of one.
        found = network(tensors[0] if alone else tensors, training=False)
        results = found if isinstance(found, list) else [found]
        return tuple(np.asarray(ops.convert_to_numpy(ops.transpose(result, (0, 3, 1, 2)))) for result in results)

    return run


def definition(model: Model, part: Part) -> Any:
    """The Keras model of a part with its weights, for those who need gradients.

    Raises:
        BackendError: Keras was set up otherwise earlier in this process, or the card names an architecture that has no
            Keras definition here.
        ModelError: the weights do not fit the architecture on the card.
    """
    if keras.backend.backend() != "tensorflow":
        raise BackendError(
            f"Keras runs on {keras.backend.backend()} here: set KERAS_BACKEND=tensorflow and start again"
        )
    network = _build(model.card["architecture"], part)
    keras_weights.load_from_onnx(model.path(f"{part}.onnx"), network)
    return network


def _set_threads(threads: int) -> None:
    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    except RuntimeError as error:
        raise BackendError(
            f"TensorFlow cannot change its number of threads to {threads} once it runs: start a new process"
        ) from error


def _build(card: _Card, part: Part) -> Any:
    name = card.get("family")
    if name not in _FAMILIES:
        raise BackendError(f"backend tensorflow has no definition of architecture {name!r}: use another backend")
    family = _FAMILIES[name]
    definition: Callable[[Any], Any] | None = getattr(family, part)
    if definition is None:
        raise BackendError(f"backend tensorflow has no {part} of architecture {name!r}: use another backend")
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        return definition(family.settings(card))
    finally:
        keras.config.set_dtype_policy(policy)


def _encoder(analysis: Any) -> Network:
    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        latents = analysis(ops.multiply(ops.cast(array, "float32"), 1.0 / 255.0), training=False)
        return np.asarray(ops.convert_to_numpy(ops.transpose(latents, (0, 3, 1, 2))))

    return run


def _hyper_encoder(hyper_analysis: Any) -> Network:
    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        latents = ops.transpose(ops.cast(array, "float32"), (0, 2, 3, 1))
        hyper_latents = hyper_analysis(latents, training=False)
        return np.asarray(ops.convert_to_numpy(ops.transpose(hyper_latents, (0, 3, 1, 2))))

    return run


def _decoder(synthesis: Any) -> Network:
    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        latents = ops.transpose(ops.cast(array, "float32"), (0, 2, 3, 1))
        pixels = ops.clip(synthesis(latents, training=False), 0.0, 1.0)
        return np.asarray(ops.convert_to_numpy(ops.cast(ops.round(ops.multiply(pixels, 255.0)), "uint8")))

    return run


_RUNNERS: Mapping[Part, Callable[[Any], Network]] = {
    "encoder": _encoder,
    "hyper_encoder": _hyper_encoder,
    "decoder": _decoder,
}
