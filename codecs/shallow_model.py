"""The entropy model of one shallow-decoder model, read from its `entropy.npz`: hyperprior, context, gains.

What the entropy coder sees is integer: the hyper-synthesis (`models/integer_net.py`) turns decoded hyper-latents into
predicted values and spreads, and biases by quality are added. Gains are float and touch pixels only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..bitstream.hyper_context import HyperContext, Planes, Prior
from ..bitstream.tables import TableSet
from ..errors import FormatError, ModelError
from ..models.integer_net import IntegerNet
from ..models.zoo import Model
from . import entropy_file
from .shallow_header import FAST, HYPER_LOG2, NODES, QUALITY_STEPS

_HYPER_NET = "hyper_net"

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class ShallowModel:
    """Everything but the transforms.

    Attributes:
        context: entropy model of latents in the context profile; its tables serve hyper-latents too.
        alone: that of the fast profile: the same but for tables and offsets.
        net: integer hyper-synthesis: values, then spreads, of all channels, in 1/16.
        biases: int32 (NODES + 1, 2 * channels) added to the output of the net at each quality.
        hyper_prior: int32 (NODES + 1, 2, hyper channels) value and spread of hyper-latents at each quality.
        bands: groups at which bands begin, ending with the number of groups.
        log_gain: float32 (anchors, channels) logarithm of quantisation steps per latent unit.
        log_inverse: float32 (anchors, channels) logarithm of latent units per quantisation step.
        log_lambda: float32 (anchors,) logarithm of the weight of the mean squared error, for an optimising encoder.
        energy: float32 (channels,) squared error in all samples of the picture, scale 0..1, per squared latent unit.
    """

    context: HyperContext
    alone: HyperContext
    net: IntegerNet
    biases: npt.NDArray[np.int32]
    hyper_prior: npt.NDArray[np.int32]
    bands: npt.NDArray[np.int64]
    log_gain: Floats
    log_inverse: Floats
    log_lambda: Floats
    energy: Floats

    def __post_init__(self) -> None:
        """Checks shapes and ranges.

        Raises:
            FormatError: the arrays contradict each other.
        """
        channels, hyper = self.channels, self.net.inputs
        _require(self.net.outputs == 2 * channels and self.net.scale == 1 << HYPER_LOG2, "hyper-synthesis")
        _require(self.biases.shape == (NODES + 1, 2 * channels), "biases")
        _require(self.hyper_prior.shape == (NODES + 1, 2, hyper), "hyper prior")
        _require(all(bool((np.abs(a) < 1 << 20).all()) for a in (self.biases, self.hyper_prior)), "biases")
        groups = len(self.context.groups())
        _require(self.bands.ndim == 1 and len(self.bands) > 1 and self.bands[0] == 0, "bands")
        _require(self.bands[-1] == groups and bool((np.diff(self.bands) > 0).all()), "bands")
        anchors = len(self.log_lambda)
        _require(anchors > 0 and self.log_gain.shape == self.log_inverse.shape == (anchors, channels), "gains")
        _require(self.energy.shape == (channels,), "energies")
        floats = (self.log_gain, self.log_inverse, self.log_lambda, self.energy)
        _require(all(bool(np.isfinite(a).all()) for a in floats), "gains")

    @property
    def channels(self) -> int:
        """Latent channels."""
        return self.context.channels

    def of_profile(self, profile: int) -> HyperContext:
        """The entropy model of latents in a profile."""
        return self.alone if profile == FAST else self.context

    @property
    def spans(self) -> list[tuple[int, int]]:
        """First and last-plus-one group of every band."""
        return [(int(a), int(b)) for a, b in pairwise(self.bands)]

    def prior(self, hyper_latents: Planes, node: int, height: int, width: int) -> Prior:
        """What hyper-latents, int32 (hyper channels, h, w), say about the latents of a stripe of height x width."""
        return Prior.of_planes(self.net(hyper_latents)[:, :height, :width], self.biases[node])

    def hyper_contexts(self, node: int, height: int, width: int) -> tuple[Planes, Planes]:
        """Predicted integers and table indexes of the hyper-latents of a stripe, both (hyper channels, h, w)."""
        shape = (self.net.inputs, height, width)
        mean, spread = (np.broadcast_to(v[:, None, None], shape) for v in self.hyper_prior[node])
        return self.context.contexts(mean, spread)

    def gain(self, steps: int) -> Floats:
        """Quantisation steps per latent unit, float32 (channels, 1, 1)."""
        return np.exp(self._at(self.log_gain, steps))[:, None, None]

    def inverse(self, steps: int) -> Floats:
        """Latent units per quantisation step, float32 (channels, 1, 1)."""
        return np.exp(self._at(self.log_inverse, steps))[:, None, None]

    def step_cost(self, steps: int) -> Floats:
        """Bits that a squared error of one quantisation step is worth, float32 (channels, 1, 1)."""
        cost: Floats = np.float32(self.weight(steps)) * self.energy[:, None, None] * np.square(self.inverse(steps))
        return cost

    def weight(self, steps: int) -> float:
        """Bits that a squared error of one in one sample of the picture, scale 0..1, is worth."""
        # lambda weighs the mean over three samples a pixel, on the scale 0..255, against bits per pixel.
        return float(np.exp(self._at(self.log_lambda[:, None], steps)[0])) * 255.0**2 / 3.0

    def _at(self, anchors: Floats, steps: int) -> Floats:
        position = steps * (len(anchors) - 1) / QUALITY_STEPS
        below = min(int(position), max(0, len(anchors) - 2))
        above = min(below + 1, len(anchors) - 1)
        share = np.float32(position - below)
        between: Floats = anchors[below] * (1 - share) + anchors[above] * share
        return between

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "ShallowModel":
        """Reads what `to_arrays` made.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        context, net = HyperContext.from_arrays(arrays), IntegerNet.from_arrays(arrays, _HYPER_NET)
        try:
            return cls(
                context=context,
                alone=replace(
                    context,
                    tables=TableSet(arrays["fast_tables"].astype(np.int32), context.tables.minimum),
                    offsets=arrays["fast_offsets"].astype(np.int64),
                ),
                net=net,
                biases=arrays["biases"].astype(np.int32),
                hyper_prior=arrays["hyper_prior"].astype(np.int32),
                bands=arrays["bands"].astype(np.int64),
                **{name: arrays[name].astype(np.float32) for name in _FLOATS},
            )
        except (KeyError, ValueError, TypeError) as error:
            raise FormatError(f"the model's tables are damaged ({error}): reinstall the model") from error

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The model as named arrays, for an .npz file."""
        return {
            **self.context.to_arrays(),
            "fast_tables": self.alone.tables.frequencies.astype(np.uint16),
            "fast_offsets": self.alone.offsets.astype(np.int8),
            **self.net.to_arrays(_HYPER_NET),
            "biases": self.biases,
            "hyper_prior": self.hyper_prior,
            "bands": self.bands.astype(np.uint8),
            **{name: getattr(self, name) for name in _FLOATS},
        }


_FLOATS = ("log_gain", "log_inverse", "log_lambda", "energy")


@lru_cache(maxsize=4)
def load(model: Model) -> ShallowModel:
    """The entropy model of a zoo entry.

    Raises:
        ModelError: the files are missing or damaged.
    """
    return entropy_file.read(model, ShallowModel.from_arrays)


def halo(model: Model, transform: Literal["analysis", "synthesis"]) -> int:
    """How many latent positions beyond a tile a transform looks, from the card.

    Raises:
        ModelError: the card does not say.
    """
    positions = model.card["architecture"].get(f"{transform}_halo")
    if not isinstance(positions, int) or not 0 <= positions <= 64:
        raise ModelError(f"the card of {model.id} has no usable {transform}_halo: reinstall the model")
    return positions


def _require(condition: bool | np.bool_, what: str) -> None:
    if not condition:
        raise FormatError(f"the model's tables are damaged ({what}): reinstall the model")
