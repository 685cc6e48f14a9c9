"""Decoding files of a shallow-decoder model down to latents; exact integers until the last line."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bitstream import walk as walking
from ..bitstream.ans import AnsDecoder
from ..bitstream.container import Container, Header
from ..bitstream.escape import decode_with_escapes
from ..bitstream.hyper_context import HyperContext, Planes, Prior, Sites
from ..bitstream.lattice import Lattice
from ..bitstream.linear_forms import ONE
from ..bitstream.walk import Chosen, Step, Walk
from ..errors import FormatError
from ..models.zoo import Model
from . import shallow_header, shallow_model
from .alpha import decode_alpha
from .segments import find_payload, missing, payload_of
from .shallow_header import HYPER_LOG2, Layout
from .shallow_model import ShallowModel

Latents = npt.NDArray[np.float32]

Visit = Callable[[int, Chosen], None]
"""Is shown the group of a step and what was decoded."""

_HYPER = 1 << HYPER_LOG2


def decode_latents(container: Container, model: Model) -> Iterator[Planes]:
    """Decodes the latents of a file and no pixels: exactly the integers that were coded, on every machine.

    Yields:
        For each stripe, from the top down, int32 (channels, rows, latent width) in quantisation steps.

    Raises:
        FormatError: a segment is missing or damaged, or the header is not one of this codec and model.
        ModelError: the model's files are missing or damaged.
    """
    tables, layout = checked(container.header, model)
    for stripe in range(len(layout.stripes)):
        decoded = _decode_stripe(container, tables, layout, stripe, False)
        yield decoded.lattice.planes(decoded.values)


def visit_steps(container: Container, model: Model, visit: Visit) -> None:
    """Decodes the latents of a file and shows every step as it was coded; groups that are all zero at the end are not.

    Raises:
        FormatError: a segment is missing or damaged, or the header is not one of this codec and model.
        ModelError: the model's files are missing or damaged.
    """
    tables, layout = checked(container.header, model)
    for stripe in range(len(layout.stripes)):
        _decode_stripe(container, tables, layout, stripe, False, visit)


def restored_latents(container: Container, model: Model, allow_partial: bool) -> Latents:
    """Decodes the latents of a file as the synthesis takes them.

    Args:
        container: the file.
        model: the one that it was coded with.
        allow_partial: predict the latents of bands that are missing.

    Returns:
        float32 (channels, latent height, latent width), not scaled by any quality.

    Raises:
        FormatError: a segment is missing or damaged, or the header is not one of this codec and model.
        ModelError: the model's files are missing or damaged.
    """
    header = container.header
    tables, layout = checked(header, model)
    latents = np.empty((tables.channels, header.latent_height, header.latent_width), np.float32)
    for stripe, (top, bottom) in enumerate(layout.stripes):
        decoded = _decode_stripe(container, tables, layout, stripe, allow_partial)
        latents[:, top:bottom] = decoded.lattice.planes(decoded.centroids)
    latents *= tables.inverse(shallow_header.quality_of(header))
    return latents


def restored_alpha(container: Container, allow_partial: bool) -> npt.NDArray[np.uint8] | None:
    """Decodes the alpha plane, uint8 (height, width); None if there is none, or if it is missing and may be.

    Raises:
        FormatError: it is missing or damaged.
    """
    header = container.header
    if not header.alpha:
        return None
    payload = find_payload(container, header.segments - 1)
    if payload is None:
        if not allow_partial:
            raise missing(header.segments - 1)
        return None
    return decode_alpha(payload, header.height, header.width)


def checked(header: Header, model: Model) -> tuple[ShallowModel, Layout]:
    """The tables and the layout of a file.

    Raises:
        FormatError: the header is not one of this codec or of this model.
        ModelError: the model's files are missing or damaged.
    """
    shallow_header.check(header)
    tables = shallow_model.load(model)
    if header.channels != tables.channels:
        raise FormatError(
            f"the header has {header.channels} channels, model {model.id} {tables.channels}: "
            "get an undamaged copy of the file"
        )
    require_segments(header, len(tables.bands) - 1)
    return tables, shallow_header.layout_of(header, len(tables.bands) - 1)


def require_segments(header: Header, bands: int) -> None:
    """Checks the number of segments for a number of bands.

    Raises:
        FormatError: it does not fit the picture.
    """
    expected = shallow_header.layout_of(header, bands).segments
    if bands < 1 or header.segments != expected:
        raise FormatError(f"{header.segments} segments do not fit the picture: get an undamaged copy of the file")


@dataclass(frozen=True, eq=False)
class _Decoded:
    """The latents of one stripe.

    Attributes:
        lattice: of the stripe.
        values: int32 (sites, channels) the coded integers; zero where a band is missing.
        centroids: float32 (sites, channels) what they stand for, in quantisation steps; predicted where coded groups are
            missing.
    """

    lattice: Lattice
    values: Sites
    centroids: Latents


def _decode_stripe(
    container: Container,
    tables: ShallowModel,
    layout: Layout,
    stripe: int,
    allow_partial: bool,
    visit: Visit = lambda group, chosen: None,
) -> _Decoded:
    """Decodes a stripe and shows every step.

    Raises:
        FormatError: a segment is missing or damaged.
    """
    header = container.header
    top, bottom = layout.stripes[stripe]
    shape = (bottom - top, header.latent_width)
    used, hyper = _decode_hyper(payload_of(container, layout.hyper(stripe)), tables, header, shape)
    prior = tables.prior(hyper, shallow_header.node_of(shallow_header.quality_of(header)), *shape)
    context = tables.of_profile(header.profile)
    walk = None if header.profile == shallow_header.FAST else Walk(context, prior)
    empty = np.zeros(prior.mean.shape, np.int32)
    decoded = _Decoded(prior.lattice, empty, empty.astype(np.float32))
    lost = False
    for band, (start, stop) in enumerate(tables.spans):
        groups = range(min(start, used), min(stop, used))
        payload = find_payload(container, layout.band(band, stripe))
        if payload is None and not allow_partial:
            raise missing(layout.band(band, stripe))
        lost = lost or (payload is None and len(groups) > 0)
        if payload is None or (lost and walk is not None):
            channels = slice(int(context.bounds[groups.start]), int(context.bounds[groups.stop]))
            decoded.centroids[:, channels] = prior.mean[:, channels] / np.float32(ONE)
            continue
        decoder = AnsDecoder(payload)
        for group, step, chosen in _decode_groups(context, prior, walk, groups, decoder):
            decoded.values[step.place] = chosen.values
            decoded.centroids[step.place] = context.centroids(chosen.values, chosen.bases, chosen.indexes)
            visit(group, chosen)
        decoder.finish()
    return decoded


def _decode_groups(
    context: HyperContext, prior: Prior, walk: Walk | None, groups: range, decoder: AnsDecoder
) -> Iterator[tuple[int, Step, Chosen]]:
    """Decodes some groups, with a walk in the context profile: each step with the number of its group."""
    alone = walking.prior_steps(context, prior) if walk is None else []
    for group in groups:
        for step in [alone[group]] if walk is None else walk.steps(range(group, group + 1)):
            chosen = walking.decode_step(step, decoder)
            if walk is not None:
                walk.learn(step, chosen.values)
            yield group, step, chosen


def _decode_hyper(payload: bytes, tables: ShallowModel, header: Header, shape: tuple[int, int]) -> tuple[int, Planes]:
    """The number of coded groups and the hyper-latents of a stripe."""
    if not payload or payload[0] > len(tables.context.groups()):
        raise FormatError("a segment of hyper-latents is damaged: get an undamaged copy of the file")
    size = [-(-side // _HYPER) for side in shape]
    bases, indexes = tables.hyper_contexts(shallow_header.node_of(shallow_header.quality_of(header)), *size)
    decoder = AnsDecoder(payload[1:])
    values = decode_with_escapes(decoder, indexes.ravel(), tables.context.tables).reshape(bases.shape) + bases
    decoder.finish()
    low, high = tables.net.input_range
    if values.min() < low or values.max() > high:
        raise FormatError("hyper-latents decode to values out of range: get an undamaged copy of the file")
    return payload[0], values.astype(np.int32)
