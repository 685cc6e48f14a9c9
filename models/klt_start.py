"""Starts the l3ic transforms as an exact block KLT, so that training begins at a working codec.

The analysis network is linear but for its leaky ReLUs, and a ReLU passes a linear signal when it is carried twice with
opposite signs: lrelu(v) - lrelu(-v) = (1 + slope) v. With that the three stride-2 convolutions can gather the 8x8x3 pixels
of a block (12 sub-pixel planes at 1/2, 48 at 1/4) and project them on the Karhunen-Loeve basis in the last one; the
synthesis scatters them back. Residual branches start close to zero and all other channels at random, free to learn.

The mean of a block spans far more than the 32 levels of a latent: one channel alone would leave steps of 8 gray levels in
skies. So the first component is given to several channels whose quantisers are staggered by fractions of a step; together
they resolve it as finely as they are many, and a context model codes the later ones for little more than a bit each.

Everything that is not given exactly this way is left as the initialiser made it.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .l3ic import CODEBOOK, STRIDE

_SLOPE_GAIN = 1.2
_QUIET = 0.01

Floats = npt.NDArray[np.float64]


def block_statistics(blocks: npt.NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Mean and covariance of centred 8x8 blocks.

    Args:
        blocks: uint8 array (n, 8, 8, 3).

    Returns:
        Mean (192,) and covariance (192, 192) of the blocks scaled to [-1, 1], flattened in (row, column, colour) order.
    """
    flat = blocks.reshape(len(blocks), -1).astype(np.float64) / 127.5 - 1.0
    return flat.mean(axis=0), np.cov(flat, rowvar=False)


def initialise(
    analysis: Any, synthesis: Any, mean: Floats, covariance: Floats, *, step: float, staggered: int
) -> Floats:
    """Writes the KLT into the two networks, in place.

    Args:
        analysis: the Keras model made by `l3ic.analysis`.
        synthesis: the Keras model made by `l3ic.synthesis`.
        mean: from `block_statistics`.
        covariance: from `block_statistics`.
        step: quantisation step of the coefficients in 8-bit units; channels whose range would leave the codebook get
            a coarser one.
        staggered: how many channels share the first component.

    Returns:
        Standard deviation of every latent channel before rounding, (channels,).
    """
    start = _plan(analysis.output_shape[-1], mean, covariance, step, staggered)
    _start_analysis(analysis, start)
    _start_synthesis(synthesis, start)
    return start.deviations


@dataclass(frozen=True)
class _Start:
    """The linear codec to write: latent = scale * (basis.T @ (block - mean)) + offset, and back.

    Attributes:
        mean: (192,).
        basis: (192, channels), the first column repeated for the staggered channels.
        scale: (channels,) latent units per coefficient.
        unscale: (channels,) coefficient per latent unit, shared out among staggered channels.
        offset: (channels,) shift of the quantiser, in steps.
        deviations: (channels,) standard deviations of the latents.
    """

    mean: Floats
    basis: Floats
    scale: Floats
    unscale: Floats
    offset: Floats
    deviations: Floats


def _plan(channels: int, mean: Floats, covariance: Floats, step: float, staggered: int) -> _Start:
    variances, basis = np.linalg.eigh(covariance)
    chosen = np.r_[np.zeros(staggered - 1, np.intp), np.arange(channels - staggered + 1)]
    variances, basis = variances[::-1][chosen], basis[:, ::-1][:, chosen]
    farthest = (1.0 + np.abs(mean)) @ np.abs(basis)  # no block in [-1, 1] projects farther from the mean
    reach = np.minimum(5.0 * np.sqrt(variances), farthest)
    scale = np.minimum(127.5 / step, (CODEBOOK[1] - 0.5) / reach)
    share = np.where(chosen == 0, staggered, 1)
    offset = np.zeros(channels)
    offset[:staggered] = (np.arange(staggered) - (staggered - 1) / 2) / staggered
    return _Start(mean, basis, scale, 1.0 / (scale * share), offset, scale * np.sqrt(variances))


def _start_analysis(model: Any, start: _Start) -> None:
    kernel, bias = model.get_layer("down1").get_weights()
    kernel[..., :24] = 0.0
    for k, (dy, dx, c) in enumerate(np.ndindex(2, 2, 3)):
        kernel[1 + dy, 1 + dx, c, 2 * k], kernel[1 + dy, 1 + dx, c, 2 * k + 1] = 1.0, -1.0
    model.get_layer("down1").set_weights([kernel, bias])

    kernel, bias = model.get_layer("down2").get_weights()
    kernel[..., :48] = 0.0
    for k, (dy, dx, s) in enumerate(np.ndindex(2, 2, 12)):
        kernel[1 + dy, 1 + dx, 2 * s, k] = 1.0 / _SLOPE_GAIN
        kernel[1 + dy, 1 + dx, 2 * s + 1, k] = -1.0 / _SLOPE_GAIN
    model.get_layer("down2").set_weights([kernel, bias])
    _silence_residuals(model)

    kernel, bias = model.get_layer("down3").get_weights()
    kernel *= _QUIET
    kernel[:, :, :48] = 0.0
    kernel[1:3, 1:3, :48] = _to_planes(start.basis).reshape(2, 2, 48, -1)
    model.get_layer("down3").set_weights([kernel, start.offset / start.scale - start.mean @ start.basis])
    model.get_layer("latent_scale").set_weights([start.scale])


def _start_synthesis(model: Any, start: _Start) -> None:
    model.get_layer("latent_unscale").set_weights([start.unscale])
    kernel, bias = model.get_layer("up1").get_weights()
    planes = kernel.reshape(3, 3, -1, 4, 128)
    planes[..., :48] = 0.0
    planes[1, 1, :, :, :48] = _to_planes(start.basis).reshape(4, 48, -1).transpose(2, 0, 1)
    offsets = bias.reshape(4, 128)
    constant = start.mean - start.basis @ (start.offset * start.unscale)
    offsets[:, :48] = _to_planes(constant[:, None]).reshape(4, 48)
    model.get_layer("up1").set_weights([kernel, bias])
    _silence_residuals(model)

    kernel, bias = model.get_layer("up2").get_weights()
    planes = kernel.reshape(3, 3, 128, 4, 64)
    planes[..., :24] = 0.0
    for offset, s in np.ndindex(4, 12):
        planes[1, 1, 12 * offset + s, offset, 2 * s] = 1.0
        planes[1, 1, 12 * offset + s, offset, 2 * s + 1] = -1.0
    model.get_layer("up2").set_weights([kernel, bias])

    kernel, bias = model.get_layer("up3").get_weights()
    kernel *= _QUIET
    kernel[:, :, :24] = 0.0
    for s in range(12):
        kernel[1, 1, 2 * s, s], kernel[1, 1, 2 * s + 1, s] = 1.0 / _SLOPE_GAIN, -1.0 / _SLOPE_GAIN
    model.get_layer("up3").set_weights([kernel, bias])


def _silence_residuals(model: Any) -> None:
    for block in range(3):
        layer = model.get_layer(f"block{block}_b")
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel * _QUIET, bias])


def _to_planes(columns: Floats) -> Floats:
    """Reorders rows from (row, column, colour) of an 8x8 block to (1/8 offset, 1/4 offset, 1/2 offset, colour).

    Args:
        columns: (192, n).

    Returns:
        (2, 2, 48, n): the position within the 2x2 grid at 1/4 resolution, then the plane there.
    """
    n = columns.shape[1]
    split = columns.reshape(2, 2, 2, 2, 2, 2, 3, n)  # y: quarter, half, pixel; x: quarter, half, pixel; colour
    ordered = split.transpose(0, 3, 1, 4, 2, 5, 6, 7)
    assert split.size == STRIDE * STRIDE * 3 * n
    return ordered.reshape(2, 2, 48, n)
