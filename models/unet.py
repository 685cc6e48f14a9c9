"""The U-Net of sandwiched compression: what its pre- and post-processors see beyond single pixels.

Source: O. G. Guleryuz et al., "Sandwiched Compression: Repurposing Standard Codecs with Neural Network Wrappers",
arXiv 2402.05887, section IV; O. Ronneberger, P. Fischer, T. Brox, "U-Net", MICCAI 2015. The published one has the filters
(32, 64, 128) on the way down and (512, 256, 128, 64, 32) on the way up and runs at full resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers

from .layers import DepthToSpace, SpaceToDepth, Subsampling


@dataclass(frozen=True)
class UNetArchitecture:
    """One point in the family.

    Attributes:
        down: filters of the blocks before each halving of the resolution.
        up: filters of the blocks after the last halving, as many more than doublings as there are, and after each doubling.
        stride: pixels along each axis that are folded into channels first: 2 runs the whole at half the resolution, for a
            quarter of the cost.
        width: multiplier of all filters.
    """

    down: tuple[int, ...] = (32, 64, 128)
    up: tuple[int, ...] = (512, 256, 128, 64, 32)
    stride: int = 1
    width: float = 1.0

    @property
    def alignment(self) -> int:
        """What the sides of a picture must be multiples of."""
        return int(self.stride * 2 ** len(self.down))

    @property
    def halo(self) -> int:
        """Pixels around a position that it depends on, rounded up to the alignment."""
        # A block reaches 2 positions of its resolution, halving one, doubling one of half the resolution, the exit one.
        depth = len(self.down)
        reach = sum((2 + 1 + 2 + 2) * 2**level for level in range(depth)) + 2 * (len(self.up) - depth) * 2**depth + 1
        return int(-(-self.stride * reach // self.alignment) * self.alignment)

    def filters(self, published: int) -> int:
        """Filters where the table says so many."""
        return max(1, round(self.width * published))


def unet(x: Any, architecture: UNetArchitecture, outputs: int, name: str) -> Any:
    """Adds the layers of a U-Net.

    Args:
        x: Keras tensor (n, h, w, channels), sides multiples of the alignment.
        architecture: the filters.
        outputs: channels.
        name: prefix of the layers' names.

    Returns:
        Keras tensor (n, h, w, outputs), not bounded.
    """
    folded = architecture.stride > 1
    if folded:
        x = SpaceToDepth(architecture.stride, name=f"{name}_fold")(x)
    skips = []
    for level, filters in enumerate(architecture.down):
        x = _block(x, architecture.filters(filters), f"{name}_down{level}")
        skips.append(x)
        x = Subsampling(name=f"{name}_half{level}")(x)
    bottom, after = _split(architecture.up, len(skips))
    for number, filters in enumerate(bottom):
        x = _block(x, architecture.filters(filters), f"{name}_bottom{number}")
    for level, filters in reversed(list(enumerate(reversed(after)))):
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_double{level}")(x)
        x = layers.Concatenate(name=f"{name}_join{level}")([x, skips[level]])
        x = _block(x, architecture.filters(filters), f"{name}_up{level}")
    x = layers.Conv2D(outputs * architecture.stride**2, 3, padding="same", name=f"{name}_exit")(x)
    return DepthToSpace(architecture.stride, name=f"{name}_unfold")(x) if folded else x


def _split(filters: Sequence[int], doublings: int) -> tuple[Sequence[int], Sequence[int]]:
    """The filters at the lowest resolution and those after every doubling."""
    return filters[: len(filters) - doublings], filters[len(filters) - doublings :]


def _block(x: Any, filters: int, name: str) -> Any:
    """Two convolutions, each with a ReLU."""
    for number in range(2):
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal", name=f"{name}_{number}")(x)
        x = layers.ReLU(name=f"{name}_{number}_act")(x)
    return x
