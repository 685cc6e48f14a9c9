"""The networks of the embedded codec: a linear analysis of blocks, and a synthesis that knows how uncertain it is.

Every coefficient is known up to a cell that further codes split (`bitstream/code_trees.py`). The synthesis takes the mean of
each cell and its deviation, moves the mean within the cell as far as neighbours suggest, turns the result into pixels
linearly, adds what neighbours tell of the rest of the block, and then what convolutions at a quarter of the resolution see.
At first it does nothing but the linear part.
"""

from dataclasses import asdict, dataclass
from typing import Any

import keras
from keras import layers

from .initialisers import differences
from .layers import DepthToSpace, SpaceToDepth
from .residual import SLOPE, residual

STRIDE = 16
"""Pixels per code position along each axis, and the side of a block."""

COLOURS = 3
_FINE = 4
"""Pixels per position of the second half of the synthesis."""

_PICTURE_SCALE = 4.0
"""What brings pixels less one half to about unit variance for the second half."""

_ADDED_SCALE = 1.0 / 32.0
"""Of what is added to the linear picture: a few grey levels, from weights as large as those of other layers."""


@dataclass(frozen=True)
class EmbeddedArchitecture:
    """One point in the family; the training configurations name it, model cards store it.

    Attributes:
        coefficients: of a block.
        deep_width: channels of the convolutions at code positions.
        deep_blocks: residual blocks there.
        features: channels handed on to the second half.
        fine_width: channels of the convolutions at a quarter of the resolution.
        fine_blocks: residual blocks there.
    """

    coefficients: int
    deep_width: int = 192
    deep_blocks: int = 1
    features: int = 24
    fine_width: int = 64
    fine_blocks: int = 3

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @property
    def halo(self) -> int:
        """Code positions around one that its pixels depend on."""
        fine = _FINE * (2 + 2 * self.fine_blocks)
        return 1 + 2 * self.deep_blocks + -(-fine // STRIDE)


def analysis(architecture: EmbeddedArchitecture) -> Any:
    """Builds the linear analysis.

    Returns:
        A Keras model from pixels (n, h, w, 3) less one half, sides multiples of 16, to coefficients (n, h/16, w/16, c).
    """
    pixels = keras.Input((None, None, COLOURS), name="pixels")
    x = layers.Conv2D(
        architecture.coefficients, STRIDE, STRIDE, padding="same", use_bias=False, name="basis", dtype="float32"
    )(pixels)
    return keras.Model(pixels, x, name="embedded_analysis")


def synthesis(architecture: EmbeddedArchitecture) -> Any:
    """Builds the synthesis.

    Returns:
        A Keras model from the means and the deviations of cells, each (n, h, w, c), to pixels (n, 16h, 16w, 3) less one
        half, not clipped.
    """
    means, deviations = (
        keras.Input((None, None, architecture.coefficients), name=name) for name in ("means", "deviations")
    )
    x = layers.Concatenate(name="known")([means, deviations])
    x = layers.Conv2D(
        architecture.deep_width,
        3,
        padding="same",
        kernel_initializer=differences(architecture.coefficients, 1),
        name="deep_entry",
    )(x)
    for number in range(architecture.deep_blocks):
        x = residual(x, architecture.deep_width, f"deep{number}")
    x = layers.LeakyReLU(negative_slope=SLOPE, name="deep_act")(x)
    shift = layers.Conv2D(
        architecture.coefficients, 1, padding="same", kernel_initializer="zeros", name="shift", dtype="float32"
    )(x)
    shift = layers.Multiply(name="shift_in_cell", dtype="float32")([shift, deviations])
    moved = layers.Add(name="moved", dtype="float32")([means, shift])
    # In float32: in bfloat16 the flat part of a picture would be off by whole grey levels.
    # Its weights differ by orders of magnitude, too much for one learning rate: it stays what it is at the start.
    basis = layers.Conv2D(
        STRIDE**2 * COLOURS, 1, padding="same", use_bias=False, name="basis", dtype="float32", trainable=False
    )
    linear = basis(moved)
    picture = DepthToSpace(STRIDE, name="blocks", dtype="float32")(linear)
    direct = layers.Conv2D(
        STRIDE**2 * COLOURS, 1, padding="same", kernel_initializer="zeros", name="deep_exit", dtype="float32"
    )(x)
    direct = layers.Rescaling(_ADDED_SCALE, name="deep_scale", dtype="float32")(direct)
    direct = DepthToSpace(STRIDE, name="deep_d2s", dtype="float32")(direct)
    picture = layers.Add(name="predicted", dtype="float32")([picture, direct])
    features = layers.Conv2D((STRIDE // _FINE) ** 2 * architecture.features, 1, padding="same", name="features")(x)
    features = DepthToSpace(STRIDE // _FINE, name="features_d2s")(features)
    added = _fine(picture, features, architecture)
    return keras.Model(
        [means, deviations], layers.Add(name="restored", dtype="float32")([picture, added]), name="embedded_synthesis"
    )


def _fine(picture: Any, features: Any, architecture: EmbeddedArchitecture) -> Any:
    """What convolutions at a quarter of the resolution add to the picture."""
    x = layers.Rescaling(_PICTURE_SCALE, name="picture_scale")(SpaceToDepth(_FINE, name="picture_fold")(picture))
    x = layers.Concatenate(name="fine_known")([x, features])
    x = layers.Conv2D(
        architecture.fine_width,
        3,
        padding="same",
        kernel_initializer=differences(_FINE**2 * COLOURS, _FINE**2),
        name="fine_entry",
    )(x)
    for number in range(architecture.fine_blocks):
        x = residual(x, architecture.fine_width, f"fine{number}")
    x = layers.LeakyReLU(negative_slope=SLOPE, name="fine_act")(x)
    x = layers.Conv2D(
        _FINE**2 * COLOURS, 3, padding="same", kernel_initializer="zeros", name="fine_exit", dtype="float32"
    )(x)
    x = layers.Rescaling(_ADDED_SCALE, name="fine_scale", dtype="float32")(x)
    return DepthToSpace(_FINE, name="fine_d2s", dtype="float32")(x)
