"""The l3ic transforms: a lightweight convolutional autoencoder with its latent at 1/8 resolution.

Source: P. Korus, N. Memon, "Quantifying the Cost of Reliable Photo Authentication via High-Performance Learned Lossy
Representations", ICLR 2020, which took the network from H. Liu et al., "Deep Image Compression via End-to-End
Learning", CVPRW 2018. Differences: one latent scale per channel instead of one for all (and its own inverse in the
synthesis), and the last layer of each transform stays in float32 when the rest trains in bfloat16.

The latent is rounded and clipped to the 5-bit codebook `CODEBOOK` outside these networks.
"""

from typing import Any

import keras
from keras import layers

from .layers import ChannelScale, DepthToSpace

STRIDE = 8
"""Pixels per latent position along each axis; image sides must be multiples of it."""

CODEBOOK = (-15, 16)
"""Smallest and largest quantised latent value."""

_SLOPE = 0.2
_BLOCKS = 3
_WIDTH = 128


def analysis(channels: int) -> Any:
    """Builds the analysis transform.

    Args:
        channels: latent channels N (16, 32 or 64 in the released models).

    Returns:
        A Keras model from pixels (n, h, w, 3), RGB in [0, 1], h and w multiples of 8, to latents (n, h/8, w/8, N)
        in units of one quantisation step.
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    x = layers.Rescaling(2.0, offset=-1.0, name="centre")(pixels)
    x = _conv(64, 5, "down1", stride=2)(x)
    x = _activation("down1_act")(x)
    x = _conv(_WIDTH, 5, "down2", stride=2)(x)
    for block in range(_BLOCKS):
        # The first residual branch sees the activated tensor; the skip always carries the tensor as it is.
        branch = _activation("down2_act")(x) if block == 0 else x
        x = _residual(x, branch, block)
    x = layers.Conv2D(channels, 5, 2, padding="same", dtype="float32", name="down3")(x)
    return keras.Model(pixels, ChannelScale(name="latent_scale")(x), name="l3ic_analysis")


def synthesis(channels: int) -> Any:
    """Builds the synthesis transform.

    Args:
        channels: latent channels N.

    Returns:
        A Keras model from quantised latents (n, h, w, N) to pixels (n, 8h, 8w, 3), nominally in [0, 1], not clipped.
    """
    latents = keras.Input((None, None, channels), name="latents")
    x = ChannelScale(name="latent_unscale")(latents)
    x = _conv(4 * _WIDTH, 3, "up1")(x)
    x = DepthToSpace(2, name="up1_space")(x)
    for block in range(_BLOCKS):
        x = _residual(x, x, block)
    x = _conv(256, 3, "up2")(x)
    x = _activation("up2_act")(x)
    x = DepthToSpace(2, name="up2_space")(x)
    x = layers.Conv2D(12, 3, padding="same", dtype="float32", name="up3")(x)
    x = DepthToSpace(2, dtype="float32", name="up3_space")(x)
    x = layers.Rescaling(0.5, offset=0.5, dtype="float32", name="uncentre")(x)
    return keras.Model(latents, x, name="l3ic_synthesis")


def macs_per_pixel(channels: int) -> tuple[int, int]:
    """Multiply-accumulates per image pixel of analysis and synthesis, computed from the layer shapes.

    >>> macs_per_pixel(32)
    (70896, 77760)
    """
    residual = _BLOCKS * 2 * 9 * _WIDTH * _WIDTH // 16
    analysis_macs = 3 * 64 * 25 // 4 + 64 * _WIDTH * 25 // 16 + residual + _WIDTH * channels * 25 // 64
    synthesis_macs = channels * 4 * _WIDTH * 9 // 64 + residual + _WIDTH * 256 * 9 // 16 + 64 * 12 * 9 // 4
    return analysis_macs, synthesis_macs


def _conv(filters: int, kernel: int, name: str, stride: int = 1) -> Any:
    return layers.Conv2D(filters, kernel, stride, padding="same", kernel_initializer="he_normal", name=name)


def _activation(name: str) -> Any:
    return layers.LeakyReLU(negative_slope=_SLOPE, name=name)


def _residual(skip: Any, branch: Any, block: int) -> Any:
    branch = _conv(_WIDTH, 3, f"block{block}_a")(branch)
    branch = _activation(f"block{block}_act")(branch)
    branch = _conv(_WIDTH, 3, f"block{block}_b")(branch)
    return layers.Add(name=f"block{block}_add")([skip, branch])
