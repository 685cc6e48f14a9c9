"""Starts a run from the shipped weights of a model instead of from another run."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from ..errors import ModelMissingError, RequestError
from ..models import keras_weights, zoo
from ..models.keras_ops import no_gradients, ops
from .checkpoint import CHECKPOINT
from .config import L3icConfig
from .data import Pixels
from .narrowing import start_from_wider
from .trainer import build_codec

_FAMILY = "l3ic"


def find_start(name: str | Path) -> Path | zoo.Model:
    """Finds what a run is to start from.

    Args:
        name: folder of a run, folder of one revision of a model, or id of an installed model; tried in this order.

    Returns:
        The folder of a run, or a model.

    Raises:
        RequestError: it is none of them.
        ModelError: the model's card cannot be used.
    """
    folder = Path(name)
    if (folder / CHECKPOINT).is_file():
        return folder
    if (folder / zoo.CARD).is_file():
        return zoo.open_folder(folder)
    try:
        return zoo.find(str(name))
    except ModelMissingError as error:
        reason = f"there is no {CHECKPOINT} and no {zoo.CARD} in a folder of that name"
        raise RequestError(f"cannot start from {name}: {reason}, and {error}") from error


def start_from_model(codec: Any, config: L3icConfig, model: zoo.Model, pictures: Pixels) -> None:
    """Gives a codec the transforms of a model, and its rate layer the spread of the latents that they make.

    Args:
        codec: the codec to initialise, built.
        config: its configuration.
        model: an l3ic model with as many or more channels.
        pictures: uint8 (n, h, w, 3) to measure the latents on, sides multiples of 8.

    Raises:
        RequestError: the model is of another architecture, or has fewer channels.
        ModelError: its files are missing or damaged.
    """
    architecture = model.card["architecture"]
    if architecture.get("family") != _FAMILY:
        raise RequestError(f"cannot start from {model.id}: it is no model of {_FAMILY}, choose another")
    model.verify()
    wide: Any = build_codec(replace(config, channels=architecture["channels"]))
    keras_weights.load_from_onnx(model.path("encoder.onnx"), wide.analysis)
    keras_weights.load_from_onnx(model.path("decoder.onnx"), wide.synthesis)
    start_from_wider(codec, wide, _klt_step(model, config) / config.klt_step, pictures)
    codec.rate.start(_spread(codec, pictures))


def _klt_step(model: zoo.Model, config: L3icConfig) -> float:
    """The quantisation step that the model was trained from; that of the new run if the card does not tell."""
    training = model.card.get("training")
    step = cast(Mapping[str, Any], training).get("klt_step") if isinstance(training, Mapping) else None
    return float(step) if isinstance(step, (int, float)) and step > 0 else config.klt_step


def _spread(codec: Any, pictures: Pixels) -> npt.NDArray[np.float64]:
    """Root mean square of every latent channel: the deviation from zero, where the rate layer first expects latents."""
    with no_gradients():
        latents = ops.convert_to_numpy(codec.quantise(pictures.astype(np.float32) / 255.0))
    return np.asarray(np.sqrt(np.square(latents, dtype=np.float64).mean(axis=(0, 1, 2))))
