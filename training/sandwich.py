"""The trainable sandwich: pre-processor, differentiable standard codec and post-processor in one Keras model."""

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from ..models import sandwich
from ..models.jpeg_proxy import EncodeDecodeIntra
from ..models.keras_ops import ops
from ..models.resampling import resize
from ..models.sandwich import COLOURS
from ..models.step_tables import Tables
from .config import SandwichConfig
from .losses import ms_ssim_of_each

_HALF = 127.5
"""A sample of the codec in the middle of its range."""

_LEAST_RATE = 0.01
"""Bits per pixel, _LEAST_ERROR in squared grey levels: so small that neither is worth learning about."""

_LEAST_ERROR = 0.25
_LEAST_DISSIMILARITY = 1e-4


def build_codec(config: SandwichConfig) -> "SandwichCodec":
    """A codec with freshly initialised weights, built for its input shape."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    codec = SandwichCodec(config)
    codec.built = True
    return codec


class SandwichCodec(keras.Model):
    """A standard codec in its sandwich.

    Source: Guleryuz et al., arXiv 2402.05887, section III. The loss is its distortion plus rate times a weight, both of every
    crop relative to what they are without the U-Nets, of a colour JPEG or of one of gray with colour folded in, with the same
    step: crops and steps count alike then, and what the networks gain is what is missing to one.

    Attributes:
        pre: from pixels to what is coded.
        post: from what is restored to pixels.
    """

    def __init__(self, config: SandwichConfig, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self._config = config
        self.pre = sandwich.preprocessor(config.architecture)
        self.post = sandwich.postprocessor(config.architecture)
        self._pre_start, self._post_start = (_start_of(network) for network in (self.pre, self.post))
        coloured = config.architecture.bottleneck == COLOURS
        self._codec = _codec_of(config.tables, coloured, config.subsampled)
        self._plain_codec = _codec_of(config.table_shape.tables(), True, True)
        self._folds: tuple[Any, ...] = ()
        if config.architecture.folded:
            bare = replace(config.architecture, pre=None, post=None)
            self._folds = (sandwich.preprocessor(bare), sandwich.postprocessor(bare))
            for network in self._folds:
                network.trainable = False
        self._trackers = {
            name: keras.metrics.Mean(name) for name in ("score", "rate", "error", "dissimilarity", "outside")
        }

    def bottleneck(self, pixels: Any, steps: Any, gate: Any = 1.0) -> Any:
        """What is coded, not bounded.

        Args:
            pixels: (n, h, w, 3), 0..1 less one half; sides multiples of the networks' alignment.
            steps: (n,).
            gate: 1; or 0 for a pre-processor without its U-Net.

        Returns:
            (n, h / downsampling, w / downsampling, bottleneck), nominally 0..255.
        """
        return self._reduced(_gated(self.pre, self._pre_start, _conditioned(pixels, steps), gate))

    def _reduced(self, samples: Any) -> Any:
        """Samples in the codec's resolution and range."""
        factor = self._config.architecture.downsampling
        if factor > 1:
            samples = resize(samples, samples.shape[1] // factor, samples.shape[2] // factor, "bicubic")
        return 255.0 * samples + _HALF

    def restore(self, coded: Any, steps: Any, gate: Any = 1.0) -> Any:
        """The picture of what the codec restored; the reverse of `bottleneck`."""
        return _gated(self.post, self._post_start, _conditioned(self._enlarged(coded), steps), gate)

    def _enlarged(self, coded: Any) -> Any:
        """The reverse of `_reduced`."""
        samples = (coded - _HALF) / 255.0
        factor = self._config.architecture.downsampling
        if factor > 1:
            samples = resize(samples, samples.shape[1] * factor, samples.shape[2] * factor, "lanczos3")
        return samples

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

    def plain(self, pixels: Any, steps: Any) -> Any:
        """What the codec makes of `centred` pixels without U-Nets, and the bits of each.

        That is a colour JPEG, even of an architecture that codes gray without colour folded in: its own loss of colour, which is
        much the same at every step, would hide what is learnt.
        """
        if not self._folds:
            restored, bits = self._plain_codec(ops.clip(self._reduced(pixels), 0.0, 255.0), input_qstep=steps)
            return self._enlarged(restored), bits
        fold, unfold = self._folds
        coded = ops.clip(255.0 * fold(_conditioned(pixels, steps)) + _HALF, 0.0, 255.0)
        restored, bits = self._codec(coded, input_qstep=steps)
        return unfold(_conditioned(self._enlarged(restored), steps)), bits

    def centred(self, pixels: Any) -> Any:
        """Integers of the configured depth as 0..1 less one half."""
        return ops.cast(pixels, "float32") / float(2**self._config.depth - 1) - 0.5

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """Relative errors and bits, weighted, plus a price of samples out of range."""
        del y, sample_weight, training
        config = self._config
        pixels, steps = self.centred(ops.convert_to_tensor(x[0])), ops.reshape(ops.convert_to_tensor(x[1]), (-1,))
        restored, bits, outside = y_pred
        plain, plain_bits = self.plain(pixels, steps)
        area = float(pixels.shape[1] * pixels.shape[2])
        terms = {
            "rate": (config.rate_weight, _ratio(bits / area, plain_bits / area, _LEAST_RATE)),
            "error": (config.mse_weight, _ratio(_mse(restored, pixels), _mse(plain, pixels), _LEAST_ERROR)),
        }
        if config.msssim_weight:
            ours, theirs = (1.0 - ms_ssim_of_each(pixels + 0.5, picture + 0.5) for picture in (restored, plain))
            terms["dissimilarity"] = config.msssim_weight, _ratio(ours, theirs, _LEAST_DISSIMILARITY)
        loss = sum(weight * ops.mean(values) for weight, values in terms.values())
        loss = loss / sum(weight for weight, _ in terms.values())
        loss = loss + config.range_weight * ops.mean(outside / steps)
        self._trackers["score"].update_state(loss)
        self._trackers["outside"].update_state(outside)
        for name, (_, values) in terms.items():
            self._trackers[name].update_state(values)
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


def _codec_of(tables: Tables, coloured: bool, subsampled: bool) -> EncodeDecodeIntra:
    return EncodeDecodeIntra(
        straight_through,
        train_qstep=False,
        convert_to_yuv=coloured,
        downsample_chroma=subsampled,
        count_headers=False,
        tables=tables,
    )


def _gated(network: Any, start: Any, inputs: Any, gate: Any) -> Any:
    alone = start(inputs)
    return alone + gate * (network(inputs) - alone)


def _start_of(network: Any) -> Any:
    """A network without its U-Net, with the network's own weights."""
    return keras.Model(network.input, network.get_layer(f"{network.name}_start").output)


def _mse(a: Any, b: Any) -> Any:
    """Mean squared error of each picture (n,), on the scale 0..255."""
    return ops.mean(ops.square(255.0 * (a - b)), axis=(1, 2, 3))


def _ratio(ours: Any, plain: Any, least: float) -> Any:
    """By what each of ours is a multiple of the plain one; where both are tiny, hardly any."""
    return (ours + least) / (plain + least)


def steps_between(smallest: float, largest: float, positions: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Whole steps at positions 0..1 of a logarithmic scale."""
    return np.rint(smallest * (largest / smallest) ** positions).astype(np.float32)
