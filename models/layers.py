"""Layers that Keras does not have and that several architectures share.

Only `keras.ops`, so that the same definition trains on TensorFlow, JAX and PyTorch.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import keras

from .keras_ops import ops

GDN_FLOOR = 1e-6
"""What `GDN` adds to its divisor, so that it is never zero."""

_TINY = 16
"""Positions of the result up to which `PatchConv2D` multiplies patches: with more of them that is slower."""


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
class SpaceToDepth(keras.layers.Layer):
    """The reverse of `DepthToSpace`: (n, f*h, f*w, c) -> (n, h, w, f*f*c).

    Args:
        factor: f.
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Any) -> Any:
        """See the class."""
        f = self.factor
        n, h, w = ops.shape(inputs)[:3]
        c = inputs.shape[-1]
        split = ops.reshape(inputs, (n, h // f, f, w // f, f, c))
        return ops.reshape(ops.transpose(split, (0, 1, 3, 2, 4, 5)), (n, h // f, w // f, f * f * c))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape of the output for an input shape with unknown extents given as None."""
        n, h, w, c = input_shape
        f = self.factor
        return n, None if h is None else h // f, None if w is None else w // f, c * f * f

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "factor": self.factor}


@keras.saving.register_keras_serializable("nicodec")
class Subsampling(keras.layers.Layer):
    """Every second position along both axes, from the second on; even sides."""

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return inputs[:, 1::2, 1::2]

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, ...]:
        """Shape of the output for an input shape with unknown extents given as None."""
        n, h, w, c = input_shape
        return n, None if h is None else h // 2, None if w is None else w // 2, c


@keras.saving.register_keras_serializable("nicodec")
class Sine(keras.layers.Layer):
    """The sine of every value."""

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return ops.sin(inputs)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


@keras.saving.register_keras_serializable("nicodec")
class ChannelScale(keras.layers.Layer):
    """Multiplies every channel by its own trainable factor (the latent scale), computed in float32.

    Args:
        initial: what every factor is at first.
    """

    def __init__(self, initial: float = 1.0, **kwargs: Any) -> None:
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.initial = initial

    def build(self, input_shape: Any) -> None:
        """Creates the (channels,) vector of factors."""
        start = keras.initializers.Constant(self.initial)
        self.scale = self.add_weight(shape=(input_shape[-1],), initializer=start, name="scale")

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return inputs * self.scale

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "initial": self.initial}


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
class ChannelSplit(keras.layers.Layer):
    """All channels, in several parts; its gradient joins them, where ranges would each be padded and added.

    Args:
        sizes: the channels of every part, in order.
    """

    def __init__(self, sizes: Sequence[int], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sizes = tuple(sizes)

    def call(self, inputs: Any) -> list[Any]:
        """See the class."""
        return list(ops.split(inputs, self.bounds()[:-1], axis=-1))

    def bounds(self) -> list[int]:
        """The channel after the last of every part."""
        return list(accumulate(self.sizes))

    def compute_output_shape(self, input_shape: Any) -> list[Any]:
        """The input's shape but for the channels, for every part."""
        return [(*input_shape[:-1], size) for size in self.sizes]

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        return {**super().get_config(), "sizes": self.sizes}


@keras.saving.register_keras_serializable("nicodec")
class PatchConv2D(keras.layers.Conv2D):
    """A "same" convolution that is a product of patches where maps are tiny, as those of small training crops are.

    The same values and weights. TensorFlow's gradient by the input of such a convolution is slow on processors: up to 17
    times slower than the convolution, for 512 channels from 2x2 positions.
    """

    def __init__(self, filters: int, kernel_size: int, strides: int = 1, **kwargs: Any) -> None:
        super().__init__(filters, kernel_size, strides, padding="same", **kwargs)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the layer again."""
        config = super().get_config()
        return {name: value for name, value in config.items() if name not in ("padding", "dilation_rate")}

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        """See the class."""
        stride = self.strides[0]
        _, height, width, _ = inputs.shape
        tiny = height is not None and width is not None and height * width <= _TINY * stride * stride
        return self._product(inputs, kernel, stride) if tiny else super().convolution_op(inputs, kernel)

    def _product(self, inputs: Any, kernel: Any, stride: int) -> Any:
        n, height, width, channels = ops.shape(inputs)
        side, _, _, filters = kernel.shape
        before = max(side - stride, 0) // 2
        after = max(side - stride, 0) - before
        padded = ops.pad(inputs, ((0, 0), (before, after), (before, after), (0, 0)))
        offsets = [(row, column) for row in range(side) for column in range(side)]
        parts = [padded[:, y : y + height : stride, x : x + width : stride] for y, x in offsets]
        patches = ops.reshape(ops.concatenate(parts, axis=-1), (-1, side * side * channels))
        product = ops.matmul(patches, ops.reshape(kernel, (-1, filters)))
        return ops.reshape(product, (n, height // stride, width // stride, filters))


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
