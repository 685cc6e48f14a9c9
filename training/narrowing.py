"""Starts a model with few latent channels from a trained one with more of them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RequestError
from ..models.keras_ops import no_gradients, ops
from .data import Pixels

_WIDE_DEVIATION = 3.0


def start_from_wider(codec: Any, wide: Any, ratio: float, pictures: Pixels) -> None:
    """Copies the transforms and the rate layer, keeping the channels that carry the most energy in the pixels.

    Channels stay in the order that they have, so that what the rate layer learnt of the earlier ones stays valid. Those
    that do not use much of the codebook are requantised with a coarser step; the few wide ones (local means) are left as
    fine as they are.

    Args:
        codec: the codec to initialise, built.
        wide: a trained codec with at least as many channels.
        ratio: quantisation step of the wide codec over that of the new one.
        pictures: uint8 (n, h, w, 3) to measure the channels on, sides multiples of 8.

    Raises:
        RequestError: the wide codec has fewer channels.
    """
    channels = codec.analysis.output_shape[-1]
    if wide.rate.channels < channels:
        raise RequestError(
            f"{channels} channels cannot start from {wide.rate.channels}: start from a model with as many or more"
        )
    with no_gradients():
        latents = ops.convert_to_numpy(wide.quantise(pictures.astype(np.float32) / 255.0))
    deviations = latents.std(axis=(0, 1, 2))
    kept = np.sort(_by_energy(wide, deviations)[:channels])
    factors = np.where(deviations[kept] < _WIDE_DEVIATION, ratio, 1.0)
    _copy_transform(codec.analysis, wide.analysis, kept)
    _copy_transform(codec.synthesis, wide.synthesis, kept)
    _rescale(codec.analysis.get_layer("latent_scale"), factors)
    _rescale(codec.synthesis.get_layer("latent_unscale"), 1.0 / factors)
    _copy_rate(codec.rate, wide.rate, kept)


def _by_energy(wide: Any, deviations: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    """Channel indices, most energetic in the reconstruction first."""
    unscale = wide.synthesis.get_layer("latent_unscale").get_weights()[0]
    kernel = wide.synthesis.get_layer("up1").get_weights()[0]
    gain = np.sqrt((kernel**2).sum(axis=(0, 1, 3)))
    return np.argsort(-deviations * np.abs(unscale) * gain, kind="stable")


def _copy_transform(target: Any, source: Any, kept: npt.NDArray[np.intp]) -> None:
    """Copies layer by layer, slicing whatever has the latent channels as an axis."""
    for layer in target.layers:
        weights = source.get_layer(layer.name).get_weights() if layer.weights else []
        if layer.name == "down3":
            weights = [weights[0][..., kept], weights[1][kept]]
        elif layer.name in {"latent_scale", "latent_unscale"}:
            weights = [weights[0][kept]]
        elif layer.name == "up1":
            weights = [weights[0][:, :, kept], weights[1]]
        if weights:
            layer.set_weights(weights)


def _rescale(layer: Any, factors: npt.NDArray[Any]) -> None:
    layer.set_weights([layer.get_weights()[0] * factors])


def _copy_rate(target: Any, source: Any, kept: npt.NDArray[np.intp]) -> None:
    both = np.concatenate([kept, kept + source.channels])
    target.spatial.assign(ops.convert_to_numpy(source.spatial)[:, :, both])
    target.earlier.assign(ops.convert_to_numpy(source.earlier)[:, kept][:, :, kept])
    target.bias.assign(ops.convert_to_numpy(source.bias)[both])
