"""Entropy coding of l3ic on its own; see `entropy.EntropyParts`. Files are in the context profile."""

import numpy as np

from ..bitstream import context
from ..bitstream.container import Container
from ..bitstream.context import ContextModel, Planes
from ..bitstream.planes import LatentTables, encode_stripe, stripe_rows
from ..codecs.base import EncodeSettings
from ..codecs.l3ic import L3ic
from ..images import Picture
from ..models.zoo import Model
from .timing import Action


def entropy_encoder(picture: Picture, model: Model, settings: EncodeSettings) -> Action:
    """See `EntropyParts.entropy_encoder`."""
    stripes = _stripes(L3ic().encode(picture, model, settings), model)
    shared = _context(model)
    return lambda: [encode_stripe(stripe, shared) for stripe in stripes]


def ideal_bits(coded: Container, model: Model) -> float:
    """See `EntropyParts.ideal_bits`."""
    return sum(context.ideal_bits(_context(model), stripe) for stripe in _stripes(coded, model))


def _stripes(coded: Container, model: Model) -> list[Planes]:
    latents = L3ic().decode_planes(coded, model, tuple(range(coded.header.channels)))
    return [latents[:, top:bottom] for top, bottom in stripe_rows(*latents.shape[1:])]


def _context(model: Model) -> ContextModel:
    with np.load(model.path("entropy.npz"), allow_pickle=False) as arrays:
        return LatentTables.from_arrays(arrays).context
