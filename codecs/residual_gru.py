"""The residual-GRU codec: sixteen levels in one file, each of them 32 binary codes for every 16x16 pixels.

Segments: one for each level (`bitstream/code_layers.py`), then, if the header has alpha, one alpha segment. A file that
ends early decodes to the last level that arrived. Quality is the level: 0 at quality 0, the model's last at 100.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import BinaryIO

import numpy as np

from ..bitstream.code_layers import UNKNOWN, LayerCoder
from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..errors import FormatError, RequestError, TruncatedError
from ..images import Picture
from ..models.zoo import Model
from . import codes_npz, gru_engine, gru_header, gru_model, recurrence
from .alpha import decode_alpha, encode_alpha
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .gru_header import ALIGN_LOG2, STRIDE_LOG2
from .metadata import chunks_of, picture_of
from .padding import padded
from .progressive import require_level
from .recurrence import Codes, Floats, Pixels
from .segments import find_payload, missing, payload_of
from .trials import CodedTrials, Trials

_MOST_BYTES = 1 << 29
"""Memory for pictures of several levels that are restored in one pass."""


class ResidualGru:
    """See the module."""

    id = "residual-gru"
    number = gru_header.NUMBER

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """See `Codec.encode`."""
        _require_no_channels(model, settings)
        levels = gru_model.load(model).context.layers
        count = gru_header.level_of(settings.level, settings.quality, levels) + 1
        codes = analyse_picture(picture, model, settings, count, progress)
        return code_picture(codes, picture, model)

    def trials(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        """See `VariableRate.trials`; levels are cut from one file."""
        levels = gru_model.load(model).context.layers
        whole = self.encode(picture, model, replace(settings, quality=None, level=None), progress)
        request = DecodeRequest(backend=settings.backend, threads=settings.threads)
        restored: dict[int, Picture] = {}

        def encode(quality: float) -> Container:
            return self.truncated(whole, gru_header.level_of(None, quality, levels))

        def decode(container: Container) -> Picture:
            level = container.header.layers
            if level not in restored:
                restored[level] = self.decode(container, model, request)
            return restored[level]

        return CodedTrials(encode, decode)

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `Codec.decode`. A file that is cut off gives its last whole level, or a part of the next one too."""
        if request.channels is not None:
            raise RequestError(f"{model.id} has no independent channels: decode the whole picture")
        _check(container.header, model)
        wanted = container.header.layers - 1 if request.level is None else request.level
        require_level(wanted, container.header.layers)
        codes = _decoded(container, model, wanted, request.allow_partial)
        if request.level is not None and len(codes) <= wanted:
            raise TruncatedError(f"only {len(codes)} levels arrived: get the whole file, or leave the level out")
        last = len(codes) - 1
        engine = gru_engine.load(model, request.backend, request.threads)
        (pixels,) = engine.synthesise(codes, [last], progress)
        return _picture(pixels, container, request)

    def levels(self, header: Header) -> int:
        """See `Progressive.levels`."""
        gru_header.check(header)
        return header.layers

    def decode_levels(
        self,
        container: Container,
        model: Model,
        request: DecodeRequest,
        levels: Iterable[int],
        progress: Progress = no_progress,
    ) -> Iterator[tuple[int, Picture]]:
        """See `Progressive.decode_levels`."""
        header = container.header
        _check(header, model)
        wanted = list(levels)
        for level in wanted:
            require_level(level, header.layers)
        codes = _decoded(container, model, wanted[-1], request.allow_partial)
        batch = max(1, _MOST_BYTES // (3 * header.padded_width * header.padded_height))
        arrived = [level for level in wanted if level < len(codes)]
        engine = gru_engine.load(model, request.backend, request.threads)
        for start in range(0, len(arrived), batch):
            some = arrived[start : start + batch]
            pictures = engine.synthesise(codes, some, progress)
            for level, pixels in zip(some, pictures, strict=True):
                yield level, _picture(pixels, container, request)

    def decode_arriving(
        self, header: Header, segments: Iterable[Segment], model: Model, request: DecodeRequest
    ) -> Iterator[tuple[int, Picture]]:
        """See `Progressive.decode_arriving`."""
        _check(header, model)
        engine = gru_engine.load(model, request.backend, request.threads)
        waiting: dict[int, Segment] = {}
        restored: tuple[int, Picture] | None = None
        for level, pixels in enumerate(engine.synthesise_arriving(_arriving(header, segments, model, waiting))):
            restored = level, Picture(pixels=_cropped(pixels, header))
            yield restored
        alpha = waiting.get(header.layers) if header.alpha else None
        if restored is not None and alpha is not None and alpha.complete:
            level, picture = restored
            yield level, replace(picture, alpha=decode_alpha(alpha.payload, header.height, header.width))

    def truncated(self, container: Container, level: int) -> Container:
        """See `Progressive.truncated`."""
        header = container.header
        gru_header.check(header)
        require_level(level, header.layers)
        kept = [Segment(index, payload_of(container, index)) for index in range(level + 1)]
        if header.alpha:
            kept.append(Segment(level + 1, payload_of(container, header.layers)))
        return replace(container, header=replace(header, layers=level + 1, segments=len(kept)), segments=tuple(kept))

    def to_code_file(self, container: Container, model: Model) -> bytes:
        """The codes of a whole file as the original's code file; see `codes_npz`.

        Raises:
            FormatError: a segment is missing or damaged.
        """
        return codes_npz.write(decode_codes(container, model))

    def from_code_file(self, data: bytes | BinaryIO, model: Model, max_pixels: int) -> Container:
        """The file of a code file; the picture has its padded size, for the code file does not say another.

        Raises:
            FormatError: the data is no code file.
            RequestError: the model has fewer levels.
            LimitError: the picture is larger than accepted.
        """
        codes = codes_npz.read(data, max_pixels)
        context = gru_model.load(model).context
        if len(codes) > context.layers or codes.shape[1] != context.channels:
            raise RequestError(f"{model.id} has other codes than the code file: choose another model")
        return _packed(
            codes, model, width=codes.shape[3] * recurrence.STRIDE, height=codes.shape[2] * recurrence.STRIDE
        )

    def verify(self, container: Container, model: Model) -> None:
        """See `Codec.verify`."""
        header = container.header
        _check(header, model)
        coder = _layer_coder(header, model)
        for index in range(header.layers):
            coder.decode(payload_of(container, index))
        if header.alpha:
            decode_alpha(payload_of(container, header.layers), header.height, header.width)

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """See `Codec.describe`."""
        gru_header.check(container.header)
        return tuple(_describe(segment, container.header) for segment in container.segments)


def analyse_picture(
    picture: Picture, model: Model, settings: EncodeSettings, levels: int, progress: Progress = no_progress
) -> Codes:
    """Makes the codes of a whole picture.

    Returns:
        uint8 (levels, channels, code height, code width), 0 or 1.

    Raises:
        RequestError: the model cannot take a picture of that size.
        ModelError: the model's files are missing or damaged.
        BackendError: the inference runtime is missing or failed.
    """
    pixels = padded(picture.pixels, 1 << ALIGN_LOG2)
    return gru_engine.load(model, settings.backend, settings.threads).analyse(pixels, levels, progress)


def code_picture(codes: Codes, picture: Picture, model: Model) -> Container:
    """The file of a picture whose codes are known."""
    space = ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB
    bare = _packed(codes, model, width=picture.width, height=picture.height, space=space, alpha=picture.alpha)
    return replace(bare, chunks=chunks_of(picture))


def _packed(
    codes: Codes,
    model: Model,
    *,
    width: int,
    height: int,
    space: ColourSpace = ColourSpace.RGB,
    alpha: Pixels | None = None,
) -> Container:
    """A file without metadata."""
    layers, channels, rows, columns = codes.shape
    coder = LayerCoder(gru_model.load(model).context, rows, columns)
    payloads = [coder.encode(layer) for layer in codes]
    if alpha is not None:
        payloads.append(encode_alpha(alpha))
    header = Header(
        width=width,
        height=height,
        space=space,
        alpha=alpha is not None,
        codec=gru_header.NUMBER,
        model=model.number,
        model_hash=model.hash,
        channels=channels,
        stride_log2=STRIDE_LOG2,
        align_log2=ALIGN_LOG2,
        layers=layers,
        segments=len(payloads),
    )
    return Container(header, tuple(Segment(index, data) for index, data in enumerate(payloads)))


def decode_codes(container: Container, model: Model) -> Codes:
    """The codes of a whole file, uint8 (levels, channels, code height, code width), 0 or 1.

    Raises:
        FormatError: a segment is missing or damaged.
    """
    header = container.header
    _check(header, model)
    coder = _layer_coder(header, model)
    return np.stack([coder.decode(payload_of(container, index)) for index in range(header.layers)])


def _check(header: Header, model: Model) -> None:
    gru_header.check(header)
    context = gru_model.load(model).context
    if header.channels != context.channels or header.layers > context.layers:
        raise FormatError(f"the header does not fit {model.id}: get an undamaged copy of the file")


def _layer_coder(header: Header, model: Model) -> LayerCoder:
    return LayerCoder(gru_model.load(model).context, header.latent_height, header.latent_width)


def _decoded(container: Container, model: Model, level: int, allow_partial: bool) -> list[Floats]:
    """What the decoder takes, for every level up to one, as far as they arrived: at least one.

    Raises:
        FormatError: a segment does not decode, or too little arrived.
    """
    header = container.header
    coder = _layer_coder(header, model)
    whole = takewhile(lambda data: data is not None, (find_payload(container, index) for index in range(level + 1)))
    codes = [recurrence.signed(coder.decode(data) > 0) for data in whole if data is not None]
    cut = next((s for s in container.segments if s.index == len(codes) and not s.complete), None)
    if allow_partial and cut is not None and len(codes) <= level:
        codes.append(_with_gaps(coder.decode_prefix(cut.payload, cut.size + cut.absent)))
    if not codes:
        raise missing(0)
    return codes


def _with_gaps(codes: Codes) -> Floats:
    """What the decoder takes where some codes are not known: neither of the two."""
    return np.where(codes == UNKNOWN, np.float32(0), recurrence.signed(codes == 1))


def _arriving(
    header: Header, segments: Iterable[Segment], model: Model, waiting: dict[int, Segment]
) -> Iterator[Floats]:
    """What the decoder takes, level by level; a segment that comes too early waits for those before it, in `waiting`."""
    coder = _layer_coder(header, model)
    level = 0
    for segment in segments:
        waiting[segment.index] = segment
        while level < header.layers and level in waiting and waiting[level].complete:
            yield recurrence.signed(coder.decode(waiting.pop(level).payload) > 0)
            level += 1


def _picture(pixels: Pixels, container: Container, request: DecodeRequest) -> Picture:
    header = container.header
    return picture_of(_cropped(pixels, header), _alpha(container, request.allow_partial), container)


def _cropped(pixels: Pixels, header: Header) -> Pixels:
    pixels = pixels[: header.height, : header.width]
    if header.space is ColourSpace.GRAY:
        pixels = pixels[:, :, 1:2]
    return np.ascontiguousarray(pixels)


def _alpha(container: Container, allow_partial: bool) -> Pixels | None:
    """The alpha plane, None if there is none or if the file ends before it."""
    header = container.header
    payload = find_payload(container, header.layers) if header.alpha else None
    if payload is None:
        return None
    return decode_alpha(payload, header.height, header.width)


def _require_no_channels(model: Model, settings: EncodeSettings) -> None:
    if settings.independent_channels:
        raise RequestError(f"{model.id} has no independent channels: leave that out, or choose an l3ic model")


def _describe(segment: Segment, header: Header) -> SegmentInfo:
    content, table, symbols = f"level {segment.index}", "context", (0, 1)
    if header.alpha and segment.index == header.layers:
        content, table, symbols = "alpha", "none", (0, 255)
    return SegmentInfo(segment.index, content, segment.size, segment.crc32, table, symbols)
