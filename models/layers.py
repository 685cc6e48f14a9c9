"""Layers that Keras does not have and that several architectures share.

Only `keras.ops`, so that the same definition trains on TensorFlow, JAX and PyTorch.
"""

from typing import Any

import keras

from .keras_ops import ops

GDN_FLOOR = 1e-6
"""What `GDN` adds to its divisor, so that it is never zero."""


@keras.saving.register_keras_serializable("nicodec")
class DepthToSpace(keras.layers.Layer):
    """Moves groups of channels into space: (n, h, w, f*f*c) -> (n, f*h, f*w, c).

    Channel k of the input goes to row offset k // (f*c), column offset k // c % f, channel k % c: the "DCR" order of
    ONNX and the only order of TensorFlow.

    Args:
        factor: f, the upsampling factor along both axes.
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """See the class."""
        f = self.factor
        n, h, w = ops.shape(inputs)[:3]
        c = inputs.shape[-1] // (f * f)
        split = ops.reshape(inputs, (n, h, w, f, f, c))
        return ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (n, h * f, w * f, c))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape of the output for an input shape with unknown extents given as None."""
        n, h, w, c = input_shape
        f = self.factor
        return n, None if h is None else h * f, None if w is None else w * f, c // (f * f)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("nicodec")
class ChannelScale(keras.layers.Layer):
    """Multiplies every channel by its own trainable factor (the latent scale), computed in float32."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(dtype="float32", **kwargs)

    def build(self, input_shape: Any) -> None:
        """Creates the (channels,) vector of factors, all 1."""
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return inputs * self.scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("nicodec")
class ChannelRange(keras.layers.Layer):
    """Some of the channels, so that one convolution can feed two branches: it runs faster than two.

    Args:
        start: the first channel.
        stop: the channel after the last.
    """

    def __init__(self, start: int, stop: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start, self.stop = start, stop

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return inputs[..., self.start : self.stop]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape but for the channels."""
        return (*input_shape[:-1], self.stop - self.start)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "start": self.start, "stop": self.stop}


@keras.saving.register_keras_serializable("nicodec")
class GDN(keras.layers.Layer):
    """Generalised divisive normalisation with exponent 1: x / (beta + gamma |x|), or times it if inverse.

    Balle, Laparra, Simoncelli, "Density Modeling of Images Using a Generalized Normalization Transformation", ICLR 2016;
    the exponents of Johnston et al., "Computationally Efficient Neural Image Compression", 2019. Both parameters are
    stored as square roots, so that they stay positive.

    Args:
        inverse: multiply instead of divide.
    """

    def __init__(self, inverse: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.inverse = inverse

    def build(self, input_shape: Any) -> None:
        """Creates gamma, 0.1 on the diagonal, and beta, all 1."""
        channels = input_shape[-1]
        diagonal = keras.initializers.Identity(gain=0.1**0.5)
        self.gamma_root = self.add_weight(shape=(channels, channels), initializer=diagonal, name="gamma_root")
        self.beta_root = self.add_weight(shape=(channels,), initializer="ones", name="beta_root")

    def call(self, inputs: Any) -> Any:
        """See the class."""
        norm = ops.matmul(ops.abs(inputs), ops.square(self.gamma_root)) + ops.square(self.beta_root) + GDN_FLOOR
        return inputs * norm if self.inverse else inputs / norm

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "inverse": self.inverse}
