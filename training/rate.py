"""The differentiable rate: bits of a quantised latent under a context model, for training only.

The coder's own context model (`bitstream/context.py`) is integer and counted after training. This float model stands in
for it while the transforms learn: linear forms of causal neighbours and earlier channels predict the mean and the scale
of a discretised logistic for every latent, so the transforms may leave the redundancy which the coder removes.
"""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..models.keras_ops import ops

_KERNEL = 5
_MIN_SCALE = 0.05
_MIN_PROBABILITY = 1e-6

# Adam moves every parameter by about the learning rate, whatever its use. The few parameters of these linear forms must
# follow latents that the large transforms move, so their values are this many times what is stored.
_GAIN = 4.0


class ContextRate(keras.layers.Layer):
    """Code length of integer latents in bits.

    The mean of a latent is predicted from the values above and to the left in its own channel (5x5 window) and from the
    earlier channels at its position; the scale in the same way from magnitudes, through a softplus.
    """

    def __init__(self, channels: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.channels = channels
        causal = np.zeros((_KERNEL, _KERNEL, 1, 1), np.float32)
        causal[: _KERNEL // 2], causal[_KERNEL // 2, : _KERNEL // 2] = 1.0, 1.0
        self._causal = causal
        self._earlier = np.triu(np.ones((channels, channels), np.float32), k=1)  # rows: input, columns: output channel

    def build(self, input_shape: Any) -> None:
        """Creates, for mean and scale each: kernel per channel, weights of earlier channels, bias."""
        del input_shape
        c = self.channels
        self.spatial = self.add_weight(shape=(_KERNEL, _KERNEL, 2 * c, 1), initializer="zeros", name="spatial")
        self.earlier = self.add_weight(shape=(2, c, c), initializer="zeros", name="earlier")
        self.bias = self.add_weight(shape=(2 * c,), initializer="zeros", name="bias")

    def start(self, deviations: npt.NDArray[np.float64]) -> None:
        """Starts from independent channels of the given standard deviations, shape (channels,)."""
        scale = np.maximum(deviations * np.sqrt(3.0) / np.pi, 2 * _MIN_SCALE) - _MIN_SCALE
        self.bias.assign(np.concatenate([np.zeros_like(scale), np.log(np.expm1(scale))]) / _GAIN)

    def call(self, latents: Any) -> Any:
        """Code length per image.

        Args:
            latents: integers as float32 (n, h, w, c), with whatever gradient estimator the caller attached.

        Returns:
            Bits, float32 (n,).
        """
        magnitudes = ops.abs(latents)
        both = ops.concatenate([latents, magnitudes], axis=-1)
        kernel = self.spatial * ops.convert_to_tensor(self._causal)
        raw = ops.depthwise_conv(both, kernel, padding="same", data_format="channels_last") + self.bias
        mean, spread = ops.split(raw, 2, axis=-1)
        earlier = self.earlier * ops.convert_to_tensor(self._earlier)
        mean = _GAIN * (mean + ops.matmul(latents, earlier[0]))
        spread = _GAIN * (spread + ops.matmul(magnitudes, earlier[1]))
        return ops.sum(logistic_bits(latents - mean, ops.softplus(spread) + _MIN_SCALE), axis=(1, 2, 3))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """(n,)."""
        return (input_shape[0],)


def logistic_bits(distance: Any, scale: Any) -> Any:
    """Bits of integers at a distance from the mean of a discretised logistic distribution of that scale."""
    upper = ops.sigmoid((0.5 - ops.abs(distance)) / scale)
    lower = ops.sigmoid((-0.5 - ops.abs(distance)) / scale)
    return -ops.log(ops.maximum(upper - lower, _MIN_PROBABILITY)) / float(np.log(2.0))
