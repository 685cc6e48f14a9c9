"""A differentiable twin of the integer entropy model, in TensorFlow: what a stripe would cost, for latents of any value.

For integers it gives the same bits as the integer model. Gradients pass where that cuts fractions off, and slopes between
neighbouring tables stand in for the choice of one. It guides an optimising encoder; files are coded by the integer model.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow

from ..bitstream.hyper_context import MEAN_STEPS, NEAR, OFFSET_UNIT, ONE, REACH, WEIGHT_BITS, Weights, checkerboard
from ..bitstream.tables import FREQUENCY_BITS
from ..models.integer_net import MAX_ACTIVATION, IntegerNet
from .shallow_model import ShallowModel

tf: Any = tensorflow

_SPREADS = 1 << 12
_SLOPE_REACH = 4
_ESCAPE_BITS = 0.1
"""Slope of prices beyond the tables, in bits per quantisation step."""

Floats = npt.NDArray[np.float32]


class RateTwin:
    """The entropy model of one stripe at one quality.

    Args:
        tables: the model.
        node: the quality as the entropy model knows it.
        shape: latent rows and columns.
        context: whether latents are coded with context.
    """

    def __init__(self, tables: ShallowModel, node: int, shape: tuple[int, int], context: bool) -> None:
        self._model = tables.context
        self._net = tables.net
        self._height, self._width = shape
        self._context = context
        self._biases = tf.constant(tables.biases[node], tf.float32)
        self._spreads, self._lowest = tf.constant(tables.spreads, tf.float32), float(tables.lowest)
        self._hyper_mean, self._hyper_spread = (tf.constant(v, tf.float32) for v in tables.hyper_prior[node])
        self._activity = tf.constant(self._model.activity, tf.float32)
        self._constant = tf.constant([ONE, node, node * node], tf.float32)
        self._prices = tf.constant(_fine_prices(tables).ravel())
        self._columns = float(MEAN_STEPS * (self._model.tables.frequencies.shape[1] - 1))
        self._minimum = float(self._model.tables.minimum)
        self._thresholds = tf.constant(self._model.thresholds, tf.float32)
        self._class_slopes = tf.constant(_class_slopes(self._model.thresholds))
        self._offsets = tf.constant(self._model.offsets.ravel() / OFFSET_UNIT, tf.float32)
        odd = np.zeros(self._height * self._width, np.float32)
        odd[checkerboard(*shape)[1]] = 1.0
        self._odd = tf.constant(odd.reshape(self._height, self._width, 1))
        self._weights = [self._group_weights(group) for group in range(len(self._model.groups()))]

    def __call__(self, latents: Any, hyper: Any) -> tuple[Any, Any]:
        """What a stripe costs.

        Args:
            latents: float32 (h, w, channels) in quantisation steps.
            hyper: float32 (hyper h, hyper w, hyper channels).

        Returns:
            Bits of latents and hyper-latents together; and where in its cell each latent lies on average, in
            quantisation steps, (h, w, channels), without gradient.
        """
        mean, spread = self._prior(hyper)
        if self._context:
            mean, spread = self._refined(latents, mean, spread)
        hyper_bits = self._bits(hyper, self._hyper_mean, self._hyper_spread)
        return self._bits(latents, mean, spread) + hyper_bits, self._centroids(latents, mean, spread)

    def _prior(self, hyper: Any) -> tuple[Any, Any]:
        raw = _float_net(self._net, hyper)[: self._height, : self._width] + self._biases
        mean, raw_spread = tf.split(raw, 2, axis=-1)
        return mean, _look_up(self._spreads, raw_spread - self._lowest)

    def _refined(self, latents: Any, mean: Any, spread: Any) -> tuple[Any, Any]:
        """Predicted values and spreads after the linear forms of every step."""
        activities = _look_up(self._activity, tf.abs(latents))
        beside_values, beside = _adjacent(latents), _adjacent(activities)
        around = 2.0 * beside + _diagonal(activities)
        own = tf.stack([mean, spread, beside_values, beside])  # (4, h, w, channels)
        ones = tf.ones_like(latents[..., :1])
        refined = []
        for (start, stop), (shared, single) in zip(self._model.groups(), self._weights, strict=True):
            near = slice(max(0, start - REACH), start)
            rows = [ones * self._constant, *(plane[..., near] for plane in (latents, activities, around))]
            if start:
                rows += [tf.reduce_sum(plane[..., :start], -1, keepdims=True) for plane in (activities, around)]
            rows.append(tf.reduce_sum(beside[..., start:stop], -1, keepdims=True))
            forms = tf.reshape(tf.tensordot(tf.concat(rows, -1), shared, 1), (*ones.shape[:2], 4, stop - start))
            forms += tf.einsum("fhwc,kfc->hwkc", own[..., start:stop], single)
            refined.append(forms)
        forms = tf.concat(refined, -1)
        even_mean, odd_mean, even_spread, odd_spread = tf.unstack(forms, axis=2)
        return (
            even_mean + self._odd * (odd_mean - even_mean),
            even_spread + self._odd * (odd_spread - even_spread),
        )

    def _group_weights(self, group: int) -> tuple[Any, Any]:
        """Weights of a group's shared features, (features, 4 * channels), and own ones, (4, 4 own features, channels).

        The four forms are value and spread, each for the even and the odd positions of the checkerboard.
        """
        shared, own = [], []
        for weights in (self._model.mean, self._model.spread):
            for phase in range(2):
                a, b = _phase_weights(weights, 2 * group + phase, phase)
                shared.append(a)
                own.append(b)
        return tf.constant(np.concatenate(shared, axis=1)), tf.constant(np.stack(own))

    def _bits(self, values: Any, mean: Any, spread: Any) -> Any:
        """Bits of values under the tables that predictions in 1/16 choose.

        Between integers prices are interpolated. Predictions choose a table and no less, so their gradients are the
        slopes from one neighbouring table to the other.
        """
        bases, phases, classes = self._tables_of(mean, spread)
        column = MEAN_STEPS * (tf.floor(tf.stop_gradient(values)) - bases - self._minimum) + MEAN_STEPS - 1.0 - phases
        share = values - tf.floor(tf.stop_gradient(values))
        lower, upper = self._price(classes, column), self._price(classes, column + MEAN_STEPS)
        nearest = column + MEAN_STEPS * tf.round(tf.stop_gradient(share))
        by_mean = (self._price(classes, nearest - 1.0) - self._price(classes, nearest + 1.0)) * (MEAN_STEPS / 2 / ONE)
        by_class = (self._price(classes + 1.0, nearest) - self._price(classes - 1.0, nearest)) / 2
        by_spread = by_class * tf.gather(
            self._class_slopes, tf.cast(tf.clip_by_value(spread, 0.0, _SPREADS - 1.0), tf.int32)
        )
        return tf.reduce_sum(
            (1.0 - share) * lower + share * upper + by_mean * _no_value(mean) + by_spread * _no_value(spread)
        )

    def _price(self, classes: Any, columns: Any) -> Any:
        """Entries of the price list, beyond it a little more for each column."""
        last = self._columns - 1.0
        outside = tf.maximum(-columns, 0.0) + tf.maximum(columns - last, 0.0)
        rows = tf.clip_by_value(classes, 0.0, len(self._model.thresholds) * 1.0)
        index = tf.cast(rows * self._columns + tf.clip_by_value(columns, 0.0, last), tf.int32)
        return tf.gather(self._prices, index) + _ESCAPE_BITS / MEAN_STEPS * outside

    def _tables_of(self, mean: Any, spread: Any) -> tuple[Any, Any, Any]:
        """As floats without gradients: predicted integers, phases, classes; see `HyperContext.contexts`."""
        quarters = tf.floor(tf.floor(tf.stop_gradient(mean)) * (MEAN_STEPS / ONE)) + MEAN_STEPS // 2
        bases = tf.floor(quarters / MEAN_STEPS)
        flat = tf.reshape(tf.floor(tf.stop_gradient(spread)), [-1])
        classes = tf.searchsorted(self._thresholds, flat, side="right")
        return bases, quarters - MEAN_STEPS * bases, tf.cast(tf.reshape(classes, spread.shape), tf.float32)

    def _centroids(self, values: Any, mean: Any, spread: Any) -> Any:
        bases, phases, classes = self._tables_of(mean, spread)
        near = tf.clip_by_value(tf.round(values) - bases, -NEAR, NEAR) + NEAR
        index = (MEAN_STEPS * classes + phases) * (2 * NEAR + 1) + near
        return tf.stop_gradient(tf.gather(self._offsets, tf.cast(index, tf.int32)))


def _phase_weights(weights: Weights, number: int, phase: int) -> tuple[Floats, Floats]:
    """One step's weights, shared and own, with zeros for what only the odd phase sees."""
    more = 1 - phase
    shared = np.pad(weights.shared[number], ((0, more), (0, 0)))
    own = np.pad(weights.own[number], ((0, 2 * more), (0, 0)))
    return (shared / (1 << WEIGHT_BITS)).astype(np.float32), (own / (1 << WEIGHT_BITS)).astype(np.float32)


def _fine_prices(tables: ShallowModel) -> Floats:
    """Bits by class and distance from the predicted value in quarters, ascending, (classes, 4 * entries - 4).

    The four tables of a class are one distribution, sampled at four shifts.
    """
    frequencies = tables.context.tables.frequencies
    prices = FREQUENCY_BITS - np.log2(np.maximum(frequencies, 1.0))
    inner = prices[:, :-1].reshape(-1, MEAN_STEPS, prices.shape[1] - 1)
    fine = inner[:, ::-1].transpose(0, 2, 1)  # phase 3 lies furthest left of an integer
    return np.ascontiguousarray(fine.reshape(len(inner), -1), np.float32)


def _class_slopes(thresholds: npt.NDArray[np.int64]) -> Floats:
    """Classes per unit of spread, around each spread."""
    around = np.searchsorted(thresholds, np.arange(_SPREADS)[:, None] + [-_SLOPE_REACH, _SLOPE_REACH], side="right")
    return ((around[:, 1] - around[:, 0]) / (2.0 * _SLOPE_REACH)).astype(np.float32)


def _no_value(x: Any) -> Any:
    """Zero with the gradient of the identity."""
    return x - tf.stop_gradient(x)


def _look_up(table: Any, place: Any) -> Any:
    """Entries of a table between its places, interpolated; the first and the last count beyond it."""
    last = int(table.shape[0]) - 1
    place = tf.clip_by_value(place, 0.0, last - 1e-3)
    below = tf.floor(tf.stop_gradient(place))
    index = tf.cast(below, tf.int32)
    low, high = tf.gather(table, index), tf.gather(table, tf.minimum(index + 1, last))
    return low + (place - below) * (high - low)


def _float_net(net: IntegerNet, planes: Any) -> Any:
    """The integer network, differentiable: (h, w, inputs) to (scale h, scale w, outputs)."""
    x = planes[None]
    for number, layer in enumerate(net.layers):
        factors = layer.factors
        kernel = tf.constant(layer.kernel.astype(np.float32) * factors[:, None])
        shape = (1, x.shape[1] * layer.stride, x.shape[2] * layer.stride, layer.outputs)
        x = tf.nn.conv2d_transpose(x, kernel, shape, layer.stride, "SAME")
        x += tf.constant(layer.bias.astype(np.float32) * factors)
        x = tf.stop_gradient(tf.floor(x)) + _no_value(x)
        low, high = net.output_range if number == len(net.layers) - 1 else (0, MAX_ACTIVATION)
        x = tf.clip_by_value(x, float(low), float(high))
    return x[0]


def _adjacent(planes: Any) -> Any:
    """Sum of the four neighbours that share an edge, zero outside; (h, w, channels)."""
    x = tf.pad(planes, ((1, 1), (1, 1), (0, 0)))
    return x[:-2, 1:-1] + x[2:, 1:-1] + x[1:-1, :-2] + x[1:-1, 2:]


def _diagonal(planes: Any) -> Any:
    """Sum of the four neighbours that share a corner, zero outside; (h, w, channels)."""
    x = tf.pad(planes, ((1, 1), (1, 1), (0, 0)))
    return x[:-2, :-2] + x[:-2, 2:] + x[2:, :-2] + x[2:, 2:]
