"""Starts the shallow transforms as a block KLT, so that training begins at a working transform codec.

The linear branch of the analysis becomes the Karhunen-Loeve basis of 16x16x3 blocks, the synthesis its transpose: in one
layer directly, in two by way of 2x2x3 sub-pixels, which the last layer puts in place. A nonlinear layer passes a linear
signal when it carries it twice with opposite signs: lrelu(v) - lrelu(-v) = (1 + slope) v. Everything else begins near zero.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from . import impulses
from .shallow import LINEAR_KERNEL, STRIDE, Architecture

_BLOCK = STRIDE * STRIDE * 3
_QUIET = 0.01
_SLOPE_GAIN = 1.1
_SUBPIXELS = 12  # 2 x 2 x 3

Floats = npt.NDArray[np.float64]


def klt(blocks: npt.NDArray[np.uint8], channels: int) -> tuple[Floats, Floats]:
    """The Karhunen-Loeve transform of blocks.

    Args:
        blocks: uint8 (n, 16, 16, 3).
        channels: how many components to keep.

    Returns:
        Orthonormal basis (768, channels), largest variance first, flattened in (row, column, colour) order; standard
        deviations (channels,) for pixels in [0, 1], around 0.5 rather than the mean.
    """
    flat = blocks.reshape(len(blocks), _BLOCK).astype(np.float32) / 255.0 - 0.5
    variances, basis = np.linalg.eigh((flat.T @ flat).astype(np.float64) / len(flat))
    return basis[:, ::-1][:, :channels], np.sqrt(np.maximum(variances[::-1][:channels], 1e-12))


def start_analysis(model: Any, architecture: Architecture, basis: Floats) -> None:
    """Writes the basis (768, latents) into the linear branch and quietens the other one, in place."""
    if not architecture.linear:
        return
    kernel = np.zeros((LINEAR_KERNEL, LINEAR_KERNEL, 3, basis.shape[1]), np.float32)
    before = (LINEAR_KERNEL - STRIDE) // 2
    kernel[before : before + STRIDE, before : before + STRIDE] = basis.reshape(STRIDE, STRIDE, 3, -1)
    model.get_layer("linear").set_weights([kernel])
    last = max((layer for layer in model.layers if layer.name.startswith("down")), key=lambda layer: layer.name)
    kernel, bias = last.get_weights()
    last.set_weights([kernel * _QUIET, bias])


def start_synthesis(model: Any, architecture: Architecture, basis: Floats) -> None:
    """Writes the transposed basis into a synthesis of one or two layers, in place."""
    if architecture.synthesis == "one_layer":
        kernel, bias = model.get_layer("up1").get_weights()
        kernel[:] = 0.0
        before = (architecture.kernel - STRIDE) // 2
        kernel[before : before + STRIDE, before : before + STRIDE] = basis.reshape(STRIDE, STRIDE, 3, -1)
        model.get_layer("up1").set_weights([kernel, bias])
    elif architecture.synthesis == "two_layer":
        _start_two_layers(model, architecture, basis)


def imitate_synthesis(model: Any, architecture: Architecture, other: Any, sizes: npt.NDArray[np.float32]) -> None:
    """Writes the linear part of another synthesis into one of one layer, in place: what it makes of single latents.

    Args:
        model: the synthesis of one layer.
        architecture: its architecture.
        other: the synthesis to imitate, of as many channels.
        sizes: how large a latent typically is, (channels,); a nonlinear synthesis is imitated best around there.
    """
    odd = (impulses.responses(other, sizes) + impulses.responses(other, -sizes)) / 2.0
    before = (odd.shape[1] - architecture.kernel) // 2
    part = slice(before, before + architecture.kernel)
    _, bias = model.get_layer("up1").get_weights()
    model.get_layer("up1").set_weights([odd[:, part, part].transpose(1, 2, 3, 0), bias])


def _start_two_layers(model: Any, architecture: Architecture, basis: Floats) -> None:
    first, last = model.get_layer("up1"), model.get_layer("up2")
    kernel, bias = first.get_weights()
    placed, placed_bias = last.get_weights()
    kernel *= _QUIET
    subpixels = basis.reshape(8, 2, 8, 2, 3, -1).transpose(0, 2, 1, 3, 4, 5).reshape(8, 8, _SUBPIXELS, -1)
    if architecture.residual:
        linear = kernel[:, :, architecture.hidden :]
        linear[:] = 0.0
        linear[2:10, 2:10, :_SUBPIXELS] = subpixels
        placed *= _QUIET
        _place_subpixels(placed, 0, 1.0)
    elif not architecture.igdn and architecture.hidden >= 2 * _SUBPIXELS:
        kernel[2:10, 2:10, :_SUBPIXELS] = subpixels
        kernel[2:10, 2:10, _SUBPIXELS : 2 * _SUBPIXELS] = -subpixels
        placed *= _QUIET
        _place_subpixels(placed, 0, 1.0 / _SLOPE_GAIN)
        _place_subpixels(placed, _SUBPIXELS, -1.0 / _SLOPE_GAIN)
    first.set_weights([kernel, bias])
    last.set_weights([placed, placed_bias])


def _place_subpixels(kernel: Any, start: int, factor: float) -> None:
    """Lets hidden channels start, start + 1, ... write the pixels of a 2x2 block, through a kernel (5, 5, 3, hidden)."""
    kernel[..., start : start + _SUBPIXELS] = 0.0
    for channel, (row, column, colour) in enumerate(np.ndindex(2, 2, 3)):
        kernel[1 + row, 1 + column, colour, start + channel] = factor
