"""What networks cost: multiply-accumulates per pixel of the picture, counted from the layers of a Keras model."""

from typing import Any

from keras import layers

from .keras_ops import ops
from .layers import DepthToSpace, SpaceToDepth, Subsampling


def macs_per_pixel(model: Any, *strides: int) -> float:
    """Multiply-accumulates per image pixel of a functional Keras model of convolutions.

    Args:
        model: one of the transforms made here.
        *strides: pixels per position of each of the model's inputs along each axis.
    """
    # Positions of each tensor per image pixel.
    positions = {id(tensor): 1.0 / stride**2 for tensor, stride in zip(model.inputs, strides, strict=True)}
    total = 0.0
    for layer in model.layers:
        if isinstance(layer, layers.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        outputs = layer.output if isinstance(layer.output, list) else [layer.output]
        before = positions[id(inputs[0])]
        after = before * _growth(layer)
        weights = sum(float(ops.size(w)) for w in layer.weights if len(w.shape) > 1)
        # A transposed convolution multiplies at every position of its input, any other layer at those of its output.
        total += (before if isinstance(layer, layers.Conv2DTranspose) else after) * weights
        positions |= {id(tensor): after for tensor in outputs}
    return total


def _growth(layer: Any) -> float:
    """Positions of a layer's output for each of its input."""
    if isinstance(layer, DepthToSpace):
        return float(layer.factor**2)
    if isinstance(layer, SpaceToDepth):
        return float(layer.factor**-2)
    if isinstance(layer, Subsampling):
        return 0.25
    if isinstance(layer, layers.UpSampling2D):
        return float(layer.size[0] * layer.size[1])
    if isinstance(layer, layers.Conv2DTranspose):
        return float(layer.strides[0] * layer.strides[1])
    if isinstance(layer, layers.Conv2D):
        return 1.0 / float(layer.strides[0] * layer.strides[1])
    return 1.0
