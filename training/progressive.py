"""The trainable residual GRU: its iterations unrolled, every one of them measured."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from ..models import residual_gru
from ..models.keras_ops import ops
from ..models.residual_gru import ALIGNMENT, ITERATIONS, STRIDE, State
from .config import ProgressiveConfig

LEVELS = (1, 3, 7, 15)
"""The levels whose errors are logged: 0.25, 0.5, 1 and 2 bits per pixel before entropy coding."""


def build_codec(config: ProgressiveConfig) -> "ProgressiveCodec":
    """A codec with freshly initialised weights, built for its input shape."""
    keras.utils.set_random_seed(config.seed)
    keras.config.set_dtype_policy(config.dtype_policy)
    codec = ProgressiveCodec(config)
    codec.built = True
    return codec


class ProgressiveCodec(keras.Model):
    """Encoder, binariser and decoder, sixteen times over.

    Source: Toderici et al., CVPR 2017, sections 3.1 (binariser) and 3.2 (the three ways to reconstruct).
    """

    def __init__(self, config: ProgressiveConfig, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.architecture = config.architecture
        self.encoder, self.decoder = (f(config.architecture) for f in (residual_gru.encoder, residual_gru.decoder))
        self.gains: Any = (
            residual_gru.gains(config.architecture) if config.architecture.reconstruction == "scaled" else None
        )
        self._trackers = {level: keras.metrics.Mean(f"error_{level}") for level in LEVELS}

    def restore(self, pixels: Any, noise: Any = None, iterations: int = ITERATIONS, share: Any = 1.0) -> list[Any]:
        """The picture after each iteration.

        Args:
            pixels: (n, h, w, 3) in [0, 1] less one half, sides multiples of 32.
            noise: for each iteration (n, h/16, w/16, codes) uniform in 0..1, for a binariser that draws (training);
                without, it takes signs.
            iterations: how many.
            share: how binary codes are, see `binarised`.

        Returns:
            As many tensors like `pixels`, not clipped.
        """
        coder, restorer = self._memories(pixels)
        restored, pictures = ops.zeros_like(pixels), []
        scaled = self.gains is not None
        for iteration in range(iterations):
            gain: Any = self.architecture.gain(iteration)
            if scaled and iteration > 0:
                gain = gain * self._gain(restored)
            codes, *coder = self.encoder([(pixels - restored) * gain, *coder])
            binary = binarised(codes, None if noise is None else noise[iteration], share)
            change, *restorer = self.decoder([binary, *restorer])
            restored = change if self.architecture.reconstruction == "one_shot" else restored + change / gain
            pictures.append(restored)
        return pictures

    def call(self, inputs: Any) -> Any:
        """All reconstructions.

        Args:
            inputs: pixels 0..255, any number type, (n, h, w, 3); noise for as many iterations as there are to be; and how
                binary codes are (1,); see `restore`.

        Returns:
            (iterations, n, h, w, 3), not clipped.
        """
        pixels = ops.cast(inputs[0], "float32") / 255.0 - 0.5
        return ops.stack(self.restore(pixels, inputs[1], len(inputs[1]), inputs[2]))

    def compute_loss(
        self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None, training: bool = True
    ) -> Any:
        """The mean absolute error over all iterations (paper, equation 4), of what is left as the encoder sees it.

        Later iterations so count as much as earlier ones, though what is left is smaller.
        """
        del y, sample_weight, training
        pixels = ops.cast(ops.convert_to_tensor(x[0]), "float32") / 255.0 - 0.5
        errors = ops.mean(ops.abs(pixels[None] - y_pred), axis=(1, 2, 3, 4))
        reached = {level: tracker for level, tracker in self._trackers.items() if level < y_pred.shape[0]}
        for level, tracker in reached.items():
            tracker.update_state(255.0 * errors[level])
        gains = np.array([self.architecture.gain(iteration) for iteration in range(y_pred.shape[0])], np.float32)
        return ops.mean(errors * (gains / gains.mean()))

    @property
    def metrics(self) -> list[Any]:
        """Means over the last batch: `train_on_batch` resets them."""
        return list(self._trackers.values())

    def _gain(self, restored: Any) -> Any:
        """Gains of every pixel, from the picture so far; the first iteration has none."""
        gain = self.gains(restored)
        return ops.repeat(ops.repeat(gain, ALIGNMENT, axis=1), ALIGNMENT, axis=2)

    def _memories(self, pixels: Any) -> tuple[list[Any], list[Any]]:
        """States of encoder and decoder before the first iteration."""
        architecture = self.architecture
        both = (residual_gru.encoder_states(architecture), residual_gru.decoder_states(architecture))
        coder, restorer = (_empty(pixels, states) for states in both)
        return coder, restorer


def binarised(codes: Any, noise: Any, share: Any = 1.0) -> Any:
    """-1 or 1: a draw with the mean of the codes if there is noise, else their signs; straight-through gradient.

    Args:
        codes: in (-1, 1).
        noise: of the shape of the codes, uniform in 0..1, or None.
        share: 1, or less for values between the codes and that: what is learnt first is then not drowned in noise.
    """
    threshold = 0.0 if noise is None else 2.0 * noise - 1.0
    binary = ops.where(codes > threshold, 1.0, -1.0)
    return codes + share * ops.stop_gradient(binary - codes)


def noise_shape(config: ProgressiveConfig, step: int) -> tuple[int, ...]:
    """Shape of the noise of a step."""
    side = config.crop // STRIDE
    return config.iterations_at(step), config.batch, side, side, config.architecture.codes


def _empty(pixels: Any, states: Sequence[State]) -> list[Any]:
    n, height, width = ops.shape(pixels)[:3]
    return [ops.zeros((n, height // s.stride, width // s.stride, s.channels)) for s in states]


def to_bytes(picture: Any) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Samples of a reconstruction (pixels less one half), halves rounded up as the original does."""
    samples = 255.0 * (ops.convert_to_numpy(picture).astype(np.float64) + 0.5)
    rounded: np.ndarray[Any, np.dtype[np.uint8]] = np.clip(np.floor(samples + 0.5), 0, 255).astype(np.uint8)
    return rounded
