"""What a standard codec is sandwiched in: a pre-processor that makes a picture for it, and a post-processor that undoes it.

Source: O. G. Guleryuz et al., "Sandwiched Compression: Repurposing Standard Codecs with Neural Network Wrappers",
arXiv 2402.05887, section III: each is a network of single pixels plus a U-Net that counts for nothing at first. Unlike the
published ones

 - they see the codec's quantisation step too, so that one model serves all rates, and U-Nets work in units of it: what
   quantisation does to a picture looks much the same then at every step;
 - the network of single pixels has a linear path beside its sines, and before and behind a codec for gray a `colour_folding`,
   so that it starts as what it would have to learn.

Samples are 0..1 of their range, less one half. The last channel of every input is log2(step) / 8 - 1/2 everywhere: -1/2 for
the finest step, 1/2 for the coarsest.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import keras
import numpy as np
import numpy.typing as npt
from keras import layers

from . import colour_folding
from .block_path import BlockArchitecture
from .colours import LUMA
from .layers import ChannelRange, Sine
from .unet import UNetArchitecture, unet

COLOURS = 3

Folding = Callable[[Any, str], Any]

_NODES = 16

_CURVE_SCALE = 1.0 / 256.0
"""Of what the sines add. As large as the linear path they would shift all levels back and forth as they are trained."""

_RATIOS = math.log(2.0) * 8.0
"""From what networks are told of a step, plus one half, to its natural logarithm."""

_POST_GAIN = 0.4 / 255.0
"""From the result of a U-Net, in steps, to samples."""

_PRE_GAIN = 0.05 / 255.0
"""Less, so that it moves less with every step of training: bits that it costs at once, what it is worth behind the codec only
when the other network has learnt to use it."""

_SLIM = UNetArchitecture(down=(32, 48), up=(64, 48, 32), stride=2, blocks=BlockArchitecture())


@dataclass(frozen=True)
class SandwichArchitecture:
    """One scenario's networks.

    Attributes:
        bottleneck: channels of the picture that the standard codec codes: 1 or 3.
        downsampling: by how much it is smaller along each axis, 1 or 2.
        pre: U-Net of the pre-processor; None for none at all: the standard codec gets the picture itself, or its luma.
        post: U-Net of the post-processor, None for none.
        folds: whether a bottleneck of one channel has colour folded in from the start; without, it starts as the luma.
    """

    family: ClassVar[str] = "sandwich"

    bottleneck: int = 3
    downsampling: int = 1
    pre: UNetArchitecture | None = field(default=_SLIM)
    post: UNetArchitecture | None = field(default=_SLIM)
    folds: bool = True

    @property
    def folded(self) -> bool:
        """Whether there is one channel with colour folded in."""
        return self.bottleneck == 1 and self.folds

    @property
    def coded_alignment(self) -> int:
        """What the sides of a picture are extended to multiples of before it is coded."""
        return colour_folding.SIDE if self.folded else self.downsampling

    def alignment(self, net: UNetArchitecture | None) -> int:
        """What the sides of the input of one of the networks must be multiples of."""
        return max(1 if net is None else net.alignment, colour_folding.SIDE if self.folded else 1)

    def halo(self, net: UNetArchitecture | None) -> int:
        """Pixels around a position that one of the networks depends on, rounded up to its alignment."""
        alignment = self.alignment(net)
        return 0 if net is None else -(-net.halo // alignment) * alignment

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
    if fields.get("blocks") is not None:
        fields["blocks"] = BlockArchitecture(**fields["blocks"])
    return UNetArchitecture(**fields)


def preprocessor(architecture: SandwichArchitecture) -> Any:
    """Builds the network from a picture to what is coded.

    Returns:
        A Keras model from (n, h, w, 3 + 1), sides multiples of `SandwichArchitecture.alignment`, to (n, h, w, bottleneck), not bounded
        and not yet of the codec's resolution.
    """
    to_bottleneck = np.eye(COLOURS) if architecture.bottleneck == COLOURS else LUMA[None]
    folding = colour_folding.folded if architecture.folded else None
    return _processor(architecture.pre, to_bottleneck, folding, _PRE_GAIN, "sandwich_pre")


def postprocessor(architecture: SandwichArchitecture) -> Any:
    """Builds the network from what the codec restored, at the resolution of the picture, to the picture.

    Returns:
        A Keras model from (n, h, w, bottleneck + 1), sides multiples of `SandwichArchitecture.alignment`, to (n, h, w, 3), not bounded.
    """
    to_picture = np.eye(COLOURS) if architecture.bottleneck == COLOURS else np.ones((COLOURS, 1))
    folding = colour_folding.unfolded if architecture.folded else None
    return _processor(architecture.post, to_picture, folding, _POST_GAIN, "sandwich_post")


def _processor(
    net: UNetArchitecture | None, start: npt.NDArray[np.float64], folding: Folding | None, gain: float, name: str
) -> Any:
    """A network of single pixels that does what a matrix (outputs, inputs) says at first, plus a U-Net that adds nothing."""
    outputs, inputs = start.shape
    source = keras.Input((None, None, inputs + 1), name=name, dtype="float32")
    picture = ChannelRange(0, inputs, name=f"{name}_picture", dtype="float32")(source)
    x = _single_pixels(source, picture, start, name)
    if folding is not None:
        x = layers.Add(name=f"{name}_folded", dtype="float32")([x, folding(picture, f"{name}_colour")])
    # A name for what the first stage of training trains; no ONNX node.
    x = layers.Rescaling(1.0, name=f"{name}_start", dtype="float32")(x)
    if net is not None:
        told = ChannelRange(inputs, inputs + 1, name=f"{name}_told", dtype="float32")(source)
        seen = layers.Multiply(name=f"{name}_in_steps", dtype="float32")([picture, _power(told, -1.0, f"{name}_fine")])
        seen = layers.Concatenate(name=f"{name}_seen", dtype="float32")([seen, told])
        added = layers.Multiply(name=f"{name}_added", dtype="float32")(
            [unet(seen, net, outputs, name), _power(told, 1.0, f"{name}_coarse", gain)]
        )
        x = layers.Add(name=f"{name}_sum", dtype="float32")([x, added])
    return keras.Model(source, x, name=name)


def _single_pixels(source: Any, picture: Any, start: npt.NDArray[np.float64], name: str) -> Any:
    """What a matrix makes of every pixel, and what two small layers with sines between them add; in float32."""
    outputs = len(start)
    x = layers.Conv2D(_NODES, 1, padding="same", name=f"{name}_pixel_nodes", dtype="float32")(source)
    x = Sine(name=f"{name}_pixel_sine", dtype="float32")(x)
    x = layers.Conv2D(
        outputs, 1, padding="same", kernel_initializer="zeros", name=f"{name}_pixel_curve", dtype="float32"
    )(x)
    x = layers.Rescaling(_CURVE_SCALE, name=f"{name}_pixel_scale", dtype="float32")(x)
    # A thousandth of its weights is a quarter of a grey level: a learning rate for other layers would destroy it.
    linear = layers.Conv2D(
        outputs, 1, padding="same", use_bias=False, name=f"{name}_pixel_linear", dtype="float32", trainable=False
    )
    x = layers.Add(name=f"{name}_pixel", dtype="float32")([linear(picture), x])
    linear.set_weights([start.T[None, None]])
    return x


def _power(told: Any, sign: float, name: str, factor: float = 1.0) -> Any:
    """A factor times the step, or its reciprocal times 256, everywhere, of what networks are told of it."""
    offset = sign * 0.5 * _RATIOS + (math.log(factor) if sign > 0 else math.log(256.0))
    x = layers.Rescaling(sign * _RATIOS, offset, name=f"{name}_log", dtype="float32")(told)
    return layers.Activation("exponential", name=name, dtype="float32")(x)
