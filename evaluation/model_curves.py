"""Points of nicodec's own models, through the Python interface that users call."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from .. import __version__, api, images
from ..api import EncodeOptions
from ..models.zoo import Model
from .curves import CurvePoint
from .sweeps import Coded, Coding, measure


def measure_model(
    model: Model, paths: Sequence[Path], qualities: Sequence[float] = (), **common: Unpack[EncodeOptions]
) -> list[CurvePoint]:
    """Measures a model at every quality, or once as it is if no quality is given.

    Args:
        model: the model.
        paths: image files, one or more.
        qualities: values of the encoder setting `quality`, for models that have it.
        **common: other encoder settings, the same for all points.

    Returns:
        One point for each quality; its setting names the model and what the encoder was told.

    Raises:
        RequestError: the encoder does not take the setting.
        PictureError: an image cannot be read.
        ModelError: the model is damaged.
    """
    sweep: list[dict[str, Any]] = [{"quality": quality, **common} for quality in qualities] or [{**common}]
    return measure(model.id, {_setting(model, settings): _coding(model, settings) for settings in sweep}, paths)


def source(model: Model) -> str:
    """Version and weights in one line."""
    return f"nicodec {__version__}, {model.id} revision {model.revision} ({model.hash.hex()})"


def _setting(model: Model, settings: dict[str, Any]) -> str:
    return " ".join([model.id, *(name if value is True else f"{name} {value:g}" for name, value in settings.items())])


def _coding(model: Model, settings: dict[str, Any]) -> Coding:
    def code(picture: images.Picture) -> Coded:
        data = api.encode(picture, model=model, **settings)
        restored = api.decode(data)
        return Coded(len(data), restored.pixels if restored.deep is None else restored.deep)

    return code
