"""What a U-Net is told of the blocks of 16x16 pixels that a standard codec works on: convolutions from block to block.

A JPEG with colour at half the resolution is coded in such blocks. Where their edges are, and which cosine a block is made
of, a network that runs over pixels can hardly tell.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from keras import layers

from .initialisers import differences
from .layers import DepthToSpace
from .residual import SLOPE, residual


@dataclass(frozen=True)
class BlockArchitecture:
    """One point in the family.

    Attributes:
        width: channels.
        stages: residual stages of two convolutions each.
        features: channels that the U-Net is handed at its own resolution.
    """

    side: ClassVar[int] = 16

    width: int = 128
    stages: int = 2
    features: int = 8

    @property
    def reach(self) -> int:
        """Pixels around a block that it depends on, and the rest of the block."""
        return self.side * (2 * self.stages + 1)


def block_path(source: Any, architecture: BlockArchitecture, stride: int, outputs: int, name: str) -> tuple[Any, Any]:
    """Adds the layers.

    Args:
        source: Keras tensor (n, h, w, channels), sides multiples of 16; all channels but the last are of the picture.
        architecture: the filters.
        stride: pixels per position of the features, a divisor of 16.
        outputs: channels of the picture that the blocks tell directly.
        name: prefix of the layers' names.

    Returns:
        Keras tensors: the features (n, h / stride, w / stride, features), and a picture in float32 (n, h, w, outputs) that is
        zero until it is trained.
    """
    side, width = architecture.side, architecture.width
    pictured = differences(source.shape[-1] - 1, 1)
    x = layers.Conv2D(width, side, side, padding="same", kernel_initializer=pictured, name=f"{name}_entry")(source)
    for number in range(architecture.stages):
        x = residual(x, width, f"{name}_stage{number}")
    x = layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}_act")(x)
    count = (side // stride) ** 2 * architecture.features
    features = layers.Conv2D(count, 1, padding="same", name=f"{name}_features")(x)
    features = DepthToSpace(side // stride, name=f"{name}_features_unfold")(features)
    direct = layers.Conv2D(
        side**2 * outputs, 1, padding="same", kernel_initializer="zeros", name=f"{name}_exit", dtype="float32"
    )(x)
    return features, DepthToSpace(side, name=f"{name}_unfold", dtype="float32")(direct)
