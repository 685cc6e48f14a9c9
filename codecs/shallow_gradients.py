"""Per-image refinement of latents and hyper-latents by gradients of rate plus distortion, with TensorFlow.

Sources: Y. Yang, R. Bamler, S. Mandt, "Improving Inference for Neural Image Compression", NeurIPS 2020: latents are
optimised for each image through a relaxation of rounding; for shallow decoders Yang and Mandt, ICCV 2023. Their
relaxation, stochastic Gumbel annealing, draws every value from its two neighbouring integers, for thousands of steps. Ours
is to do with tens: it rounds softly (E. Agustsson, L. Theis, "Universally Quantized Neural Compression", NeurIPS 2020,
section 4.1). Where there are steps enough, about a hundred, noise that falls off helps it out of local optima.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.hyper_context import LARGEST
from ..models.backends import keras_tensorflow
from ..models.zoo import Model
from .shallow_header import STRIDE_LOG2
from .shallow_model import ShallowModel
from .shallow_twin import RateTwin

tf: Any = import_module("tensorflow")  # not before the backend has set it up

_SHARPNESS = 8.0
"""Of soft rounding; 6 to 12 do about as well."""

_FIRST_NOISE = 0.1
"""Deviation of the noise at the first step, in quantisation steps."""

_STEPS_TO_SETTLE = 100
"""With fewer, noise does more harm than good."""

_FINAL_SHARE = 0.2
_SEED = 1

Latents = npt.NDArray[np.float32]
Report = Callable[[int], None]


@dataclass(frozen=True, eq=False)
class Stripe:
    """What is to be refined.

    Attributes:
        exact: float32 (channels, h, w) unrounded latents in quantisation steps.
        chosen: int32 (channels, h, w) the values that would be coded as it is.
        hyper: float32 (hyper channels, hyper h, hyper w) unrounded hyper-latents.
        pixels: uint8 (height, width, 3) of the picture, height and width at most 16 h and 16 w.
        above: float32 (channels, rows, w) rounded latents of the rows before the stripe, none or a few.
        below: likewise those after it.
        steps: quality in the header's steps.
        node: quality as the entropy model knows it.
        context: whether latents are coded with context.
    """

    exact: Latents
    chosen: npt.NDArray[np.int32]
    hyper: Latents
    pixels: npt.NDArray[np.uint8]
    above: Latents
    below: Latents
    steps: int
    node: int
    context: bool


def optimise(
    model: Model, tables: ShallowModel, stripe: Stripe, iterations: int, report: Report
) -> tuple[Latents, Latents]:
    """Refines a stripe.

    Args:
        model: whose synthesis is looked through.
        tables: its entropy model.
        stripe: see there.
        iterations: steps of the optimiser.
        report: called after each step with the number of steps done.

    Returns:
        Latents (channels, h, w) and hyper-latents (hyper channels, hyper h, hyper w): integers as float32, no worse than
        those chosen before.

    Raises:
        ModelError: the model's files are damaged.
        BackendError: Keras runs on something else than TensorFlow in this process.
    """
    objective = _Objective(keras_tensorflow.definition(model, "decoder"), tables, stripe)
    before = [tf.constant(_last(v)) for v in (stripe.chosen, np.rint(stripe.hyper))]
    values = [tf.Variable(_last(v)) for v in (stripe.exact, stripe.hyper)]
    optimiser = _Adam(values)
    for iteration in range(iterations):
        progress = iteration / iterations
        rate = _learning_rate(iterations) * (0.2 if progress > 1.0 - _FINAL_SHARE else 1.0)
        noise, seed = tf.constant(noise_at(progress, iterations)), tf.constant([_SEED, iteration])
        optimiser.apply(objective.gradients(values[0], values[1], noise, seed), rate)
        report(iteration + 1)
    after = [tf.round(v) for v in values]
    best = after if objective.cost(*after) < objective.cost(*before) else before
    latents, hyper = (np.ascontiguousarray(v.numpy().transpose(2, 0, 1)) for v in best)
    return np.clip(latents, 1 - LARGEST, LARGEST - 1), hyper


class _Objective:
    """Bits plus weighted squared error of one stripe."""

    def __init__(self, synthesis: Any, tables: ShallowModel, stripe: Stripe) -> None:
        self._synthesis = synthesis
        self._twin = RateTwin(tables, stripe.node, stripe.exact.shape[1:], stripe.context)
        self._inverse = tf.constant(tables.inverse(stripe.steps)[:, 0, 0])
        self._above, self._below = (tf.constant(_last(rows)) for rows in (stripe.above, stripe.below))
        self._pixels = tf.constant(stripe.pixels.astype(np.float32) / 255.0)
        self._weight = tables.weight(stripe.steps)
        self._gradients = tf.function(self._traced, autograph=False)  # nothing to rewrite: a fifth of the tracing less

    def gradients(self, latents: Any, hyper: Any, noise: Any, seed: Any) -> Any:
        """Gradients by latents and hyper-latents, at their values plus normal noise of that deviation, softly rounded."""
        return self._gradients(latents, hyper, noise, seed)

    def cost(self, latents: Any, hyper: Any) -> float:
        """Bits, squared error included, of integers as float32."""
        return float(self._cost(latents, hyper))

    def _cost(self, latents: Any, hyper: Any) -> Any:
        bits, centroids = self._twin(latents, hyper)
        return bits + self._weight * self._error(latents + centroids)

    def _traced(self, latents: Any, hyper: Any, noise: Any, seed: Any) -> Any:
        with tf.GradientTape() as tape:
            shaken = [v + noise * tf.random.stateless_normal(v.shape, seed + k) for k, v in enumerate((latents, hyper))]
            loss = self._cost(*map(softly_rounded, shaken))
        return tape.gradient(loss, [latents, hyper])

    def _error(self, latents: Any) -> Any:
        whole = tf.concat([self._above, latents, self._below], axis=0) * self._inverse
        restored = self._synthesis(whole[None])[0]
        top = int(self._above.shape[0]) << STRIDE_LOG2
        height, width = self._pixels.shape[:2]
        return tf.reduce_sum(tf.square(tf.clip_by_value(restored[top : top + height, :width], 0.0, 1.0) - self._pixels))


class _Adam:
    """Adam with what it needs alone: Keras' would be traced anew for every stripe."""

    def __init__(self, variables: list[Any]) -> None:
        self._variables = variables
        self._moments = [(tf.Variable(tf.zeros_like(v)), tf.Variable(tf.zeros_like(v))) for v in variables]
        self._step = 0

    def apply(self, gradients: list[Any], rate: float) -> None:
        self._step += 1
        size = rate * (1 - 0.999**self._step) ** 0.5 / (1 - 0.9**self._step)
        for variable, gradient, (first, second) in zip(self._variables, gradients, self._moments, strict=True):
            first.assign(0.9 * first + 0.1 * gradient)
            second.assign(0.999 * second + 0.001 * gradient**2)
            variable.assign_sub(size * first / (tf.sqrt(second) + 1e-8))


def softly_rounded(values: Any) -> Any:
    """Integers stay, halves too, what lies between moves towards the nearer integer (Agustsson and Theis, section 4.1)."""
    middle = tf.floor(tf.stop_gradient(values)) + 0.5
    return middle + tf.tanh(_SHARPNESS * (values - middle)) / (2.0 * math.tanh(_SHARPNESS / 2.0))


def noise_at(progress: float, iterations: int) -> float:
    """Deviation of the noise, down to a tenth of what it was at first."""
    return _FIRST_NOISE * 0.1**progress if iterations >= _STEPS_TO_SETTLE else 0.0


def _learning_rate(iterations: int) -> float:
    """0.03 at 40 steps; larger where fewer must go as far."""
    return 0.03 * math.sqrt(40.0 / iterations)


def _last(planes: npt.NDArray[Any]) -> Latents:
    """Channels last."""
    return np.ascontiguousarray(planes.transpose(1, 2, 0), np.float32)
