"""The differentiable rate of the hyperprior codecs: bits of latents given hyper-latents and causal context.

A float stand-in for the integer entropy model that is fitted after training: the hyper-synthesis gives a mean and a
spread to every latent, linear forms of decoded neighbours and of earlier channels refine both.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..models.keras_ops import ops
from .rate import logistic_bits

_KERNEL = 5
_MIN_SPREAD = 0.03

# See `rate.ContextRate`: small linear forms must follow what large transforms move.
_GAIN = 4.0


class Anchored(keras.layers.Layer):
    """Vectors at the anchors of a quality scale, interpolated linearly between them.

    Args:
        anchors: number of anchors.
        size: length of each vector.
    """

    def __init__(self, anchors: int, size: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.anchors, self.size = anchors, size

    def build(self, input_shape: Any) -> None:
        """Creates the (anchors, size) table of zeros."""
        del input_shape
        self.table = self.add_weight(shape=(self.anchors, self.size), initializer="zeros", name="table")

    def call(self, position: Any) -> Any:
        """Interpolates.

        Args:
            position: float32 (n,) from 0 to anchors - 1.

        Returns:
            (n, 1, 1, size).
        """
        distance = ops.abs(position[:, None] - ops.arange(self.anchors, dtype="float32")[None])
        return ops.matmul(ops.maximum(1.0 - distance, 0.0), self.table)[:, None, None, :]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(n, 1, 1, size)."""
        return (input_shape[0], 1, 1, self.size)


class HyperContextRate(keras.layers.Layer):
    """Code length of integer latents, with the hyperprior alone and with the context too.

    Args:
        channels: latent channels; earlier ones inform later ones.
        anchors: anchors of the quality scale, at each of which every channel has its own bias.
    """

    def __init__(self, channels: int, anchors: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.channels = channels
        self.bias = Anchored(anchors, 2 * channels, name="bias")
        causal = np.zeros((_KERNEL, _KERNEL, 1, 1), np.float32)
        causal[: _KERNEL // 2], causal[_KERNEL // 2, : _KERNEL // 2] = 1.0, 1.0
        self._causal = causal
        self._earlier = np.triu(np.ones((channels, channels), np.float32), k=1)  # rows: input, columns: output channel
        self._around = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32).reshape(3, 3, 1, 1) / 12.0

    def build(self, input_shape: Any) -> None:
        """Creates the linear forms: own neighbours, earlier channels in place and around."""
        del input_shape
        c = self.channels
        self.spatial = self.add_weight(shape=(_KERNEL, _KERNEL, 2 * c, 1), initializer="zeros", name="spatial")
        self.earlier = self.add_weight(shape=(3, c, c), initializer="zeros", name="earlier")
        self.bias.build((None,))

    def start(self, deviations: npt.NDArray[np.float64]) -> None:
        """Starts from independent channels, standard deviations (anchors, channels) in quantisation steps."""
        scale = np.maximum(deviations * np.sqrt(3.0) / np.pi, 2 * _MIN_SPREAD) - _MIN_SPREAD
        spread = np.where(scale > 20, scale, np.log(np.expm1(np.minimum(scale, 20)) + 1e-9))
        self.bias.table.assign(np.concatenate([np.zeros_like(spread), spread], axis=1) / _GAIN)

    def call(self, latents: Any, measured: Any, predicted: Any, position: Any) -> tuple[Any, Any]:
        """Code lengths per image.

        Args:
            latents: what the context sees: integers as float32 (n, h, w, channels), with whatever gradient estimator the
                caller attached.
            measured: what the bits are of, of the same shape: the integers, or a continuous stand-in.
            predicted: (n, h, w, 2 channels) from the hyper-synthesis: means and spreads.
            position: float32 (n,) on the quality scale.

        Returns:
            Bits (n,) under the hyperprior alone, and with context.
        """
        prior = predicted + self.biases(position)
        return self._bits(measured, prior), self._bits(measured, prior + _GAIN * self.context(latents))

    def biases(self, position: Any) -> Any:
        """What every channel adds to its predicted value and spread at a quality, (n, 1, 1, 2 channels)."""
        return _GAIN * self.bias(position)

    def context(self, latents: Any) -> Any:
        """What decoded neighbours and earlier channels add to value and spread, before the gain, (n, h, w, 2 channels)."""
        activity = ops.log1p(ops.abs(latents))
        kernel = self.spatial * ops.convert_to_tensor(self._causal)
        own = ops.depthwise_conv(
            ops.concatenate([latents, activity], axis=-1), kernel, padding="same", data_format="channels_last"
        )
        blur = ops.tile(ops.convert_to_tensor(self._around), (1, 1, self.channels, 1))
        around = ops.depthwise_conv(activity, blur, padding="same", data_format="channels_last")
        earlier = self.earlier * ops.convert_to_tensor(self._earlier)
        mean = ops.matmul(latents, earlier[0])
        spread = ops.matmul(activity, earlier[1]) + ops.matmul(around, earlier[2])
        return own + ops.concatenate([mean, spread], axis=-1)

    def _bits(self, latents: Any, parameters: Any) -> Any:
        mean, spread = ops.split(parameters, 2, axis=-1)
        return ops.sum(logistic_bits(latents - mean, ops.softplus(spread) + _MIN_SPREAD), axis=(1, 2, 3))

    def compute_output_shape(self, latents: Any, measured: Any, predicted: Any, position: Any) -> Any:
        """Twice (n,)."""
        del measured, predicted, position
        return (latents[0],), (latents[0],)


class FactorizedRate(keras.layers.Layer):
    """Code length of integer hyper-latents: one logistic per channel and quality."""

    def __init__(self, channels: int, anchors: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.channels = channels
        self.parameters_table = Anchored(anchors, 2 * channels, name="parameters")

    def build(self, input_shape: Any) -> None:
        """Creates mean and spread of every channel at every anchor."""
        del input_shape
        self.parameters_table.build((None,))

    def call(self, latents: Any, position: Any) -> Any:
        """Bits (n,) of integers as float32 (n, h, w, channels), at float32 (n,) on the quality scale."""
        mean, spread = ops.split(self.parameters_at(position), 2, axis=-1)
        return ops.sum(logistic_bits(latents - mean, ops.softplus(spread) + _MIN_SPREAD), axis=(1, 2, 3))

    def parameters_at(self, position: Any) -> Any:
        """Value and spread (before the softplus) of every channel at a quality, (n, 1, 1, 2 channels)."""
        return _GAIN * self.parameters_table(position)

    def compute_output_shape(self, latents: Any, position: Any) -> Any:
        """(n,)."""
        del position
        return (latents[0],)
