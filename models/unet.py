"""The U-Net of sandwiched compression: what its pre- and post-processors see beyond single pixels.

Source: O. G. Guleryuz et al., "Sandwiched Compression: Repurposing Standard Codecs with Neural Network Wrappers",
arXiv 2402.05887, section IV; O. Ronneberger, P. Fischer, T. Brox, "U-Net", MICCAI 2015. The published one has the filters
(32, 64, 128) on the way down and (512, 256, 128, 64, 32) on the way up and runs at full resolution. Unlike it, this one can
be told of whole blocks of the codec (`block_path`), its ReLUs are leaky, and its first filters see differences of pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import layers

from .block_path import BlockArchitecture, block_path
from .initialisers import differences
from .layers import DepthToSpace, SpaceToDepth, Subsampling
from .residual import SLOPE


@dataclass(frozen=True)
class UNetArchitecture:
    """One point in the family.

    Attributes:
        down: filters of the blocks before each halving of the resolution.
        up: filters of the blocks after the last halving, as many more than doublings as there are, and after each doubling.
        stride: pixels along each axis that are folded into channels first: 2 runs the whole at half the resolution, for a
            quarter of the cost.
        width: multiplier of all filters.
        blocks: what else tells it of whole blocks; None for nothing.
    """

    down: tuple[int, ...] = (32, 64, 128)
    up: tuple[int, ...] = (512, 256, 128, 64, 32)
    stride: int = 1
    width: float = 1.0
    blocks: BlockArchitecture | None = None

    @property
    def alignment(self) -> int:
        """What the sides of a picture must be multiples of."""
        own = int(self.stride * 2 ** len(self.down))
        return own if self.blocks is None else max(own, BlockArchitecture.side)

    @property
    def halo(self) -> int:
        """Pixels around a position that it depends on, rounded up to the alignment."""
        # A block reaches 2 positions of its resolution, halving one, doubling one of half the resolution, the exit one.
        depth = len(self.down)
        reach = sum((2 + 1 + 2 + 2) * 2**level for level in range(depth)) + 2 * (len(self.up) - depth) * 2**depth + 1
        pixels = self.stride * reach + (0 if self.blocks is None else self.blocks.reach)
        return int(-(-pixels // self.alignment) * self.alignment)

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
        Keras tensor (n, h, w, outputs) in float32, not bounded; zero until it is trained.
    """
    stride, whole, results = architecture.stride, x, []
    entry = differences(stride**2 * x.shape[-1], stride**2)
    if stride > 1:
        x = SpaceToDepth(stride, name=f"{name}_fold")(x)
    if architecture.blocks is not None:
        seen, direct = block_path(whole, architecture.blocks, stride, outputs, f"{name}_blocks")
        x = layers.Concatenate(name=f"{name}_known")([x, seen])
        results.append(direct)
    skips = []
    for level, filters in enumerate(architecture.down):
        start = "he_normal" if level else entry
        x = _block(x, architecture.filters(filters), f"{name}_down{level}", start)
        skips.append(x)
        x = Subsampling(name=f"{name}_half{level}")(x)
    bottom, after = _split(architecture.up, len(skips))
    for number, filters in enumerate(bottom):
        x = _block(x, architecture.filters(filters), f"{name}_bottom{number}")
    for level, filters in reversed(list(enumerate(reversed(after)))):
        x = layers.UpSampling2D(2, interpolation="bilinear", name=f"{name}_double{level}")(x)
        x = layers.Concatenate(name=f"{name}_join{level}")([x, skips[level]])
        x = _block(x, architecture.filters(filters), f"{name}_up{level}")
    results.append(_exit(x, stride, outputs, name))
    return results[0] if len(results) == 1 else layers.Add(name=f"{name}_both", dtype="float32")(results)


def _split(filters: Sequence[int], doublings: int) -> tuple[Sequence[int], Sequence[int]]:
    """The filters at the lowest resolution and those after every doubling."""
    return filters[: len(filters) - doublings], filters[len(filters) - doublings :]


def _block(x: Any, filters: int, name: str, start: Any = "he_normal") -> Any:
    """Two convolutions, each with a leaky ReLU."""
    for number, initialiser in enumerate((start, "he_normal")):
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer=initialiser, name=f"{name}_{number}")(x)
        x = layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}_{number}_act")(x)
    return x


def _exit(x: Any, stride: int, outputs: int, name: str) -> Any:
    """The result at full resolution, in float32: in bfloat16 it would be off by whole grey levels."""
    exit_ = layers.Conv2D(
        outputs * stride**2, 3, padding="same", kernel_initializer="zeros", name=f"{name}_exit", dtype="float32"
    )
    x = exit_(x)
    return DepthToSpace(stride, name=f"{name}_unfold", dtype="float32")(x) if stride > 1 else x
