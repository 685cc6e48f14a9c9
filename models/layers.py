"""Layers that Keras does not have and that several architectures share.

Only `keras.ops`, so that the same definition trains on TensorFlow, JAX and PyTorch.
"""

from typing import Any

import keras

from .keras_ops import ops


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
