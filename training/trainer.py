"""The trainable codec: transforms, quantiser and rate in one Keras model, with its rate-distortion loss."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..models import klt_start, l3ic
from ..models.keras_ops import ops
from .config import L3icConfig
from .losses import mean_squared_error, ms_ssim, one_colour_each
from .rate import ContextRate


def build_codec(config: L3icConfig) -> "TransformCodec":
    """A codec with freshly initialised weights, built for its input shape."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    codec = TransformCodec(
        l3ic.analysis(config.channels),
        l3ic.synthesis(config.channels),
        ContextRate(config.channels),
        mse_weight=config.mse_weight,
        msssim_weight=config.msssim_weight,
    )
    codec.build((None, config.crop, config.crop, 3))
    return codec


class TransformCodec(keras.Model):
    """Analysis, rounding to the codebook, rate and synthesis.

    The quantiser passes gradients straight through, so the distortion and the rate of training are those of real
    integers; the rate's own gradient at the integer is what pulls latents towards cheaper values.

    Attributes:
        balance: non-trainable scalar that multiplies both distortion weights; the loop steers the rate with it.
    """

    def __init__(
        self,
        analysis: Any,
        synthesis: Any,
        rate: ContextRate,
        *,
        mse_weight: float,
        msssim_weight: float,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.analysis, self.synthesis, self.rate = analysis, synthesis, rate
        self._mse_weight, self._msssim_weight = mse_weight, msssim_weight
        self.balance = self.add_weight(shape=(), initializer="ones", trainable=False, name="balance")
        self._trackers = {name: keras.metrics.Mean(name) for name in ("bpp", "mse", "msssim")}

    def build(self, input_shape: Any) -> None:
        """Builds the rate layer; the transforms are functional models and are built already."""
        self.rate.build((*input_shape[:3], self.analysis.output_shape[-1]))
        self.built = True

    def quantise(self, pixels: Any, dead_zone: float = 0.0) -> Any:
        """Latents as integers in the codebook, float32, gradient passed straight through the rounding.

        Args:
            pixels: (n, h, w, 3) in [0, 1].
            dead_zone: how far every rounding threshold is moved away from zero, in steps; see `L3icConfig`.
        """
        latents = ops.clip(ops.cast(self.analysis(pixels), "float32"), *l3ic.CODEBOOK)
        rounded = ops.round(latents - dead_zone * ops.sign(latents))
        return latents + ops.stop_gradient(rounded - latents)

    def call(self, inputs: Any) -> Any:
        """Codes a batch.

        Args:
            inputs: pixels 0..255, any number type, (n, h, w, 3).

        Returns:
            The reconstruction in [0, 1], clipped with a straight-through gradient, and the bits of each image.
        """
        latents = self.quantise(ops.cast(inputs, "float32") / 255.0)
        restored = ops.cast(self.synthesis(latents), "float32")
        clipped = restored + ops.stop_gradient(ops.clip(restored, 0.0, 1.0) - restored)
        return clipped, self.rate(latents)

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Bits per pixel plus weighted distortion.

        Args:
            x: pixels 0..255, (n, h, w, 3).
            y: the colour channel that each image's MS-SSIM is taken in, (n,), see `losses.colours_in_turn`. It comes with
                the batch because a step that JAX has compiled sees the optimiser's counter as a constant.
            y_pred: from `call`.
            sample_weight: not used.
            training: not used.
        """
        del sample_weight, training
        restored, bits = y_pred
        pixels = ops.cast(ops.convert_to_tensor(x), "float32") / 255.0
        bpp = ops.mean(bits) / float(pixels.shape[1] * pixels.shape[2])
        mse = mean_squared_error(pixels, restored)
        similarity = ms_ssim(one_colour_each(pixels, y), one_colour_each(restored, y))
        for name, value in (("bpp", bpp), ("mse", mse), ("msssim", similarity)):
            self._trackers[name].update_state(value)
        return bpp + self.balance * (self._mse_weight * mse + self._msssim_weight * (1.0 - similarity))

    @property
    def metrics(self) -> list[Any]:
        """Means over the last batch: `train_on_batch` resets them."""
        return list(self._trackers.values())


def start_from_klt(codec: TransformCodec, blocks: npt.NDArray[np.uint8], *, step: float, staggered: int) -> None:
    """Initialises the transforms as a KLT of the given 8x8 blocks, uint8 (n, 8, 8, 3)."""
    mean, covariance = klt_start.block_statistics(blocks)
    deviations = klt_start.initialise(codec.analysis, codec.synthesis, mean, covariance, step=step, staggered=staggered)
    codec.rate.start(deviations)
