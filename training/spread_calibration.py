"""Moves the spread that each channel starts from, at each quality, to where the counted tables code it in fewest bits.

Training codes with logistic distributions. The tables that stand in for them are shared by all channels and qualities:
a channel that is nearly always zero at a low quality is coded better by another class than its spread would name.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter1d

from ..bitstream.escape import code_lengths
from ..bitstream.hyper_context import HyperContext, Prior
from .hyper_entropy import RANGE, Sample, visit

SHIFTS = (-12, -9, -6, -4, -2, 0, 2, 4, 6)
"""Changes that are tried, in the 1/16 of the spreads."""

_NODE_BLUR = 1.5
_CHANNEL_BLUR = 2.0

Floats = npt.NDArray[np.float64]


def spread_shifts(
    model: HyperContext, samples: Sequence[Sample], nodes: Sequence[int], count: int
) -> npt.NDArray[np.int32]:
    """What to add to the spread bias of every channel at every node of the quality scale.

    Args:
        model: the entropy model, fitted to the samples.
        samples: training pictures.
        nodes: the node of the quality scale that each is coded at.
        count: number of nodes.

    Returns:
        int32 (count, channels), in 1/16.
    """
    bits = np.zeros((len(SHIFTS), count, model.channels))
    prices = code_lengths(model.tables, RANGE)
    for number, shift in enumerate(SHIFTS):
        for sample, node in zip(samples, nodes, strict=True):
            bits[number, node] += channel_bits(model, prices, replace(sample, prior=_shifted(sample.prior, shift)))
    # A node has few pictures, a rare channel few values: neighbours on both scales have a say.
    smooth = gaussian_filter1d(gaussian_filter1d(bits, _NODE_BLUR, axis=1), _CHANNEL_BLUR, axis=2)
    best: npt.NDArray[np.int32] = np.array(SHIFTS, np.int32)[smooth.argmin(axis=0)]
    return best


def channel_bits(model: HyperContext, prices: npt.NDArray[np.float32], sample: Sample) -> Floats:
    """Bits of every channel of a picture with context, (channels,).

    Args:
        model: the entropy model.
        prices: `code_lengths` of its tables up to RANGE.
        sample: the picture.
    """
    bits = np.zeros(model.channels)
    for step, values in visit(model, sample):
        bases, indexes = step.contexts()
        distances = np.clip(values - bases, -RANGE, RANGE) + RANGE
        bits[step.channels] += prices[indexes, distances].sum(axis=0, dtype=np.float64)
    return bits


def _shifted(prior: Prior, shift: int) -> Prior:
    return replace(prior, spread=prior.spread + np.int32(shift))
