"""How l3ic is trained; see `families.Family`."""

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RequestError
from ..models.zoo import Model
from .config import L3icConfig
from .data import Pixels, blocks_of
from .losses import colours_in_turn
from .narrowing import start_from_wider
from .run_folder import load_average
from .trainer import build_codec, start_from_klt
from .validation import measure as measure_pictures
from .zoo_start import start_from_model

build = build_codec

_STEER_LIMIT = 1.5
_STEER_POWER = 2.0  # the rate moves with about the cube root of the balance: this goes two thirds of the way


def columns(config: L3icConfig) -> tuple[str, ...]:
    """The columns of the log."""
    del config
    return "bpp", "file_bpp", "mse", "psnr", "msssim"


def start(codec: Any, config: L3icConfig, packed: Pixels, source: Path | Model | None) -> None:
    """From a wider or equal model, or as a KLT."""
    crops = packed[:: max(1, len(packed) // 64)]
    if source is None:
        start_from_klt(codec, blocks_of(packed, 8, 200_000), step=config.klt_step, staggered=config.staggered)
    elif isinstance(source, Model):
        start_from_model(codec, config, source, crops)
    else:
        wide, wide_config, _ = load_average(source)
        if not isinstance(wide_config, L3icConfig):
            raise RequestError(f"cannot start from {source}: it is no run of l3ic, choose another")
        start_from_wider(codec, wide, wide_config.klt_step / config.klt_step, crops)


def inputs(config: L3icConfig, step: int, crops: Pixels) -> tuple[Any, Any]:
    """The crops, and the colour channel that each is compared in."""
    return crops, colours_in_turn(step, config.batch)


def measure(codec: Any, config: L3icConfig, pictures: list[Pixels]) -> dict[str, float]:
    """Rates under the training model and of coded latents, PSNR and MS-SSIM."""
    measured = measure_pictures(codec, pictures, config.dead_zone)
    return {
        "bpp": measured.context_bpp,
        "file_bpp": measured.file_bpp,
        "psnr": measured.psnr,
        "msssim": measured.msssim,
    }


def steer(codec: Any, config: L3icConfig, numbers: dict[str, float]) -> None:
    """Moves the balance of rate and distortion towards the target rate, most of the way in a few validations."""
    if config.target_bpp is None:
        return
    factor = (config.target_bpp / numbers["file_bpp"]) ** _STEER_POWER
    codec.balance.assign(codec.balance * float(np.clip(factor, 1.0 / _STEER_LIMIT, _STEER_LIMIT)))
