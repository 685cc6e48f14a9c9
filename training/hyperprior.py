"""The trainable hyperprior codec: transforms, gains, quantisers and rates in one Keras model, for all qualities at once."""

from typing import Any

import keras
import numpy as np

from ..models import shallow
from ..models.keras_ops import ops
from .config import HyperpriorConfig
from .hyper_rate import Anchored, FactorizedRate, HyperContextRate

REFERENCE_LAMBDA = 0.01
_CONTEXT_SHARE = 0.9
"""Weight of the rate with context; the rest is that of the fast profile without, so that it stays good too."""


def build_codec(config: HyperpriorConfig) -> "HyperpriorCodec":
    """A codec with freshly initialised weights, built for its input shape."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    codec = HyperpriorCodec(config)
    codec.build((None, config.crop, config.crop, 3))
    return codec


class HyperpriorCodec(keras.Model):
    """Analysis, gains, rounding, hyperprior with context, synthesis.

    A position on the quality scale, from 0 to anchors - 1, chooses the trade-off: it interpolates the logarithm of each
    channel's gain and of its inverse between anchors, and lambda with them. Training draws a position for every crop.
    """

    def __init__(self, config: HyperpriorConfig, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self._lambdas = np.log(config.lambdas).astype(np.float32)
        architecture, anchors = config.architecture, len(config.lambdas)
        self._context_share = _CONTEXT_SHARE if config.context else 0.0
        self.analysis, self.synthesis = shallow.analysis(architecture), shallow.synthesis(architecture)
        self.has_hyperprior = architecture.hyper != "none"
        if self.has_hyperprior:
            self.hyper_analysis = shallow.hyper_analysis(architecture)
            self.hyper_synthesis = shallow.hyper_synthesis(architecture)
        self.log_gain = Anchored(anchors, architecture.latents, name="log_gain")
        self.log_inverse = Anchored(anchors, architecture.latents, name="log_inverse")
        self.rate = HyperContextRate(architecture.latents, anchors, name="rate")
        if self.has_hyperprior:
            self.hyper_rate = FactorizedRate(architecture.hyper_latents, anchors, name="hyper_rate")
        self._trackers = {name: keras.metrics.Mean(name) for name in ("bpp", "hyper_bpp", "fast_bpp", "mse", "score")}

    def build(self, input_shape: Any) -> None:
        """Builds the layers that are not functional models."""
        for anchored in (self.log_gain, self.log_inverse):
            anchored.build((None,))
        self.rate.build((*input_shape[:3], self.rate.channels))
        if self.has_hyperprior:
            self.hyper_rate.build((*input_shape[:3], self.hyper_rate.channels))
        self.built = True

    def latents(self, pixels: Any, position: Any) -> Any:
        """Unrounded latents in quantisation steps, of pixels (n, h, w, 3) in [0, 1] at float32 (n,) positions."""
        return ops.cast(self.analysis(pixels), "float32") * ops.exp(self.log_gain(position))

    def restore(self, latents: Any, position: Any) -> Any:
        """Pixels in [0, 1], not clipped, of rounded latents."""
        return ops.cast(self.synthesis(latents * ops.exp(self.log_inverse(position))), "float32")

    def code(self, latents: Any, position: Any, noise: Any = None) -> tuple[Any, Any, Any, Any]:
        """Rounds latents and hyper-latents and measures both.

        Args:
            latents: float32 (n, h, w, latents) in quantisation steps.
            position: float32 (n,) on the quality scale.
            noise: uniform in -0.5..0.5, of the shape of the latents: the slope of the bits by the latents is then that
                at the latents with noise, as rounding has none (D. Minnen, S. Singh, ICIP 2020: noise for the rate,
                rounding for the rest). The bits are those of what is rounded all the same.

        Returns:
            Rounded latents with a straight-through gradient; bits (n,) of hyper-latents, of latents under the
            hyperprior alone, and of latents with context.
        """
        rounded = through(latents)
        measured = rounded if noise is None else latents + noise
        if not self.has_hyperprior:
            nothing = ops.zeros_like(ops.concatenate([latents, latents], axis=-1))
            fast, full = self.rate(rounded, measured, nothing, position)
            return rounded, ops.zeros_like(fast), fast, full
        hyper = through(ops.cast(self.hyper_analysis(latents), "float32"))
        predicted = ops.cast(self.hyper_synthesis(hyper), "float32")
        fast, full = self.rate(rounded, measured, predicted, position)
        return rounded, self.hyper_rate(hyper, position), fast, full

    def call(self, inputs: Any) -> Any:
        """Codes a batch.

        Args:
            inputs: pixels 0..255, any number type, (n, h, w, 3); float32 (n,) positions on the quality scale; noise, see
                `code`.

        Returns:
            The reconstruction in [0, 1], clipped with a straight-through gradient; bits per image of hyper-latents, of
            latents under the hyperprior alone, and with context.
        """
        pixels, position = ops.cast(inputs[0], "float32") / 255.0, inputs[1]
        rounded, hyper_bits, fast, full = self.code(self.latents(pixels, position), position, inputs[2])
        restored = self.restore(rounded, position)
        clipped = restored + ops.stop_gradient(ops.clip(restored, 0.0, 1.0) - restored)
        return clipped, hyper_bits, fast, full

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean root of the scores, bits per pixel plus lambda times the squared error on a scale common to all qualities.

        The root, twice, so that a score of one counts as it is: a few hard crops would else give most of the gradient.
        """
        del y, sample_weight, training
        restored, hyper_bits, fast, full = y_pred
        pixels, position = ops.cast(ops.convert_to_tensor(x[0]), "float32") / 255.0, ops.convert_to_tensor(x[1])
        area = float(pixels.shape[1] * pixels.shape[2])
        mse = ops.mean(ops.square(pixels - restored), axis=(1, 2, 3)) * 255.0**2
        rate = (hyper_bits + self._context_share * full + (1.0 - self._context_share) * fast) / area
        lambdas = ops.exp(interpolate(self._lambdas, position))
        score = (rate + lambdas * mse) / ops.sqrt(lambdas / REFERENCE_LAMBDA)
        values = {
            "bpp": (hyper_bits + full) / area,
            "hyper_bpp": hyper_bits / area,
            "fast_bpp": (hyper_bits + fast) / area,
        }
        for name, value in {**values, "mse": mse, "score": score}.items():
            self._trackers[name].update_state(ops.mean(value))
        return ops.mean(2.0 * ops.sqrt(score))

    @property
    def metrics(self) -> list[Any]:
        """Means over the last batch: `train_on_batch` resets them."""
        return list(self._trackers.values())


def through(values: Any) -> Any:
    """Rounds half to even, with the gradient of the identity."""
    return values + ops.stop_gradient(ops.round(values) - values)


def interpolate(anchors: Any, position: Any) -> Any:
    """Values at positions (n,) between anchors, a NumPy vector."""
    distance = ops.abs(position[:, None] - ops.arange(len(anchors), dtype="float32")[None])
    return ops.matmul(ops.maximum(1.0 - distance, 0.0), ops.convert_to_tensor(anchors)[:, None])[:, 0]
