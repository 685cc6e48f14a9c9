"""The shallow-decoder codec: a strong analysis, a synthesis of one or two layers, any quality from one model.

The picture is coded in stripes of latent rows, each by itself. Segments: for every stripe its hyper-latents, then, band
of channels by band, its latents, then, if the header has alpha, one alpha segment. With context a band needs those before
it. Without some a picture can still be made, from what the hyperprior predicts (`DecodeRequest.allow_partial`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ..bitstream import walk as walking
from ..bitstream.ans import AnsDecoder, AnsEncoder
from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..bitstream.escape import decode_with_escapes, encode_with_escapes
from ..bitstream.hyper_context import LARGEST, HyperContext, Planes, Prior
from ..bitstream.linear_forms import ONE
from ..bitstream.walk import Walk
from ..errors import FormatError, ModelError, RequestError
from ..images import Picture
from ..models.runtime import load_network
from ..models.zoo import Model
from . import shallow_header, shallow_model
from .alpha import decode_alpha, encode_alpha
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .metadata import chunks_of, picture_of
from .padding import padded
from .segments import find_payload, missing, payload_of
from .shallow_choice import Chooser, chooser, decide
from .shallow_header import HYPER_LOG2, STRIDE_LOG2, Layout
from .shallow_model import ShallowModel
from .shallow_refinement import refiner
from .tiling import analyse, synthesise
from .trials import CodedTrials, Trials

DEFAULT_QUALITY = 50.0

_STRIDE = 1 << STRIDE_LOG2
_HYPER = 1 << HYPER_LOG2

Latents = npt.NDArray[np.float32]


class Shallow:
    """See the module."""

    id = "shallow"
    number = shallow_header.NUMBER

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """See `Codec.encode`."""
        _require_no_channels(model, settings)
        latents = analyse_picture(picture, model, settings, progress)
        return code_latents(latents, picture, model, settings, progress)

    def trials(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        """See `VariableRate.trials`."""
        _require_no_channels(model, settings)
        latents = analyse_picture(picture, model, settings, progress)
        request = DecodeRequest(backend=settings.backend, threads=settings.threads)

        def encode(quality: float) -> Container:
            return code_latents(latents, picture, model, replace(settings, quality=quality), progress)

        return CodedTrials(encode, lambda container: self.decode(container, model, request))

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `Codec.decode`."""
        if request.channels is not None:
            raise RequestError(f"{model.id} has no independent channels: decode the whole picture")
        header = container.header
        tables, layout = _checked(header, model)
        latents = np.empty((tables.channels, header.latent_height, header.latent_width), np.float32)
        for stripe, (top, bottom) in enumerate(layout.stripes):
            decoded = _decode_stripe(container, tables, layout, stripe, request.allow_partial)
            latents[:, top:bottom] = decoded.centroids * tables.inverse(shallow_header.quality_of(header))
        network = load_network(model, "decoder", backend=request.backend, threads=request.threads)
        pixels = synthesise(network, latents, 1.0, _STRIDE, _halo(model, "synthesis"), progress)
        pixels = pixels[: header.height, : header.width]
        if header.space is ColourSpace.GRAY:
            pixels = pixels[:, :, 1:2]
        return picture_of(np.ascontiguousarray(pixels), _alpha(container, layout, request.allow_partial), container)

    def verify(self, container: Container, model: Model) -> None:
        """See `Codec.verify`."""
        tables, layout = _checked(container.header, model)
        for stripe in range(len(layout.stripes)):
            _decode_stripe(container, tables, layout, stripe, False)
        _alpha(container, layout, False)

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """See `Codec.describe`."""
        header = container.header
        shallow_header.check(header)
        stripes = len(shallow_header.stripes_of(header.latent_height, header.latent_width))
        _require_segments(header, (header.segments - header.alpha) // stripes - 1)
        return tuple(_describe(segment, header, stripes) for segment in container.segments)


def _require_no_channels(model: Model, settings: EncodeSettings) -> None:
    if settings.independent_channels:
        raise RequestError(f"{model.id} has no independent channels: leave that out, or choose an l3ic model")


def analyse_picture(
    picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
) -> Latents:
    """Runs the analysis transform over a whole picture.

    Returns:
        float32 (channels, latent height, latent width) in units that no quality has scaled yet.

    Raises:
        ModelError: the model's files are missing or damaged.
        BackendError: the inference runtime is missing or failed.
    """
    network = load_network(model, "encoder", backend=settings.backend, threads=settings.threads)
    channels = shallow_model.load(model).channels
    return analyse(network, padded(picture.pixels, _STRIDE), channels, _STRIDE, _halo(model, "analysis"), progress)


def code_latents(
    latents: Latents,
    picture: Picture,
    model: Model,
    settings: EncodeSettings,
    progress: Progress = no_progress,
) -> Container:
    """Quantises and codes what `analyse_picture` gave, at the quality and effort of the settings.

    Raises:
        RequestError: a setting is out of range, or the latents are not of the picture's size.
        ModelError: the model's files are damaged.
        BackendError: an inference runtime is missing or failed.
    """
    tables = shallow_model.load(model)
    expected = (tables.channels, -(-picture.height // _STRIDE), -(-picture.width // _STRIDE))
    if latents.shape != expected:
        raise RequestError(
            f"latents of shape {latents.shape} are not those of the picture, {expected}: analyse it again"
        )
    steps = shallow_header.quality_steps(DEFAULT_QUALITY if settings.quality is None else settings.quality)
    header = Header(
        width=picture.width,
        height=picture.height,
        space=ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB,
        alpha=picture.alpha is not None,
        codec=shallow_header.NUMBER,
        model=model.number,
        model_hash=model.hash,
        channels=tables.channels,
        stride_log2=STRIDE_LOG2,
        align_log2=STRIDE_LOG2,
        segments=shallow_header.Layout(
            shallow_header.stripes_of(*latents.shape[1:]), len(tables.bands) - 1, picture.alpha is not None
        ).segments,
        profile=shallow_header.FAST if settings.fast_decode else shallow_header.CONTEXT,
        extra=shallow_header.codec_bytes(steps),
    )
    payloads = _payloads(latents, picture, header, model, settings, progress)
    if picture.alpha is not None:
        payloads[header.segments - 1] = encode_alpha(picture.alpha)
    segments = tuple(Segment(index, payloads[index]) for index in range(header.segments))
    return Container(header, segments, chunks_of(picture))


def decode_latents(container: Container, model: Model) -> list[Planes]:
    """Decodes the latents of a file and no pixels: exactly the integers that were coded, on every machine.

    Returns:
        For each stripe, from the top down, int32 (channels, rows, latent width) in quantisation steps.

    Raises:
        FormatError: a segment is missing or damaged, or the header is not one of this codec and model.
        ModelError: the model's files are missing or damaged.
    """
    tables, layout = _checked(container.header, model)
    return [_decode_stripe(container, tables, layout, stripe, False).values for stripe in range(len(layout.stripes))]


def _payloads(
    latents: Latents, picture: Picture, header: Header, model: Model, settings: EncodeSettings, progress: Progress
) -> dict[int, bytes]:
    """The segments of hyper-latents and latents, by index."""
    tables = shallow_model.load(model)
    layout = shallow_header.layout_of(header, len(tables.bands) - 1)
    steps = shallow_header.quality_of(header)
    network = load_network(model, "hyper_encoder", backend=settings.backend, threads=settings.threads)
    low, high = tables.net.input_range
    refine = refiner(latents, picture, header, model, settings, progress)
    payloads: dict[int, bytes] = {}
    for stripe, (top, bottom) in enumerate(layout.stripes):
        exact = np.clip(latents[:, top:bottom] * tables.gain(steps), 1 - LARGEST, LARGEST - 1)
        if not np.isfinite(exact).all():
            raise ModelError(f"the encoder of {model.id} gives latents that are not finite: reinstall the model")
        exact, hyper = refine(stripe, exact, _hyper_latents(network, exact))
        coded = _Stripe(tables, header, np.clip(np.rint(hyper), low, high).astype(np.int32), exact.shape[1:])
        choose = chooser(exact, tables, steps, settings.effort)
        payloads[layout.hyper(stripe)], bands = coded.encode(choose)
        payloads |= {layout.band(band, stripe): data for band, data in enumerate(bands)}
    return payloads


def _hyper_latents(network: Callable[[Latents], Latents], exact: Latents) -> Latents:
    """Hyper-latents of a stripe before rounding, float32 (hyper channels, h, w)."""
    bottom, right = (-side % _HYPER for side in exact.shape[1:])
    hyper: Latents = network(np.pad(exact, ((0, 0), (0, bottom), (0, right)))[None])[0]
    return hyper


@dataclass(frozen=True, eq=False)
class _Stripe:
    """One stripe, from its hyper-latents on.

    Attributes:
        tables: the model.
        header: of the file.
        hyper: int32 (hyper channels, h, w).
        shape: latent rows and columns.
    """

    tables: ShallowModel
    header: Header
    hyper: Planes
    shape: tuple[int, ...]

    @property
    def node(self) -> int:
        """The quality as the entropy model knows it."""
        return shallow_header.node_of(shallow_header.quality_of(self.header))

    def prior(self) -> Prior:
        """What the hyper-latents predict."""
        return self.tables.prior(self.hyper, self.node, *self.shape)

    def encode(self, choose: Chooser) -> tuple[bytes, list[bytes]]:
        """The payloads of the hyper-latents and of every band."""
        context = self.tables.context
        steps, _ = decide(context, self.prior(), self.header.profile, choose)
        used = max((group + 1 for group, chosen in enumerate(steps) if any(c.values.any() for c in chosen)), default=0)
        bands: list[bytes] = []
        for start, stop in _spans(self.tables):
            encoder = AnsEncoder()
            for group in range(start, min(stop, used)):
                walking.encode(steps[group], context.tables, encoder)
            bands.append(encoder.finish())
        return bytes([used]) + self._encode_hyper(), bands

    def _encode_hyper(self) -> bytes:
        bases, indexes = self.tables.hyper_contexts(self.node, *self.hyper.shape[1:])
        encoder = AnsEncoder()
        encode_with_escapes(encoder, (self.hyper - bases).ravel(), indexes.ravel(), self.tables.context.tables)
        return encoder.finish()


@dataclass(frozen=True, eq=False)
class _Decoded:
    """The latents of one stripe.

    Attributes:
        values: int32 (channels, rows, columns) the coded integers; zero where a band is missing.
        centroids: float32 (channels, rows, columns) what they stand for, in quantisation steps; predicted where coded groups
            are missing.
    """

    values: Planes
    centroids: Latents


def _decode_stripe(
    container: Container, tables: ShallowModel, layout: Layout, stripe: int, allow_partial: bool
) -> _Decoded:
    """Decodes a stripe.

    Raises:
        FormatError: a segment is missing or damaged.
    """
    header = container.header
    top, bottom = layout.stripes[stripe]
    shape = (bottom - top, header.latent_width)
    used, hyper = _decode_hyper(payload_of(container, layout.hyper(stripe)), tables, header, shape)
    prior = _Stripe(tables, header, hyper, shape).prior()
    walk = None if header.profile == shallow_header.FAST else Walk(tables.context, prior)
    decoded = _Decoded(np.zeros(prior.mean.shape, np.int32), np.zeros(prior.mean.shape, np.float32))
    lost = False
    for band, (start, stop) in enumerate(_spans(tables)):
        groups = range(min(start, used), min(stop, used))
        payload = find_payload(container, layout.band(band, stripe))
        if payload is None and not allow_partial:
            raise missing(layout.band(band, stripe))
        lost = lost or (payload is None and len(groups) > 0)
        if payload is None or (lost and walk is not None):
            channels = slice(int(tables.context.bounds[groups.start]), int(tables.context.bounds[groups.stop]))
            decoded.centroids[channels] = prior.mean[channels] / np.float32(ONE)
            continue
        decoder = AnsDecoder(payload)
        _decode_groups(tables.context, prior, walk, groups, decoder, decoded)
        decoder.finish()
    return decoded


def _decode_groups(
    context: HyperContext, prior: Prior, walk: Walk | None, groups: range, decoder: AnsDecoder, decoded: _Decoded
) -> None:
    """Decodes some groups, with a walk in the context profile, into arrays (channels, rows, columns)."""
    values, centroids = (a.reshape(len(a), -1) for a in (decoded.values, decoded.centroids))
    steps = walking.prior_steps(context, prior)[groups.start : groups.stop] if walk is None else walk.steps(groups)
    for step in steps:
        chosen = walking.decode_step(step, decoder)
        if walk is not None:
            walk.learn(step, chosen.values)
        values[step.channels, step.positions] = chosen.values
        centroids[step.channels, step.positions] = context.centroids(chosen.values, chosen.bases, chosen.indexes)


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


def _spans(tables: ShallowModel) -> list[tuple[int, int]]:
    """First and last-plus-one group of every band."""
    return [(int(a), int(b)) for a, b in zip(tables.bands[:-1], tables.bands[1:], strict=True)]


def _checked(header: Header, model: Model) -> tuple[ShallowModel, Layout]:
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
    _require_segments(header, len(tables.bands) - 1)
    return tables, shallow_header.layout_of(header, len(tables.bands) - 1)


def _require_segments(header: Header, bands: int) -> None:
    expected = shallow_header.layout_of(header, bands).segments
    if bands < 1 or header.segments != expected:
        raise FormatError(f"{header.segments} segments do not fit the picture: get an undamaged copy of the file")


def _halo(model: Model, transform: str) -> int:
    """How many latent positions beyond a tile a transform looks, from the card.

    Raises:
        ModelError: the card does not say.
    """
    halo = model.card["architecture"].get(f"{transform}_halo")
    if not isinstance(halo, int) or not 0 <= halo <= 64:
        raise ModelError(f"the card of {model.id} has no usable {transform}_halo: reinstall the model")
    return halo


def _alpha(container: Container, layout: Layout, allow_partial: bool) -> npt.NDArray[np.uint8] | None:
    header = container.header
    if not header.alpha:
        return None
    payload = find_payload(container, layout.segments - 1)
    if payload is None:
        if not allow_partial:
            raise missing(layout.segments - 1)
        return None
    return decode_alpha(payload, header.height, header.width)


def _describe(segment: Segment, header: Header, stripes: int) -> SegmentInfo:
    content, table = f"hyper-latents, stripe {segment.index}", "hyper prior"
    symbols: tuple[int, int] | None = None
    if header.alpha and segment.index == header.segments - 1:
        content, table, symbols = "alpha", "none", (0, 255)
    elif segment.index >= stripes:
        band, stripe = divmod(segment.index - stripes, stripes)
        content = f"band {band}, stripe {stripe}"
        table = "hyperprior" if header.profile == shallow_header.FAST else "hyperprior and context"
    return SegmentInfo(segment.index, content, segment.size, segment.crc32, table, symbols)
