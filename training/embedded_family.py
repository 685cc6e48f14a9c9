"""How the embedded codec is trained; see `families.Family`."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RequestError
from ..metrics.psnr import psnr
from ..metrics.ssim import ms_ssim
from ..models.keras_ops import no_gradients
from ..models.zoo import Model
from .config import EmbeddedConfig
from .data import Pixels
from .embedded import EmbeddedCodec, build_codec, levels_in_turn
from .losses import colours_in_turn
from .progressive import to_bytes
from .run_folder import load_average

MEASURED = (1, 3, 7, 11, 15)
"""Levels at which whole pictures are measured."""

build = build_codec


def columns(config: EmbeddedConfig) -> tuple[str, ...]:
    """The columns of the log."""
    return "score", "mse", "msssim", *_measures(config)


def _measures(config: EmbeddedConfig) -> list[str]:
    return [f"{name}_{level}" for level in MEASURED if level < config.levels for name in ("psnr", "msssim")]


def start(codec: EmbeddedCodec, config: EmbeddedConfig, packed: Pixels, source: Path | Model | None) -> None:
    """As a KLT, or from a run of the same architecture."""
    if source is None:
        codec.begin(packed)
        return
    name = source.id if isinstance(source, Model) else source
    trained = None if isinstance(source, Model) else load_average(source)
    if trained is None or not isinstance(trained[1], EmbeddedConfig) or trained[1].architecture != config.architecture:
        raise RequestError(f"cannot start from {name}: give the folder of a run of the same architecture")
    codec.set_weights(trained[0].get_weights())


def inputs(config: EmbeddedConfig, step: int, crops: Pixels) -> tuple[Any, Any]:
    """The crops, the level of each and the colour that each is compared in; depends on the arguments alone."""
    levels = np.array(levels_in_turn(step, config.batch, config.levels), np.int32)
    return (crops, levels, colours_in_turn(step, config.batch)), None


def steer(codec: EmbeddedCodec, config: EmbeddedConfig, numbers: dict[str, float]) -> None:
    """Does nothing: the objective has no balance."""
    del codec, config, numbers


def measure(codec: EmbeddedCodec, config: EmbeddedConfig, pictures: list[Pixels]) -> dict[str, float]:
    """PSNR and MS-SSIM of whole pictures at some levels."""
    levels = [level for level in MEASURED if level < config.levels]
    with no_gradients():
        rows = [[_measure_one(codec, picture, level) for level in levels] for picture in pictures]
    return dict(zip(_measures(config), np.mean(rows, axis=0).ravel().tolist(), strict=True))


def _measure_one(codec: EmbeddedCodec, picture: Pixels, level: int) -> tuple[float, float]:
    restored = to_bytes(codec.restore(picture[None], np.array([level])))[0]
    return psnr(picture, restored), ms_ssim(picture, restored)
