"""The residual GRU: one recurrent encoder and decoder, run again and again on what is left of the picture.

Source: G. Toderici, D. Vincent, N. Johnston, S. J. Hwang, D. Minnen, J. Shor, M. Covell, "Full Resolution Image
Compression with Recurrent Neural Networks", CVPR 2017, sections 3.1 and 3.2. Every iteration codes 32 binary values for
each block of 16x16 pixels.

Pixels are in [0, 1] less one half. A network takes and returns its states beside its data: at the first iteration they
are zero.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import keras
from keras import layers

from .layers import ChannelSplit, DepthToSpace, PatchConv2D

STRIDE = 16
"""Pixels per code position along each axis."""

ALIGNMENT = 32
"""What the sides of a picture must be multiples of: the gains have one value for so many pixels each way."""

ITERATIONS = 16

Reconstruction = Literal["one_shot", "additive", "scaled"]

_RESIDUAL = 0.1
"""Share of the linear paths that make the GRU a residual one; alpha in the paper."""

# At first a cell takes half of its candidate: signals keep their size on the way through seven cells if the candidate is
# made twice as large. With Keras' own start they would shrink to a few thousandths.
_INPUT_SCALE = 3.0

_PIXEL_SCALE = 8.0
"""What brings pixels less one half, whose deviation is about a third, to unit variance and more, and back."""

_GAIN_WIDTH = 32
_LEAST_GAIN = 2.0


@dataclass(frozen=True)
class GruArchitecture:
    """One point in the family; the training configurations name it, model cards store it.

    Attributes:
        width: multiplier of all channel counts; 1 is the published network.
        codes: binary values per position and iteration.
        reconstruction: `one_shot` (every iteration restores the whole picture), `additive` (adds to the one before),
            `scaled` (adds, and what is left is amplified first by gains that a network reads from the picture so far).
        growth: by how much more what is left is amplified at every iteration than at the one before; 1 for the published
            network. What is left shrinks from one to the next: amplified, it stays what the networks know.
    """

    width: float = 1.0
    codes: int = 32
    reconstruction: Reconstruction = "additive"
    growth: float = 1.0

    def gain(self, iteration: int) -> float:
        """What the encoder's input is multiplied by, and what is added to the picture divided by."""
        return float(self.growth**iteration)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    def channels(self, published: int) -> int:
        """Channels where the published network has so many; a multiple of 4, as depth-to-space needs them."""
        return max(4, round(self.width * published / 4) * 4)


@dataclass(frozen=True)
class State:
    """The memory of one recurrent layer.

    Attributes:
        channels: of the memory.
        stride: pixels per position of the memory.
    """

    channels: int
    stride: int


@dataclass(frozen=True)
class _Cell:
    """One recurrent layer.

    Attributes:
        name: of the layer.
        channels: in the published network.
        stride: pixels per position of its memory.
        reach: side of the kernel over the memory.
        down: stride of the convolution over its input.
    """

    name: str
    channels: int
    stride: int
    reach: int
    down: int = 1


_ENCODER = (_Cell("down1", 256, 4, 1, 2), _Cell("down2", 512, 8, 1, 2), _Cell("down3", 512, 16, 1, 2))
_DECODER = (_Cell("up1", 512, 16, 1), _Cell("up2", 512, 8, 1), _Cell("up3", 256, 4, 3), _Cell("up4", 128, 2, 3))


def encoder_states(architecture: GruArchitecture) -> tuple[State, ...]:
    """The memories of the encoder, in the order in which it takes and returns them."""
    return _states(architecture, _ENCODER)


def decoder_states(architecture: GruArchitecture) -> tuple[State, ...]:
    """The memories of the decoder, in the order in which it takes and returns them."""
    return _states(architecture, _DECODER)


def encoder(architecture: GruArchitecture) -> Any:
    """Builds one iteration of the encoder.

    Returns:
        A Keras model from what is left of the picture (n, h, w, 3), h and w multiples of 16, and the states, to codes
        (n, h/16, w/16, codes) in (-1, 1), to be made binary, and the states after it.
    """
    left = keras.Input((None, None, 3), name="left")
    x = _convolution(architecture.channels(64), 3, 2, "entry", _PIXEL_SCALE)(left)
    x, before, after = _cells(x, architecture, _ENCODER, upsampled=False)
    codes = _convolution(architecture.codes, 1, 1, "codes")(x)
    codes = layers.Activation("tanh", name="codes_act", dtype="float32")(codes)
    return keras.Model([left, *before], [codes, *after], name="gru_encoder")


def decoder(architecture: GruArchitecture) -> Any:
    """Builds one iteration of the decoder.

    Returns:
        A Keras model from binary codes (n, h, w, codes), -1 or 1, and the states, to what it adds to the picture, or to the
        picture, (n, 16h, 16w, 3) in (-0.5, 0.5), and the states after it.
    """
    codes = keras.Input((None, None, architecture.codes), name="codes")
    x = _convolution(architecture.channels(512), 1, 1, "entry")(codes)
    x, before, after = _cells(x, architecture, _DECODER, upsampled=True)
    x = _convolution(3, 1, 1, "pixels", 1.0 / _PIXEL_SCALE)(x)
    x = layers.Activation("tanh", name="pixels_act", dtype="float32")(x)
    x = layers.Rescaling(0.5, name="half", dtype="float32")(x)
    return keras.Model([codes, *before], [x, *after], name="gru_decoder")


def gains(architecture: GruArchitecture) -> Any:
    """Builds the network that says by how much to amplify what is left of each region.

    Returns:
        A Keras model from a picture (n, h, w, 3), h and w multiples of 32, to gains above 1 (n, h/32, w/32, 1), to be
        repeated (paper, section 3.2.3).
    """
    picture = keras.Input((None, None, 3), name="picture")
    x = picture
    width = max(4, architecture.channels(_GAIN_WIDTH))
    for number in range(1, 5):
        x = layers.Conv2D(width, 3, 2, padding="same", name=f"gain{number}")(x)
        x = layers.Activation("elu", name=f"gain{number}_act")(x)
    x = layers.Conv2D(1, 2, 2, padding="same", name="gain5")(x)
    x = layers.Activation("elu", name="gain5_act", dtype="float32")(x)
    return keras.Model(picture, layers.Rescaling(1.0, offset=_LEAST_GAIN, name="gain")(x), name="gru_gains")


def _states(architecture: GruArchitecture, cells: Sequence[_Cell]) -> tuple[State, ...]:
    return tuple(State(architecture.channels(cell.channels), cell.stride) for cell in cells)


def _cells(
    x: Any, architecture: GruArchitecture, cells: Sequence[_Cell], *, upsampled: bool
) -> tuple[Any, list[Any], list[Any]]:
    """A chain of recurrent layers, each followed by depth-to-space if upsampled.

    Returns:
        What comes out, the states before and the states after.
    """
    before, after = [], []
    for cell, memory in zip(cells, _states(architecture, cells), strict=True):
        state = keras.Input((None, None, memory.channels), name=f"{cell.name}_memory")
        x, new = _cell(x, state, cell, memory.channels)
        if upsampled:
            x = DepthToSpace(name=f"{cell.name}_d2s")(x)
        before.append(state)
        after.append(new)
    return x, before, after


def _cell(x: Any, state: Any, cell: _Cell, channels: int) -> tuple[Any, Any]:
    """The residual GRU (paper, section 3.1.3): its output and its new state.

    One convolution of the input serves the update gate, the reset gate, the candidate and the linear path, in this order;
    one of the state the two gates and the linear path.
    """
    name = cell.name
    of_input = _convolution(4 * channels, 3, cell.down, f"{name}_input", _INPUT_SCALE)(x)
    of_state = _convolution(3 * channels, cell.reach, 1, f"{name}_state")(state)
    gates, candidate, linear = _parts(of_input, (2 * channels, channels, channels), f"{name}_input")
    more, state_linear = _parts(of_state, (2 * channels, channels), f"{name}_state")
    gates = layers.Activation("sigmoid", name=f"{name}_gates_act")(layers.Add(name=f"{name}_gates")([gates, more]))
    update, reset = _parts(gates, (channels, channels), f"{name}_gates")
    kept = layers.Multiply(name=f"{name}_kept")([reset, state])
    kept = _convolution(channels, cell.reach, 1, f"{name}_kept_conv")(kept)
    candidate = layers.Activation("tanh", name=f"{name}_act")(layers.Add(name=f"{name}_candidate")([candidate, kept]))
    change = layers.Subtract(name=f"{name}_change")([candidate, state])
    change = layers.Multiply(name=f"{name}_update")([update, change])
    new = layers.Add(name=f"{name}_moved")([state, change])
    new = layers.Add(name=f"{name}_new")([new, _share(state_linear, f"{name}_state")])
    return layers.Add(name=f"{name}_output")([new, _share(linear, f"{name}_input")]), new


def _parts(x: Any, sizes: Sequence[int], name: str) -> Any:
    return ChannelSplit(sizes, name=f"{name}_parts")(x)


def _share(linear: Any, name: str) -> Any:
    return layers.Rescaling(_RESIDUAL, name=f"{name}_share")(linear)


def _convolution(channels: int, kernel: int, stride: int, name: str, scale: float = 1.0) -> Any:
    """Without bias, as in the published network's ports; `scale` is the variance of what it makes of unit variance."""
    initial = keras.initializers.VarianceScaling(scale, "fan_in")
    return PatchConv2D(channels, kernel, stride, use_bias=False, kernel_initializer=initial, name=name)
