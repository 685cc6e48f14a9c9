"""Transforms of the shallow-decoder codecs: a strong analysis, a synthesis of one or two layers, a cheap hyperprior.

Sources: Y. Yang, S. Mandt, "Computationally-Efficient Neural Image Compression with Shallow Decoders", ICCV 2023 (JPEG-like
and two-layer synthesis); J. Balle, V. Laparra, E. Simoncelli, "End-to-end Optimized Image Compression", ICLR 2017, and
D. Minnen, J. Balle, G. Toderici, "Joint Autoregressive and Hierarchical Priors for Learned Image Compression", NeurIPS
2018 (the deep symmetric transforms); D. He et al., "ELIC", CVPR 2022, section 3.3 (the residual analysis).

All transforms have their latent at 1/16 resolution and their hyper-latent at 1/64. Pixels are in [0, 1]; latents are in
units that the gains (see `Gains`) turn into quantisation steps.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import keras
from keras import layers

from .keras_ops import ops
from .layers import GDN, ChannelRange

STRIDE = 16
"""Pixels per latent position along each axis."""

HYPER_STRIDE = 64
"""Pixels per position of the hyper-latent along each axis."""

LINEAR_KERNEL = 2 * STRIDE
"""Side of the blocks of the linear branch."""

AnalysisKind = Literal["bls", "mbt", "cnn", "elic", "patch"]
SynthesisKind = Literal["bls", "mbt", "one_layer", "two_layer"]
HyperKind = Literal["none", "full", "cheap"]

_SLOPE = 0.1
_HYPER_WIDTH = 128


@dataclass(frozen=True)
class Architecture:
    """One point in the family; the training configurations name it, model cards store it.

    Attributes:
        latents: latent channels.
        hyper_latents: channels of the hyper-latent.
        analysis: `bls` (9x9/4, 5x5/2, 5x5/2, GDN), `mbt` (4 x 5x5/2, GDN), `cnn` (4 x 5x5/2, leaky ReLU), `elic`
            (residual blocks and attention), `patch` (residual blocks from 1/4 resolution down).
        analysis_width: channels of the analysis inside.
        linear: whether a linear branch is added to the analysis: one convolution of blocks that overlap by half, which
            training starts as a KLT.
        synthesis: `bls` and `mbt` mirror their analysis; `one_layer` is one transposed convolution of stride 16,
            `two_layer` 13x13/8 and 5x5/2.
        kernel: side of the kernel of `one_layer`, 16 to 48, even. The wider, the more its blocks overlap.
        hidden: channels between the layers of `two_layer`; of `bls` and `mbt`, their width.
        residual: whether `two_layer` adds a linear branch to the nonlinear one.
        igdn: whether the nonlinearity of `two_layer` is an inverse GDN instead of a leaky ReLU.
        hyper: `none` (factorized prior), `full` (mean-scale hyperprior of Minnen et al.), `cheap` (one transposed
            convolution 6x6/4 after a small layer at hyper-latent resolution).
    """

    latents: int = 320
    hyper_latents: int = 64
    analysis: AnalysisKind = "patch"
    analysis_width: int = 96
    linear: bool = True
    synthesis: SynthesisKind = "two_layer"
    kernel: int = 18
    hidden: int = 12
    residual: bool = True
    igdn: bool = False
    hyper: HyperKind = "cheap"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


def analysis(architecture: Architecture) -> Any:
    """Builds the analysis transform.

    Returns:
        A Keras model from pixels (n, h, w, 3) in [0, 1], h and w multiples of 16, to latents (n, h/16, w/16, latents).
    """
    pixels = keras.Input((None, None, 3), name="pixels")
    centred = layers.Rescaling(1.0, offset=-0.5, name="centre")(pixels)
    latents = _ANALYSES[architecture.analysis](centred, architecture)
    if architecture.linear:
        options: dict[str, Any] = {"padding": "same", "use_bias": False, "dtype": "float32"}
        linear = layers.Conv2D(architecture.latents, LINEAR_KERNEL, STRIDE, name="linear", **options)(centred)
        latents = layers.Add(name="latent_sum", dtype="float32")([linear, latents])
    return keras.Model(pixels, latents, name=f"{architecture.analysis}_analysis")


def synthesis(architecture: Architecture) -> Any:
    """Builds the synthesis transform.

    Returns:
        A Keras model from latents (n, h, w, latents) to pixels (n, 16h, 16w, 3), nominally in [0, 1], not clipped.
    """
    latents = keras.Input((None, None, architecture.latents), name="latents")
    x = _SYNTHESES[architecture.synthesis](latents, architecture)
    x = layers.Rescaling(1.0, offset=0.5, dtype="float32", name="uncentre")(x)
    return keras.Model(latents, x, name=f"{architecture.synthesis}_synthesis")


def hyper_analysis(architecture: Architecture) -> Any:
    """Builds the hyper-analysis.

    Returns:
        A Keras model from scaled latents (n, h, w, latents), h and w multiples of 4, to hyper-latents
        (n, h/4, w/4, hyper_latents), to be rounded.
    """
    width = architecture.latents if architecture.hyper == "full" else _HYPER_WIDTH
    latents = keras.Input((None, None, architecture.latents), name="latents")
    x = Compress(name="hyper_in")(latents)
    x = _conv(width, 3, 1, "hyper_down1")(x)
    x = layers.LeakyReLU(negative_slope=_SLOPE, name="hyper_down1_act")(x)
    x = _conv(width, 5, 2, "hyper_down2")(x)
    x = layers.LeakyReLU(negative_slope=_SLOPE, name="hyper_down2_act")(x)
    x = layers.Conv2D(architecture.hyper_latents, 5, 2, padding="same", dtype="float32", name="hyper_down3")(x)
    return keras.Model(latents, x, name="hyper_analysis")


def hyper_synthesis(architecture: Architecture) -> Any:
    """Builds the float twin of the integer hyper-synthesis.

    Returns:
        A Keras model from hyper-latents (n, h, w, hyper_latents) to (n, 4h, 4w, 2 * latents): predicted means, then
        spreads before the softplus.
    """
    hyper_latents = keras.Input((None, None, architecture.hyper_latents), name="hyper_latents")
    if architecture.hyper == "full":
        widths = (architecture.latents, architecture.latents * 3 // 2)
        x = layers.ReLU(name="hyper_up1_act")(_deconv(widths[0], 5, 2, "hyper_up1")(hyper_latents))
        x = layers.ReLU(name="hyper_up2_act")(_deconv(widths[1], 5, 2, "hyper_up2")(x))
        x = layers.Conv2D(2 * architecture.latents, 3, padding="same", dtype="float32", name="hyper_up3")(x)
    else:
        x = layers.Conv2D(_HYPER_WIDTH, 3, padding="same", dtype="float32", name="hyper_up1")(hyper_latents)
        x = layers.ReLU(name="hyper_up1_act", dtype="float32")(x)
        x = _deconv(2 * architecture.latents, 6, 4, "hyper_up2", dtype="float32")(x)
    return keras.Model(hyper_latents, x, name="hyper_synthesis")


@keras.saving.register_keras_serializable("nicodec")
class Compress(layers.Layer):
    """sign(x) log(1 + |x|): latents span three orders of magnitude, the hyper-analysis should see all of them."""

    def call(self, inputs: Any) -> Any:
        """See the class."""
        return ops.sign(inputs) * ops.log1p(ops.abs(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The input's shape."""
        return input_shape


def halo(architecture: Architecture, transform: Literal["analysis", "synthesis"]) -> int:
    """Latent positions beyond a tile that have a part in what a transform makes of it; never too few."""
    if transform == "analysis":
        return {"bls": 3, "mbt": 3, "cnn": 3, "elic": 10, "patch": 8}[architecture.analysis]
    return {"bls": 4, "mbt": 4, "one_layer": 2, "two_layer": 2}[architecture.synthesis]


def _bls_analysis(x: Any, architecture: Architecture) -> Any:
    width = architecture.analysis_width
    x = GDN(name="down1_gdn")(_conv(width, 9, 4, "down1")(x))
    x = GDN(name="down2_gdn")(_conv(width, 5, 2, "down2")(x))
    return _last_conv(architecture, 5, 2, "down3")(x)


def _bls_synthesis(x: Any, architecture: Architecture) -> Any:
    width = architecture.hidden
    x = GDN(inverse=True, name="up1_gdn")(_deconv(width, 5, 2, "up1")(x))
    x = GDN(inverse=True, name="up2_gdn")(_deconv(width, 5, 2, "up2")(x))
    return _deconv(3, 9, 4, "up3", dtype="float32")(x)


def _mbt_analysis(x: Any, architecture: Architecture) -> Any:
    for step in range(1, 4):
        x = GDN(name=f"down{step}_gdn")(_conv(architecture.analysis_width, 5, 2, f"down{step}")(x))
    return _last_conv(architecture, 5, 2, "down4")(x)


def _mbt_synthesis(x: Any, architecture: Architecture) -> Any:
    for step in range(1, 4):
        x = GDN(inverse=True, name=f"up{step}_gdn")(_deconv(architecture.hidden, 5, 2, f"up{step}")(x))
    return _deconv(3, 5, 2, "up4", dtype="float32")(x)


def _cnn_analysis(x: Any, architecture: Architecture) -> Any:
    for step in range(1, 4):
        x = _conv(architecture.analysis_width, 5, 2, f"down{step}")(x)
        x = layers.LeakyReLU(negative_slope=_SLOPE, name=f"down{step}_act")(x)
    return _last_conv(architecture, 5, 2, "down4")(x)


def _elic_analysis(x: Any, architecture: Architecture) -> Any:
    width = architecture.analysis_width
    for step in range(1, 4):
        x = _conv(width, 5, 2, f"down{step}")(x)
        for block in range(3):
            x = _bottleneck(x, width, f"stage{step}_{block}")
        if step == 2:
            x = _attention(x, width, "attention2")
    x = _last_conv(architecture, 5, 2, "down4")(x)
    return _attention(x, architecture.latents, "attention4")


def _patch_analysis(x: Any, architecture: Architecture) -> Any:
    """A residual network that works at 1/4 resolution and below, where a multiplication reaches most of the picture."""
    width = architecture.analysis_width
    x = _conv(width, 8, 4, "down1")(x)
    for stage in range(1, 4):
        for block in range(3):
            x = _bottleneck(x, stage * width, f"stage{stage}_{block}")
        if stage < 3:
            x = _conv((stage + 1) * width, 5, 2, f"down{stage + 1}")(x)
    return _last_conv(architecture, 1, 1, "down4")(x)


def _one_layer_synthesis(x: Any, architecture: Architecture) -> Any:
    return _deconv(3, architecture.kernel, STRIDE, "up1", dtype="float32")(x)


def _two_layer_synthesis(x: Any, architecture: Architecture) -> Any:
    hidden, residual = architecture.hidden, architecture.residual
    x = _deconv(2 * hidden if residual else hidden, 13, 8, "up1")(x)
    nonlinear = ChannelRange(0, hidden, name="up1_nonlinear")(x) if residual else x
    if architecture.igdn:
        nonlinear = GDN(inverse=True, name="up1_gdn")(nonlinear)
    else:
        nonlinear = layers.LeakyReLU(negative_slope=_SLOPE, name="up1_act")(nonlinear)
    if residual:
        linear = ChannelRange(hidden, 2 * hidden, name="up1_linear")(x)
        nonlinear = layers.Add(name="up1_sum", dtype="float32")([linear, nonlinear])
    return _deconv(3, 5, 2, "up2", dtype="float32")(nonlinear)


_ANALYSES: dict[str, Callable[[Any, Architecture], Any]] = {
    "bls": _bls_analysis,
    "mbt": _mbt_analysis,
    "cnn": _cnn_analysis,
    "elic": _elic_analysis,
    "patch": _patch_analysis,
}
_SYNTHESES: dict[str, Callable[[Any, Architecture], Any]] = {
    "bls": _bls_synthesis,
    "mbt": _mbt_synthesis,
    "one_layer": _one_layer_synthesis,
    "two_layer": _two_layer_synthesis,
}


def _bottleneck(x: Any, width: int, name: str) -> Any:
    """1x1 to half the width, 3x3, 1x1 back, added to the input (He et al. 2022)."""
    branch = layers.LeakyReLU(negative_slope=_SLOPE, name=f"{name}_act1")(_conv(width // 2, 1, 1, f"{name}_a")(x))
    branch = layers.LeakyReLU(negative_slope=_SLOPE, name=f"{name}_act2")(_conv(width // 2, 3, 1, f"{name}_b")(branch))
    # Branches begin small, or their sum over many blocks would drown the signal.
    quiet: Any = keras.initializers.VarianceScaling(0.05)
    branch = layers.Conv2D(width, 1, padding="same", kernel_initializer=quiet, name=f"{name}_c")(branch)
    return layers.Add(name=f"{name}_add")([x, branch])


def _attention(x: Any, width: int, name: str) -> Any:
    """x + trunk * sigmoid(gate), both branches of three residual blocks (Cheng et al. 2020, without non-local part)."""
    trunk = gate = x
    for block in range(3):
        trunk = _bottleneck(trunk, width, f"{name}_trunk{block}")
        gate = _bottleneck(gate, width, f"{name}_gate{block}")
    gate = layers.Activation("sigmoid", name=f"{name}_sigmoid")(_conv(width, 1, 1, f"{name}_gate")(gate))
    product = layers.Multiply(name=f"{name}_product")([trunk, gate])
    return layers.Add(name=f"{name}_add")([x, product])


def _conv(filters: int, kernel: int, stride: int, name: str) -> Any:
    return layers.Conv2D(filters, kernel, stride, padding="same", kernel_initializer="he_normal", name=name)


def _last_conv(architecture: Architecture, kernel: int, stride: int, name: str) -> Any:
    return layers.Conv2D(architecture.latents, kernel, stride, padding="same", dtype="float32", name=name)


def _deconv(filters: int, kernel: int, stride: int, name: str, **options: Any) -> Any:
    return layers.Conv2DTranspose(filters, kernel, stride, padding="same", name=name, **options)
