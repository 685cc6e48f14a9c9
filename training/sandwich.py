"""The trainable sandwich: pre-processor, differentiable standard codec and post-processor in one Keras model."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..models import sandwich
from ..models.jpeg_proxy import EncodeDecodeIntra
from ..models.keras_ops import ops
from ..models.resampling import resize
from ..models.sandwich import COLOURS
from .config import SandwichConfig
from .losses import ms_ssim_of_each

_HALF = 127.5
"""A sample of the codec in the middle of its range."""


def build_codec(config: SandwichConfig) -> "SandwichCodec":
    """A codec with freshly initialised weights, built for its input shape."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    codec = SandwichCodec(config)
    codec.built = True
    return codec


class SandwichCodec(keras.Model):
    """A standard codec in its sandwich.

    Source: Guleryuz et al., arXiv 2402.05887, section III; the loss is its distortion plus rate times a weight, with a
    weight that grows with the square of the step as it does on the codec's own curve.

    Attributes:
        pre: from pixels to what is coded.
        post: from what is restored to pixels.
    """

    def __init__(self, config: SandwichConfig, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self._config = config
        self.pre = sandwich.preprocessor(config.architecture)
        self.post = sandwich.postprocessor(config.architecture)
        self._pre_pixels, self._post_pixels = (_single_pixels(network) for network in (self.pre, self.post))
        self._codec = EncodeDecodeIntra(
            straight_through,
            train_qstep=False,
            convert_to_yuv=config.architecture.bottleneck == COLOURS,
            downsample_chroma=config.subsampled,
            count_headers=False,
        )
        self._trackers = {name: keras.metrics.Mean(name) for name in ("score", "bpp", "mse", "msssim", "outside")}

    def bottleneck(self, pixels: Any, steps: Any, gate: Any = 1.0) -> Any:
        """What is coded, not bounded.

        Args:
            pixels: (n, h, w, 3), 0..1 less one half; sides multiples of the networks' alignment.
            steps: (n,).
            gate: 1; or 0 for a pre-processor without its U-Net.

        Returns:
            (n, h / downsampling, w / downsampling, bottleneck), nominally 0..255.
        """
        samples = _gated(self.pre, self._pre_pixels, _conditioned(pixels, steps), gate)
        factor = self._config.architecture.downsampling
        if factor > 1:
            samples = resize(samples, samples.shape[1] // factor, samples.shape[2] // factor, "bicubic")
        return 255.0 * samples + _HALF

    def restore(self, coded: Any, steps: Any, gate: Any = 1.0) -> Any:
        """The picture of what the codec restored; the reverse of `bottleneck`."""
        samples = (coded - _HALF) / 255.0
        factor = self._config.architecture.downsampling
        if factor > 1:
            samples = resize(samples, samples.shape[1] * factor, samples.shape[2] * factor, "lanczos3")
        return _gated(self.post, self._post_pixels, _conditioned(samples, steps), gate)

    def call(self, inputs: Any) -> Any:
        """Codes a batch.

        Args:
            inputs: pixels, unsigned integers of the configured depth, (n, h, w, 3); quantisation steps (n,); whether the
                U-Nets before and behind count (2,), 0 or 1.

        Returns:
            The pictures (n, h, w, 3), 0..1 less one half, not clipped; the bits of each (n,); by how much the samples to be
            coded were out of range, mean of each (n,).
        """
        pixels, steps, gates = inputs
        coded = self.bottleneck(self.centred(pixels), steps, gates[0])
        bounded = ops.clip(coded, 0.0, 255.0)
        outside = ops.mean(ops.abs(coded - bounded), axis=(1, 2, 3))
        restored, bits = self._codec(coded + ops.stop_gradient(bounded - coded), input_qstep=steps)
        return self.restore(restored, steps, gates[1]), bits, outside

    def centred(self, pixels: Any) -> Any:
        """Integers of the configured depth as 0..1 less one half."""
        return ops.cast(pixels, "float32") / float(2**self._config.depth - 1) - 0.5

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Distortion over the square of the step, plus weighted bits per sample, plus a price of samples out of range."""
        del y, sample_weight, training
        config = self._config
        pixels = self.centred(ops.convert_to_tensor(x[0]))
        restored, bits, outside = y_pred
        mse = ops.mean(ops.square(255.0 * (restored - pixels)), axis=(1, 2, 3))
        per_sample = bits / float(pixels.shape[1] * pixels.shape[2] * COLOURS)
        square = ops.square(ops.reshape(ops.convert_to_tensor(x[1]), (-1,)))
        loss = config.mse_weight * ops.mean(mse / square) + config.rate_weight * ops.mean(per_sample)
        loss = loss + config.range_weight * ops.mean(outside / ops.sqrt(square))
        similarity = ops.zeros_like(mse)
        if config.msssim_weight:
            similarity = ms_ssim_of_each(pixels + 0.5, restored + 0.5)
            # One minus MS-SSIM grows with about the power 1.5 of the step on JPEG's own curve.
            loss = loss + config.msssim_weight * ops.mean((1.0 - similarity) / square**0.75)
        values = (loss, COLOURS * ops.mean(per_sample), ops.mean(mse), ops.mean(similarity), ops.mean(outside))
        for tracker, value in zip(self._trackers.values(), values, strict=True):
            tracker.update_state(value)
        return loss

    @property
    def metrics(self) -> list[Any]:
        """Means over the last batch: `train_on_batch` resets them."""
        return list(self._trackers.values())


def straight_through(x: Any) -> Any:
    """Rounded, with the gradient of what is not."""
    return x + ops.stop_gradient(ops.round(x) - x)


def _conditioned(samples: Any, steps: Any) -> Any:
    """Samples with a channel of what the networks are told of the steps."""
    told = ops.log2(ops.cast(steps, "float32")) / 8.0 - 0.5
    plane = ops.ones_like(samples[..., :1]) * ops.reshape(told, (-1, 1, 1, 1))
    return ops.concatenate([samples, plane], axis=-1)


def _gated(network: Any, single_pixels: Any, inputs: Any, gate: Any) -> Any:
    alone = single_pixels(inputs)
    return alone + gate * (network(inputs) - alone)


def _single_pixels(network: Any) -> Any:
    """The part of a network that sees single pixels, with the network's own weights."""
    return keras.Model(network.input, network.get_layer(f"{network.name}_pixel").output)


def steps_between(smallest: float, largest: float, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Whole steps at positions 0..1 of a logarithmic scale."""
    return np.rint(smallest * (largest / smallest) ** positions).astype(np.float32)
