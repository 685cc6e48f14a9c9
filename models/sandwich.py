"""What a standard codec is sandwiched in: a pre-processor that makes a picture for it, and a post-processor that undoes it.

Source: O. G. Guleryuz et al., "Sandwiched Compression: Repurposing Standard Codecs with Neural Network Wrappers",
arXiv 2402.05887, section III: each is a network of single pixels plus a U-Net that counts for nothing at first. Unlike the
published ones they see the codec's quantisation step too, so that one model serves all rates; and the network of single
pixels has a linear path beside its sines, so that it starts as the colour conversion that it would have to learn.

Samples are 0..1 of their range, less one half. The last channel of every input is log2(step) / 8 - 1/2 everywhere: -1/2 for
the finest step, 1/2 for the coarsest.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from .layers import ChannelScale, Sine
from .unet import UNetArchitecture, unet

COLOURS = 3

_LUMA = (0.299, 0.587, 0.114)

_NODES = 16

_SLIM = UNetArchitecture(down=(32, 48, 64), up=(64, 64, 64, 48, 32), stride=2)


@dataclass(frozen=True)
class SandwichArchitecture:
    """One scenario's networks.

    Attributes:
        bottleneck: channels of the picture that the standard codec codes: 1 or 3.
        downsampling: by how much it is smaller along each axis, 1 or 2.
        pre: U-Net of the pre-processor; None for none at all: the standard codec gets the picture itself, or its luma.
        post: U-Net of the post-processor.
    """

    family: ClassVar[str] = "sandwich"

    bottleneck: int = 3
    downsampling: int = 1
    pre: UNetArchitecture | None = field(default=_SLIM)
    post: UNetArchitecture = field(default=_SLIM)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` restores the architecture."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "SandwichArchitecture":
        """The architecture that `to_json` described; fields that it does not name have their defaults.

        Raises:
            TypeError: a field is unknown.
        """
        fields: dict[str, Any] = dict(values)
        for name in ("pre", "post"):
            if fields.get(name) is not None:
                fields[name] = _unet_of(fields[name])
        return cls(**fields)


def _unet_of(values: dict[str, Any]) -> UNetArchitecture:
    fields: dict[str, Any] = {**values, "down": tuple(values["down"]), "up": tuple(values["up"])}
    return UNetArchitecture(**fields)


def preprocessor(architecture: SandwichArchitecture) -> Any:
    """Builds the network from a picture to what is coded.

    Returns:
        A Keras model from (n, h, w, 3 + 1), sides multiples of its U-Net's alignment, to (n, h, w, bottleneck), not bounded
        and not yet of the codec's resolution.
    """
    to_bottleneck = np.eye(COLOURS) if architecture.bottleneck == COLOURS else np.array([_LUMA])
    return _processor(architecture.pre, to_bottleneck, "sandwich_pre")


def postprocessor(architecture: SandwichArchitecture) -> Any:
    """Builds the network from what the codec restored, at the resolution of the picture, to the picture.

    Returns:
        A Keras model from (n, h, w, bottleneck + 1), sides multiples of its U-Net's alignment, to (n, h, w, 3), not bounded.
    """
    to_picture = np.eye(COLOURS) if architecture.bottleneck == COLOURS else np.ones((COLOURS, 1))
    return _processor(architecture.post, to_picture, "sandwich_post")


def _processor(net: UNetArchitecture | None, start: npt.NDArray[np.float64], name: str) -> Any:
    """A network of single pixels that does what a matrix (outputs, inputs) says at first, plus a U-Net times zero."""
    outputs, inputs = start.shape
    source = keras.Input((None, None, inputs + 1), name=name)
    x = layers.Conv2D(_NODES, 1, padding="same", name=f"{name}_pixel_nodes")(source)
    x = layers.Conv2D(outputs, 1, padding="same", kernel_initializer="zeros", name=f"{name}_pixel_curve")(
        Sine(name=f"{name}_pixel_sine")(x)
    )
    linear = layers.Conv2D(outputs, 1, padding="same", use_bias=False, name=f"{name}_pixel_linear")
    x = layers.Add(name=f"{name}_pixel")([linear(source), x])
    linear.set_weights([np.concatenate([start, np.zeros((outputs, 1))], axis=1).T[None, None]])
    if net is not None:
        seen = unet(source, net, outputs, name)
        x = layers.Add(name=f"{name}_sum")([x, ChannelScale(0.0, name=f"{name}_scale")(seen)])
    return keras.Model(source, x, name=name)
