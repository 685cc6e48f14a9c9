"""The quantiser between analysis and entropy coder, in one place for codecs and training.

It is an encoder's choice: what a file holds are the integers, however they were found.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import ModelError


def quantise(
    latents: npt.NDArray[Any], step_ratio: float, dead_zone: float, codebook: tuple[int, int]
) -> npt.NDArray[np.int8]:
    """Rounds latents to integers of the codebook, half to even, in float32.

    Integers of the codebook stay as they are at the step ratio 1.

    Args:
        latents: float32 of any shape, in steps of the model.
        step_ratio: quantisation step over the model's own, over 0; 2 rounds to every other multiple of the model's step.
        dead_zone: how far every rounding threshold is moved away from zero, in steps of the quantiser, 0 to under 0.5.
            Rounding slightly towards zero saves more bits than it costs quality.
        codebook: smallest and largest integer, within int8.

    Returns:
        int8 of the same shape: multiples of the quantiser's step.

    Raises:
        ModelError: a latent is not finite.
    """
    scaled = latents.astype(np.float32, copy=False) * np.float32(1.0 / step_ratio)
    if not np.isfinite(scaled).all():
        raise ModelError("the encoder gives latents that are not finite: reinstall the model")
    clipped = np.clip(scaled, *codebook)
    rounded: npt.NDArray[np.float32] = np.rint(clipped - np.float32(dead_zone) * np.sign(clipped))
    return rounded.astype(np.int8)
