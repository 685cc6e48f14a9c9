"""Sandwiches: a standard codec between two networks, for what it was not made for or simply for smaller files.

Segments: the file of the standard codec as it is, then, if the header has alpha, one alpha segment.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..errors import FormatError, RequestError
from ..image_samples import reduce_depth
from ..images import MAX_PIXELS, Picture
from ..models.runtime import load_float
from ..models.zoo import Model
from . import sandwich_header, sandwich_model, sandwich_networks, standard
from .alpha import decode_alpha, encode_alpha
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .metadata import chunks_of, picture_of
from .padding import padded
from .sandwich_header import SEGMENT, Inner
from .sandwich_model import SandwichModel
from .sandwich_networks import Whole
from .segments import find_payload, payload_of
from .standard import Pixels
from .trials import CodedTrials, Trials

_DEFAULT_QUALITY = 50.0
_BYTE = 8
_ROUNDED = 2


class Sandwich:
    """See the module."""

    id = "sandwich"
    number = sandwich_header.NUMBER

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """See `Codec.encode`."""
        settings.require_no_channels(model)
        step = sandwich_model.load(model).step_at(_DEFAULT_QUALITY if settings.quality is None else settings.quality)
        return _encoded(picture, model, settings, step, progress)

    def trials(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        """See `VariableRate.trials`: the pre-processor sees the step, so every step takes a run of it."""
        settings.require_no_channels(model)
        request = DecodeRequest(backend=settings.backend, threads=settings.threads)
        shape = sandwich_model.load(model)
        coded: dict[int, Container] = {}

        def encode(quality: float) -> Container:
            step = shape.step_at(quality)
            if step not in coded:
                coded[step] = _encoded(picture, model, settings, step, no_progress)
            return coded[step]

        progress(0, 1)
        return CodedTrials(encode, lambda container: self.decode(container, model, request))

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `Codec.decode`."""
        request.require_no_channels(model)
        header = container.header
        inner = _inner_pixels(container, model)
        kind = np.uint16 if header.depth > _BYTE else np.uint8
        pixels = _restored(inner, sandwich_header.step_of(header), model, request, progress, kind)
        shown = slice(1, 2) if header.space is ColourSpace.GRAY else slice(None)
        pixels = np.ascontiguousarray(pixels[: header.height, : header.width, shown])
        alpha = _alpha(container, request.allow_partial)
        if header.depth == _BYTE:
            return picture_of(pixels, alpha, container)
        return replace(picture_of(reduce_depth(pixels), alpha, container), deep=pixels, source_depth=16)

    def verify(self, container: Container, model: Model) -> None:
        """See `Codec.verify`."""
        _inner_pixels(container, model)
        _alpha(container, False)

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """See `Codec.describe`."""
        sandwich_header.check(container.header)
        name = standard.CODECS[sandwich_header.inner_of(container.header)].name
        return tuple(_describe(segment, name) for segment in container.segments)

    def depth(self, model: Model) -> int:
        """See `HighDepth.depth`."""
        return sandwich_model.load(model).depth

    def check_inner(self, model: Model, settings: EncodeSettings) -> tuple[str, ...]:
        """See `AroundStandard.check_inner`."""
        shape = sandwich_model.load(model)
        inner = _inner(shape, settings)
        standard.CODECS[inner].require()
        if inner in shape.trained:
            return ()
        trained = " and ".join(standard.CODECS[known].name for known in shape.trained)
        return (f"{model.id} was trained around {trained}: around {standard.CODECS[inner].name} it may restore less",)

    def inner_file(self, container: Container) -> tuple[bytes, str]:
        """See `AroundStandard.inner_file`."""
        sandwich_header.check(container.header)
        suffix = standard.CODECS[sandwich_header.inner_of(container.header)].suffix
        return payload_of(container, SEGMENT), suffix

    def estimated_step(self, source: str | bytes, pixels: int, model: Model) -> int:
        """See `AroundStandard.estimated_step`."""
        return standard.estimated_step(source, pixels, sandwich_model.load(model).tables)

    def restore_inner(
        self, picture: Picture, step: int, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `AroundStandard.restore_inner`."""
        shape = sandwich_model.load(model)
        if shape.channels == 1 and _looks_gray(picture):
            # WebP has no gray: what was gray comes back as equal colours.
            picture = replace(picture, pixels=picture.pixels[..., 1:2], deep=None)
        if shape.channels == 1 and not picture.is_gray:
            raise RequestError(f"{model.id} restores gray files, and this one is colour: choose another model")
        factor = shape.downsampling
        if factor**2 * picture.width * picture.height > MAX_PIXELS:
            raise RequestError(f"{factor} times {picture.width}x{picture.height} is more than {MAX_PIXELS} pixels")
        kind = np.uint16 if shape.depth > _BYTE else np.uint8
        # Gray through a model of colours is three equal channels, as `padded` makes them, and stays gray.
        stays_gray = picture.is_gray and shape.channels > 1
        inner = padded(picture.pixels, 1) if stays_gray else picture.pixels
        restored = _restored(inner, step, model, request, progress, kind)
        if stays_gray:
            restored = np.ascontiguousarray(restored[..., 1:2])
        pixels, deep = (reduce_depth(restored), restored) if shape.depth > _BYTE else (restored, None)
        kept, lost = picture, []
        if factor > 1 and picture.alpha is not None:
            kept = replace(kept, alpha=None)
            lost.append("transparency is lost: the model doubles the size")
        if picture.is_gray and not stays_gray and picture.icc is not None:
            kept = replace(kept, icc=None)
            lost.append("the colour profile is that of a gray picture and is dropped")
        return replace(kept, pixels=pixels, deep=deep, source_depth=shape.depth, notes=(*picture.notes, *lost))


def _looks_gray(picture: Picture) -> bool:
    """Whether colours are gray but for what conversions between colour spaces round."""
    return not picture.is_gray and int(np.ptp(picture.pixels, axis=2).max()) <= _ROUNDED


def _encoded(picture: Picture, model: Model, settings: EncodeSettings, step: int, progress: Progress) -> Container:
    """A file at a quantisation step."""
    shape = sandwich_model.load(model)
    inner = _inner(shape, settings)
    deep = picture.deep if shape.depth > _BYTE else None
    factor = shape.downsampling
    align = shape.coded_alignment
    pixels: Whole = padded(picture.pixels, align) if deep is None else padded(deep, align)
    standard.CODECS[inner].require_size(*(side // factor for side in pixels.shape[:2]))
    network = load_float(model, "encoder", backend=settings.backend, threads=settings.threads)
    coded = sandwich_networks.before(network, shape.pre, pixels, step, factor, progress)
    data = standard.encode(inner, coded, step, shape.tables, subsampled=shape.subsampled)
    depth = _BYTE if deep is None else shape.depth
    return _container(picture, model, shape, sandwich_header.fields(inner, step), depth, data)


def _inner(shape: SandwichModel, settings: EncodeSettings) -> Inner:
    """The standard codec that settings ask for."""
    if settings.inner is None:
        return shape.trained[0]
    for inner, codec in standard.CODECS.items():
        if codec.name == settings.inner:
            return inner
    names = ", ".join(codec.name for codec in standard.CODECS.values())
    raise RequestError(f"there is no standard codec {settings.inner!r} here: choose one of {names}")


def _restored(
    inner: Pixels,
    step: int,
    model: Model,
    request: DecodeRequest,
    progress: Progress,
    kind: type[np.uint8] | type[np.uint16],
) -> Any:
    """What the post-processor makes of what the standard codec restored, at the picture's resolution."""
    shape = sandwich_model.load(model)
    network = load_float(model, "decoder", backend=request.backend, threads=request.threads)
    return sandwich_networks.behind(network, shape.post, inner, step, shape.downsampling, progress, kind)


def _container(
    picture: Picture, model: Model, shape: SandwichModel, fields: bytes, depth: int, data: bytes
) -> Container:
    alpha = picture.alpha is not None
    header = Header(
        width=picture.width,
        height=picture.height,
        space=ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB,
        alpha=alpha,
        codec=sandwich_header.NUMBER,
        model=model.number,
        model_hash=model.hash,
        channels=shape.channels,
        stride_log2=shape.downsampling.bit_length() - 1,
        align_log2=shape.coded_alignment.bit_length() - 1,
        segments=1 + alpha,
        depth=depth,
        extra=fields,
    )
    segments = [Segment(SEGMENT, data)]
    if picture.alpha is not None:
        segments.append(Segment(SEGMENT + 1, encode_alpha(picture.alpha)))
    return Container(header, tuple(segments), chunks_of(picture))


def _inner_pixels(container: Container, model: Model) -> Pixels:
    """What the standard codec restores, (h, w, channels).

    Raises:
        FormatError: header or segment are damaged.
        ModelError: the model's files are missing or damaged.
        BackendError: this Pillow cannot do the standard codec.
    """
    header = container.header
    sandwich_header.check(header)
    shape = sandwich_model.load(model)
    said = header.channels, 1 << header.stride_log2, 1 << header.align_log2
    if said != (shape.channels, shape.downsampling, shape.coded_alignment) or header.depth > shape.depth:
        raise FormatError(f"the header does not fit {model.id}: get an undamaged copy of the file")
    inner, data = sandwich_header.inner_of(header), payload_of(container, SEGMENT)
    return standard.decode(inner, data, header.latent_height, header.latent_width, header.channels)


def _alpha(container: Container, allow_partial: bool) -> Pixels | None:
    """The alpha plane, None if there is none, or none that may be missing."""
    header = container.header
    if not header.alpha:
        return None
    data = find_payload(container, SEGMENT + 1) if allow_partial else payload_of(container, SEGMENT + 1)
    return None if data is None else decode_alpha(data, header.height, header.width)


def _describe(segment: Segment, inner: str) -> SegmentInfo:
    content = f"{inner} file" if segment.index == SEGMENT else "alpha"
    return SegmentInfo(segment.index, content, segment.size, segment.crc32, "none", None)
