"""The differentiable rate of the hyperprior codecs: bits of latents given hyper-latents and causal context.

A float stand-in for the integer entropy model that is fitted after training: the hyper-synthesis gives a mean and a
spread to every latent, linear forms of decoded neighbours and of earlier channels refine both.
"""

from itertools import pairwise
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..bitstream.lattice import CELL, PHASE_OF, PHASES, REACHES
from ..bitstream.linear_forms import ONE, WEIGHT_BITS, LinearForms
from ..models.keras_ops import ops
from .rate import logistic_bits

# A logistic has light tails: where it is narrower, what should be zero and is not would cost more than any table asks for.
_MIN_SPREAD = 0.05

_AROUND = 12.0
_BOUNDS = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192)

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

    The context is the one that the integer entropy model has (`bitstream/hyper_context.py`): groups of channels, one after
    the other, and within a group the phases of a lattice. It is made of linear forms, whose weights an export only rounds.

    Args:
        channels: latent channels; those of earlier groups inform later ones.
        anchors: anchors of the quality scale, at each of which every channel has its own bias.
    """

    def __init__(self, channels: int, anchors: int, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.channels = channels
        self.bias = Anchored(anchors, 2 * channels, name="bias")
        self.bounds = group_bounds(channels)
        groups = np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))
        self._earlier = (groups[:, None] < groups[None]).astype(np.float32)  # rows: input, columns: output channel
        mates = (groups[:, None] == groups[None]).astype(np.float32)
        self._mates = mates / mates.sum(axis=0)
        self._around = np.array([[1, 2, 1], [2, 0, 2], [1, 2, 1]], np.float32).reshape(3, 3, 1, 1) / _AROUND

    def build(self, input_shape: Any) -> None:
        """Creates the linear forms: prior, own neighbours, those of the group, earlier channels in place and around."""
        del input_shape
        c = self.channels
        self.trust = self.add_weight(shape=(PHASES, 2 * c), initializer="ones", name="trust")
        self.own = self.add_weight(shape=(PHASES, 2 * c), initializer="zeros", name="own")
        self.mates = self.add_weight(shape=(PHASES, c), initializer="zeros", name="mates")
        self.constant = self.add_weight(shape=(PHASES, 2 * c), initializer="zeros", name="constant")
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
            measured: where the bits have the slope that the latents receive, of the same shape: the integers again, or
                a continuous stand-in.
            predicted: (n, h, w, 2 channels) from the hyper-synthesis: means and spreads.
            position: float32 (n,) on the quality scale.

        Returns:
            Bits (n,) under the hyperprior alone, and with context.
        """
        prior = predicted + self.biases(position)
        return _bits(latents, measured, prior), _bits(latents, measured, self.context(latents, prior))

    def integer_forms(self) -> LinearForms:
        """The linear forms of the context as the integer entropy model has them."""
        trust, own, mates, constant, earlier = (
            np.asarray(ops.convert_to_numpy(w), np.float64) * (1 << WEIGHT_BITS)
            for w in (self.trust, self.own, self.mates, self.constant, self.earlier)
        )
        c = self.channels
        group_sizes = np.repeat(np.diff(self.bounds), np.diff(self.bounds))
        constant = _GAIN * constant + (1 << WEIGHT_BITS) / (2.0 * ONE)  # half a unit, for what is cut off
        spans = list(pairwise(self.bounds))
        return LinearForms(
            values=tuple(np.rint(_GAIN * ONE * earlier[0, :a, a:b]) for a, b in spans),
            activities=tuple(
                np.rint(_GAIN * np.concatenate([earlier[1, :a, a:b], earlier[2, :a, a:b] / _AROUND])) for a, b in spans
            ),
            own_value=np.rint(np.stack([trust[:, :c], _GAIN * ONE * own[:, :c], constant[:, :c]], axis=1)),
            own_spread=np.rint(
                np.stack([trust[:, c:], _GAIN * own[:, c:], _GAIN * mates / group_sizes, constant[:, c:]], axis=1)
            ),
        )

    def biases(self, position: Any) -> Any:
        """What every channel adds to its predicted value and spread at a quality, (n, 1, 1, 2 channels)."""
        return _GAIN * self.bias(position)

    def context(self, latents: Any, prior: Any) -> Any:
        """Predicted values and spreads (before the softplus) after the context, (n, h, w, 2 channels)."""
        activity = ops.log1p(ops.abs(latents))
        phases = _phases(latents)
        both = ops.concatenate([latents, activity], axis=-1)
        beside: Any = sum(phases[..., k + 1 : k + 2] * _neighbours(both, *reach) for k, reach in enumerate(REACHES))
        mates = ops.matmul(beside[..., self.channels :], ops.convert_to_tensor(self._mates))
        own_mean, own_spread = ops.split(ops.matmul(phases, self.own) * beside, 2, axis=-1)
        own_spread = own_spread + ops.matmul(phases, self.mates) * mates
        blur = ops.tile(ops.convert_to_tensor(self._around), (1, 1, self.channels, 1))
        around = ops.depthwise_conv(activity, blur, padding="same", data_format="channels_last")
        earlier = self.earlier * ops.convert_to_tensor(self._earlier)
        mean = own_mean + ops.matmul(latents, earlier[0])
        spread = own_spread + ops.matmul(activity, earlier[1]) + ops.matmul(around, earlier[2])
        refined = ops.matmul(phases, self.constant) + ops.concatenate([mean, spread], axis=-1)
        return ops.matmul(phases, self.trust) * prior + _GAIN * refined

    def compute_output_shape(self, latents: Any, measured: Any, predicted: Any, position: Any) -> Any:
        """Twice (n,)."""
        del measured, predicted, position
        return (latents[0],), (latents[0],)


def _bits(latents: Any, measured: Any, parameters: Any) -> Any:
    """Bits (n,) of integers; their slope by the latents is the one at the measured values.

    So a prior learns from the integers that it will have to code, and a latent from a rate that has slopes.
    """
    mean, spread = ops.split(parameters, 2, axis=-1)
    scale = ops.softplus(spread) + _MIN_SPREAD
    bits = logistic_bits(ops.stop_gradient(latents) - mean, scale)
    smooth = logistic_bits(measured - ops.stop_gradient(mean), ops.stop_gradient(scale))
    return ops.sum(bits + smooth - ops.stop_gradient(smooth), axis=(1, 2, 3))


def group_bounds(channels: int) -> tuple[int, ...]:
    """Channels at which groups begin, ending with the number of channels."""
    return (*(bound for bound in _BOUNDS if bound < channels), channels)


def _phases(latents: Any) -> Any:
    """The phase of every position as one of PHASES places, float32 (1, h, w, PHASES)."""
    rows, columns = (ops.arange(latents.shape[axis]) % CELL for axis in (1, 2))
    return ops.one_hot(
        ops.take(ops.convert_to_tensor(np.array(PHASE_OF)), rows[:, None] * CELL + columns[None]), PHASES
    )[None]


def _neighbours(planes: Any, distance: int, diagonal: bool) -> Any:
    """Sum of four neighbours at a distance along the axes or the diagonals, zero outside; (n, h, w, channels).

    Who is a neighbour has one: the sum is its own gradient. That of all the slices would take four times as long.
    """

    def backward(*args: Any, upstream: Any = None) -> Any:
        """Keras passes the gradient by name on PyTorch, by place elsewhere."""
        return _shifted_sum(args[0] if upstream is None else upstream, distance, diagonal)

    def summed(x: Any) -> Any:
        return _shifted_sum(x, distance, diagonal), backward

    return ops.custom_gradient(summed)(planes)


def _shifted_sum(planes: Any, distance: int, diagonal: bool) -> Any:
    d = distance
    x = ops.pad(planes, ((0, 0), (d, d), (d, d), (0, 0)))
    height, width = planes.shape[1], planes.shape[2]
    steps = ((0, 0), (0, 2 * d), (2 * d, 0), (2 * d, 2 * d)) if diagonal else ((0, d), (2 * d, d), (d, 0), (d, 2 * d))
    return sum(x[:, y : y + height, k : k + width] for y, k in steps)


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
