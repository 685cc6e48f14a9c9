"""Rate and distortion of a codec in training, on whole validation pictures with real rounding."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..metrics.psnr import psnr
from ..metrics.ssim import ms_ssim
from ..models.keras_ops import no_gradients, ops
from .data import Pixels


@dataclass(frozen=True)
class Measurement:
    """Means over the validation pictures.

    Attributes:
        context_bpp: bits per pixel under the training rate model.
        file_bpp: bits per pixel of real coded latents, each channel with its own table.
        psnr: decibel, mean of the pictures' values.
        msssim: mean MS-SSIM.
    """

    context_bpp: float
    file_bpp: float
    psnr: float
    msssim: float


def measure(codec: Any, pictures: list[Pixels], dead_zone: float) -> Measurement:
    """Codes every picture with the quantiser of the shipped encoder and compares it with the original."""
    with no_gradients():
        rows = [_measure_one(codec, picture, dead_zone) for picture in pictures]
    return Measurement(*(float(column) for column in np.mean(rows, axis=0)))


def _measure_one(codec: Any, picture: Pixels, dead_zone: float) -> tuple[float, float, float, float]:
    latents = codec.quantise(picture[None].astype(np.float32) / 255.0, dead_zone)
    area = picture.shape[0] * picture.shape[1]
    pixels = ops.convert_to_numpy(codec.synthesis(latents))[0]
    restored = np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
    estimate = float(ops.convert_to_numpy(codec.rate(latents))[0]) / area
    coded = _coded_bits(ops.convert_to_numpy(latents)[0].astype(np.int32)) / area
    return estimate, coded, psnr(picture, restored), ms_ssim(picture, restored)


def _coded_bits(latents: Any) -> float:
    bits = 0.0
    for channel in np.moveaxis(latents, -1, 0):
        _, counts = np.unique(channel, return_counts=True)
        bits -= float((counts * np.log2(counts / counts.sum())).sum())
    return bits
