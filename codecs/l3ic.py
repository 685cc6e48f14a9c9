"""The l3ic codec: one forward pass each way, a 5-bit latent at 1/8 resolution, 16, 32 or 64 channels.

Segments: the latents in one of two profiles (`bitstream/planes.py`), then, if the header has alpha, one alpha segment.
Header fields: codec 1; model 1, 2, 3 for 16, 32, 64 channels; stride and alignment 8; profile 0 context, 1 independent.
"""

from functools import lru_cache
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ..bitstream import planes
from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..bitstream.context import ContextModel, Planes
from ..bitstream.planes import LatentTables
from ..errors import FormatError, ModelError, RequestError
from ..images import Picture
from ..models.runtime import load_network
from ..models.zoo import Model
from .alpha import decode_alpha, encode_alpha
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .metadata import chunks_of, picture_of
from .tiling import analyse, synthesise

CONTEXT, INDEPENDENT = 0, 1

_STRIDE_LOG2 = 3
_STRIDE = 1 << _STRIDE_LOG2
_CODEBOOK = (-15, 16)
_HALO = 6  # the receptive field of both transforms reaches 38 pixels, under 5 latent positions


class L3ic:
    """See the module."""

    id = "l3ic"
    number = 1

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """See `Codec.encode`."""
        tables = _tables(model)
        network = load_network(model, "encoder", backend=settings.backend, threads=settings.threads)
        pixels = _padded(picture.pixels)
        latents = analyse(network, pixels, tables.context.channels, _STRIDE, _HALO, progress)
        _check_codebook(latents, tables.context, model)
        payloads = _encode_latents(latents, tables, settings.independent_channels)
        if picture.alpha is not None:
            payloads.append(encode_alpha(picture.alpha))
        header = Header(
            width=picture.width,
            height=picture.height,
            space=ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB,
            alpha=picture.alpha is not None,
            codec=self.number,
            model=model.number,
            model_hash=model.hash,
            channels=tables.context.channels,
            stride_log2=_STRIDE_LOG2,
            align_log2=_STRIDE_LOG2,
            segments=len(payloads),
            profile=INDEPENDENT if settings.independent_channels else CONTEXT,
        )
        segments = tuple(Segment(index, payload) for index, payload in enumerate(payloads))
        return Container(header, segments, chunks_of(picture))

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `Codec.decode`."""
        header = container.header
        latents = self._latents(container, model, request.channels)
        network = load_network(model, "decoder", backend=request.backend, threads=request.threads)
        pixels = synthesise(network, latents, _STRIDE, _HALO, progress)[: header.height, : header.width]
        if header.space is ColourSpace.GRAY:
            pixels = pixels[:, :, 1:2]
        return picture_of(np.ascontiguousarray(pixels), _alpha(container), container)

    def decode_planes(self, container: Container, model: Model, channels: tuple[int, ...]) -> Planes:
        """Decodes single latent channels, from a file with independent channels without touching the others.

        Returns:
            int32 (len(channels), latent height, latent width) within the codebook.

        Raises:
            RequestError: a channel does not exist.
            FormatError: a segment is missing or damaged.
        """
        header = container.header
        tables = _checked_tables(header, model)
        _check_channels(channels, header.channels)
        if header.profile == CONTEXT:
            return _decode_context(container, tables)[list(channels)]
        stack = [_decode_channel(container, tables, channel) for channel in channels]
        return np.stack(stack) if stack else np.empty((0, header.latent_height, header.latent_width), np.int32)

    def verify(self, container: Container, model: Model) -> None:
        """See `Codec.verify`."""
        self._latents(container, model, None)
        _alpha(container)

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """See `Codec.describe`."""
        header = container.header
        _check_header(header)
        stripes = planes.stripe_rows(header.latent_height, header.latent_width)
        return tuple(_describe(segment, header, stripes) for segment in container.segments)

    def _latents(self, container: Container, model: Model, channels: frozenset[int] | None) -> npt.NDArray[np.int8]:
        header = container.header
        tables = _checked_tables(header, model)
        latents = np.zeros((header.channels, header.latent_height, header.latent_width), np.int8)
        if channels is None:
            _fill(latents, container, tables)
            return latents
        if header.profile != INDEPENDENT:
            raise RequestError("the file's channels depend on each other; encode it with --independent-channels first")
        wanted = tuple(sorted(channels))
        latents[list(wanted)] = self.decode_planes(container, model, wanted)
        return latents


@lru_cache(maxsize=8)
def _tables(model: Model) -> LatentTables:
    """The model's integer tables; its files are checked first, since a wrong table decodes to a wrong picture."""
    model.verify()
    path = model.path("entropy.npz")
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return LatentTables.from_arrays(arrays)
    except (OSError, EOFError, TypeError, ValueError, BadZipFile) as error:
        raise ModelError(f"{path} is damaged ({error}); reinstall the model") from error


def _checked_tables(header: Header, model: Model) -> LatentTables:
    """The tables that decode a file with that header.

    Raises:
        FormatError: the header is not one of l3ic, or not one of this model.
        ModelError: the model's files are missing or damaged.
    """
    _check_header(header)
    tables = _tables(model)
    if header.channels != tables.context.channels:
        raise FormatError(
            f"the header has {header.channels} channels, model {model.id} {tables.context.channels}: "
            "get an undamaged copy of the file"
        )
    return tables


def _padded(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Three channels and sides that are multiples of the stride; the edge pixels repeat, which costs few bits."""
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    bottom, right = (-side % _STRIDE for side in pixels.shape[:2])
    return np.pad(pixels, ((0, bottom), (0, right), (0, 0)), mode="edge") if bottom or right else pixels


def _encode_latents(latents: npt.NDArray[np.int8], tables: LatentTables, independent: bool) -> list[bytes]:
    if independent:
        return [planes.encode_channel(plane.astype(np.int32), tables.shared) for plane in latents]
    return [
        planes.encode_stripe(latents[:, top:bottom].astype(np.int32), tables.context)
        for top, bottom in planes.stripe_rows(*latents.shape[1:])
    ]


def _fill(latents: npt.NDArray[np.int8], container: Container, tables: LatentTables) -> None:
    """Decodes everything into int8 (channels, h, w), piece by piece so that memory stays small."""
    if container.header.profile == INDEPENDENT:
        for channel in range(len(latents)):
            latents[channel] = _decode_channel(container, tables, channel)
        return
    for index, (top, bottom) in enumerate(planes.stripe_rows(*latents.shape[1:])):
        payload = _payload(container, index)
        latents[:, top:bottom] = planes.decode_stripe(payload, tables.context, bottom - top, latents.shape[2])


def _decode_context(container: Container, tables: LatentTables) -> Planes:
    header = container.header
    latents = np.zeros((header.channels, header.latent_height, header.latent_width), np.int8)
    _fill(latents, container, tables)
    return latents.astype(np.int32)


def _decode_channel(container: Container, tables: LatentTables, channel: int) -> Planes:
    header = container.header
    payload = _payload(container, channel)
    return planes.decode_channel(payload, tables.shared, header.latent_height, header.latent_width)


def _alpha(container: Container) -> npt.NDArray[np.uint8] | None:
    header = container.header
    if not header.alpha:
        return None
    return decode_alpha(_payload(container, header.segments - 1), header.height, header.width)


def _payload(container: Container, index: int) -> bytes:
    for segment in container.segments:
        if segment.index == index and segment.complete:
            return segment.payload
    raise FormatError(f"segment {index} is missing: get a complete copy of the file")


def _check_header(header: Header) -> None:
    """Refuses headers that no l3ic encoder writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    if (header.stride_log2, header.align_log2, header.layers, header.depth) != (_STRIDE_LOG2, _STRIDE_LOG2, 1, 8):
        raise FormatError("the header's geometry is not that of l3ic: get an undamaged copy of the file")
    if header.profile not in (CONTEXT, INDEPENDENT):
        raise FormatError(f"profile {header.profile} of l3ic is unknown: a newer nicodec may read the file")
    if header.profile == INDEPENDENT:
        expected = header.channels
    else:
        expected = len(planes.stripe_rows(header.latent_height, header.latent_width))
    if header.segments != expected + header.alpha:
        raise FormatError(f"{header.segments} segments where {expected + header.alpha} belong: get an undamaged copy")


def _check_channels(channels: tuple[int, ...], count: int) -> None:
    wrong = [channel for channel in channels if not 0 <= channel < count]
    if wrong:
        raise RequestError(f"channel {wrong[0]} does not exist; the file has channels 0 to {count - 1}")


def _check_codebook(latents: npt.NDArray[np.int8], context: ContextModel, model: Model) -> None:
    """The encoder's weights are not part of the model's hash: damaged ones must not make files that do not decode."""
    if latents.min() < context.minimum or latents.max() > context.maximum:
        raise ModelError(f"the encoder of {model.id} gives latents outside the codebook: reinstall the model")


def _describe(segment: Segment, header: Header, stripes: list[tuple[int, int]]) -> SegmentInfo:
    content, table = f"channel {segment.index}", "context"
    symbols: tuple[int, int] | None = _CODEBOOK
    if header.alpha and segment.index == header.segments - 1:
        content, table, symbols = "alpha", "none", (0, 255)
    elif header.profile == CONTEXT:
        top, bottom = stripes[segment.index]
        content = f"latent rows {top}-{bottom - 1}"
    else:
        table, symbols = _describe_table(segment)
    return SegmentInfo(segment.index, content, segment.size, segment.crc32, table, symbols)


def _describe_table(segment: Segment) -> tuple[str, tuple[int, int] | None]:
    """Table and symbols of a channel segment; one that was cut off may have lost its table."""
    try:
        choice = planes.read_channel_table(segment.payload)
    except FormatError:
        if segment.complete:
            raise
        return "cut off", None
    if choice.own is None:
        return f"shared {choice.shared}", _CODEBOOK
    return f"own ({choice.start - 1} bytes)", (choice.own.minimum, choice.own.maximum)
