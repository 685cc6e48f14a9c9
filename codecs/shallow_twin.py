"""A differentiable twin of the integer entropy model, in TensorFlow: what a stripe would cost, for latents of any value.

For integers it gives the same bits as the integer model. Gradients pass where that cuts fractions off, and slopes between
neighbouring tables stand in for the choice of one. It guides an optimising encoder; files are coded by the integer model.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow

from ..bitstream.escape import code_lengths
from ..bitstream.hyper_context import MEAN_STEPS, NEAR, OFFSET_UNIT, HyperContext
from ..bitstream.lattice import CELL, PHASE_OF, PHASES, REACHES
from ..bitstream.linear_forms import ONE, WEIGHT_BITS
from ..bitstream.tables import TableSet
from ..models.integer_net import MAX_ACTIVATION, IntegerNet
from .shallow_model import ShallowModel

tf: Any = tensorflow

_SPREADS = np.arange(-(1 << 10), 1 << 12)
_SLOPE_REACH = 4
_REACH = 128
"""Prices are exact up to this distance from the predicted integer."""

_ESCAPE_BITS = 0.1
"""Slope of prices beyond, in bits per quantisation step."""

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
        self._model = tables.context if context else tables.alone
        self._net = tables.net
        self._height, self._width = shape
        self._context = context
        self._biases = tf.constant(tables.biases[node], tf.float32)
        self._hyper_mean, self._hyper_spread = (tf.constant(v, tf.float32) for v in tables.hyper_prior[node])
        self._activity = tf.constant(self._model.activity, tf.float32)
        self._prices, self._hyper_prices = (
            tf.constant(_fine_prices(model.tables).ravel()) for model in (self._model, tables.context)
        )
        self._columns = float(MEAN_STEPS * (2 * _REACH + 1))
        self._thresholds = tf.constant(self._model.thresholds, tf.float32)
        self._class_slopes = tf.constant(_class_slopes(self._model.thresholds))
        self._offsets = tf.constant(self._model.offsets.ravel() / OFFSET_UNIT, tf.float32)
        self._phases = tf.constant(_phases(*shape))
        self._forms = _Forms(self._model)

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
        bits = self._bits(self._prices, latents, mean, spread)
        bits += self._bits(self._hyper_prices, hyper, self._hyper_mean, self._hyper_spread)
        return bits, self._centroids(latents, mean, spread)

    def _prior(self, hyper: Any) -> tuple[Any, Any]:
        raw = _float_net(self._net, hyper)[: self._height, : self._width] + self._biases
        mean, spread = tf.split(raw, 2, axis=-1)
        return mean, spread

    def _refined(self, latents: Any, mean: Any, spread: Any) -> tuple[Any, Any]:
        """Predicted values and spreads after the linear forms of every step."""
        forms, phases = self._forms, self._phases
        activities = _look_up(self._activity, tf.abs(latents))
        around = 2.0 * _neighbours(activities, 1, False) + _neighbours(activities, 1, True)
        beside_values, beside = (self._beside(planes) for planes in (latents, activities))
        value_weights = [tf.tensordot(phases, w, 1) for w in forms.own_value]
        spread_weights = [tf.tensordot(phases, w, 1) for w in forms.own_spread]
        own_values = (mean, beside_values, float(ONE))
        own_spreads = (spread, beside, tf.tensordot(beside, forms.mates, 1), float(ONE))
        mean = sum(w * x for w, x in zip(value_weights, own_values, strict=True))
        spread = sum(w * x for w, x in zip(spread_weights, own_spreads, strict=True))
        mean += tf.tensordot(latents, forms.values, 1)
        spread += tf.tensordot(activities, forms.activities, 1) + tf.tensordot(around, forms.around, 1)
        return mean, spread

    def _beside(self, planes: Any) -> Any:
        """Sum of each position's four neighbours that its phase knows, (h, w, channels)."""
        sums = (self._phases[..., k + 1 : k + 2] * _neighbours(planes, *reach) for k, reach in enumerate(REACHES))
        return sum(sums)

    def _bits(self, prices: Any, values: Any, mean: Any, spread: Any) -> Any:
        """Bits of values under the tables that predictions in 1/16 choose.

        Between integers prices are interpolated. Predictions choose a table and no less, so their gradients are the
        slopes from one neighbouring table to the other.
        """
        bases, phases, classes = self._tables_of(mean, spread)
        column = MEAN_STEPS * (tf.floor(tf.stop_gradient(values)) - bases + _REACH) + MEAN_STEPS - 1.0 - phases
        share = values - tf.floor(tf.stop_gradient(values))
        lower, upper = (self._price(prices, classes, column + k) for k in (0, MEAN_STEPS))
        nearest = column + MEAN_STEPS * tf.round(tf.stop_gradient(share))
        left, right = (self._price(prices, classes, nearest + k) for k in (-1.0, 1.0))
        narrow, wide = (self._price(prices, classes + k, nearest) for k in (-1.0, 1.0))
        by_mean, by_class = (left - right) * (MEAN_STEPS / 2 / ONE), (wide - narrow) / 2
        by_spread = by_class * tf.gather(
            self._class_slopes, tf.cast(tf.clip_by_value(spread, _SPREADS[0], _SPREADS[-1]) - _SPREADS[0], tf.int32)
        )
        return tf.reduce_sum(
            (1.0 - share) * lower + share * upper + by_mean * _no_value(mean) + by_spread * _no_value(spread)
        )

    def _price(self, prices: Any, classes: Any, columns: Any) -> Any:
        """Entries of the price list, beyond it a little more for each column."""
        last = self._columns - 1.0
        outside = tf.maximum(-columns, 0.0) + tf.maximum(columns - last, 0.0)
        rows = tf.clip_by_value(classes, 0.0, len(self._model.thresholds) * 1.0)
        index = tf.cast(rows * self._columns + tf.clip_by_value(columns, 0.0, last), tf.int32)
        return tf.gather(prices, index) + _ESCAPE_BITS / MEAN_STEPS * outside

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


class _Forms:
    """The linear forms as matrices over all channels.

    Attributes:
        values: (channels, channels), from each earlier channel's value to a value.
        activities: likewise, from activities to a spread.
        around: likewise, from activities around.
        mates: (channels, channels) 1 within a group.
        own_value: for each own feature (PHASES, channels).
        own_spread: likewise.
    """

    def __init__(self, model: HyperContext) -> None:
        whole = np.zeros((4, model.channels, model.channels), np.float32)
        for (start, stop), values, activities in zip(
            model.groups(), model.forms.values, model.forms.activities, strict=True
        ):
            whole[0, :start, start:stop] = values
            whole[1, :start, start:stop] = activities[:start]
            whole[2, :start, start:stop] = activities[start:]
            whole[3, start:stop, start:stop] = 1 << WEIGHT_BITS
        self.values, self.activities, self.around, self.mates = (tf.constant(w / (1 << WEIGHT_BITS)) for w in whole)
        self.own_value, self.own_spread = (
            [tf.constant(w / (1 << WEIGHT_BITS), tf.float32) for w in own.transpose(1, 0, 2)]
            for own in (model.forms.own_value, model.forms.own_spread)
        )


def _phases(height: int, width: int) -> Floats:
    """The phase of every position as one of PHASES places, (h, w, PHASES)."""
    places = np.array(PHASE_OF)[np.arange(height)[:, None] % CELL, np.arange(width) % CELL]
    chosen: Floats = np.eye(PHASES, dtype=np.float32)[places]
    return chosen


def _fine_prices(tables: TableSet) -> Floats:
    """Bits by class and distance from the predicted value in quarters, ascending, (classes, 4 * distances).

    The four tables of a class are one distribution, sampled at four shifts.
    """
    prices = code_lengths(tables, _REACH)
    classes = prices.reshape(-1, MEAN_STEPS, prices.shape[1])
    fine = classes[:, ::-1].transpose(0, 2, 1)  # phase 3 lies furthest left of an integer
    return np.ascontiguousarray(fine.reshape(len(classes), -1))


def _class_slopes(thresholds: npt.NDArray[np.int64]) -> Floats:
    """Classes per unit of spread, around each spread."""
    around = np.searchsorted(thresholds, _SPREADS[:, None] + [-_SLOPE_REACH, _SLOPE_REACH], side="right")
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


def _neighbours(planes: Any, distance: int, diagonal: bool) -> Any:
    """Sum of four neighbours at a distance along the axes or the diagonals, zero outside; (h, w, channels).

    Who is a neighbour has one: the sum is its own gradient. TensorFlow would take four times as long with its slices.
    """

    def summed(x: Any) -> Any:
        return _shifted_sum(x, distance, diagonal), lambda upstream: _shifted_sum(upstream, distance, diagonal)

    return tf.custom_gradient(summed)(planes)


def _shifted_sum(planes: Any, distance: int, diagonal: bool) -> Any:
    d = distance
    x = tf.pad(planes, ((d, d), (d, d), (0, 0)))
    height, width = planes.shape[0], planes.shape[1]
    steps = ((0, 0), (0, 2 * d), (2 * d, 0), (2 * d, 2 * d)) if diagonal else ((0, d), (2 * d, d), (d, 0), (d, 2 * d))
    return sum(x[y : y + height, k : k + width] for y, k in steps)
