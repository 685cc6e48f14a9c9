"""The residual-GRU codec: sixteen levels in one file, each of them 32 binary codes for every 16x16 pixels.

Segments: one for each level (`bitstream/code_layers.py`), then, if the header has alpha, one alpha segment. A file that
ends early decodes to the last level that arrived. Quality is the level: 0 at quality 0, the model's last at 100.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from ..bitstream.code_context import Codes
from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..errors import RequestError, TruncatedError
from ..images import Picture
from ..models.zoo import Model
from . import codes_npz, gru_engine, gru_header, gru_model, recurrence
from .alpha import decode_alpha, encode_alpha
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .gru_header import ALIGN_LOG2, STRIDE_LOG2
from .gru_layers import ArrivingLayers, check, decode_arrived, decode_codes, layer_coder
from .metadata import chunks_of, picture_of
from .padding import padded
from .progressive import require_level
from .recurrence import Pixels
from .segments import find_payload, payload_of
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
        settings.require_no_channels(model)
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
            count = container.header.layers
            if count not in restored:
                restored[count] = self.decode(container, model, request)
            return restored[count]

        return CodedTrials(encode, decode)

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `Codec.decode`. A file that is cut off gives its last whole level, or a part of the next one too."""
        request.require_no_channels(model)
        check(container.header, model)
        wanted = container.header.layers - 1 if request.level is None else request.level
        require_level(wanted, container.header.layers)
        codes, whole = decode_arrived(container, model, wanted, request.allow_partial)
        if request.level is not None and whole <= wanted:
            raise TruncatedError(f"only {whole} levels arrived: get the whole file, or leave the level out")
        engine = gru_engine.load(model, request.backend, request.threads)
        (pixels,) = engine.synthesise(codes, [len(codes) - 1], progress)
        notes = () if whole > wanted else (_what_arrived(whole, len(codes), wanted),)
        return replace(_picture(pixels, container), notes=notes)

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
        check(header, model)
        wanted = list(levels)
        for level in wanted:
            require_level(level, header.layers)
        if not wanted:
            return
        codes, _ = decode_arrived(container, model, wanted[-1], request.allow_partial)
        batch = max(1, _MOST_BYTES // (3 * header.padded_width * header.padded_height))
        arrived = [level for level in wanted if level < len(codes)]
        engine = gru_engine.load(model, request.backend, request.threads)
        for start in range(0, len(arrived), batch):
            some = arrived[start : start + batch]
            pictures = engine.synthesise(codes, some, progress)
            for level, pixels in zip(some, pictures, strict=True):
                yield level, _picture(pixels, container)

    def decode_arriving(
        self, header: Header, segments: Iterable[Segment], model: Model, request: DecodeRequest
    ) -> Iterator[tuple[int, Picture]]:
        """See `Progressive.decode_arriving`."""
        check(header, model)
        engine = gru_engine.load(model, request.backend, request.threads)
        arriving = ArrivingLayers(header, segments, model)
        restored: tuple[int, Picture] | None = None
        for level, pixels in enumerate(engine.synthesise_arriving(arriving.layers())):
            restored = level, Picture(pixels=_cropped(pixels, header))
            yield restored
        if restored is not None and arriving.alpha is not None:
            level, picture = restored
            yield level, replace(picture, alpha=decode_alpha(arriving.alpha, header.height, header.width))

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
        check(header, model)
        coder = layer_coder(header, model)
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
    layers, channels, _, _ = codes.shape
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
        segments=layers + (alpha is not None),
    )
    coder = layer_coder(header, model)
    payloads = [coder.encode(layer) for layer in codes]
    if alpha is not None:
        payloads.append(encode_alpha(alpha))
    return Container(header, tuple(Segment(index, data) for index, data in enumerate(payloads)))


def _picture(pixels: Pixels, container: Container) -> Picture:
    header = container.header
    return picture_of(_cropped(pixels, header), _alpha(container), container)


def _what_arrived(whole: int, used: int, wanted: int) -> str:
    """Which of the levels 0 to `wanted` the picture is made of, for people."""
    level = f"level {whole - 1} of 0 to {wanted}" if whole else f"no level of 0 to {wanted}"
    return f"{level} arrived whole" + (", and a part of the next is used" if used > whole else "")


def _cropped(pixels: Pixels, header: Header) -> Pixels:
    pixels = pixels[: header.height, : header.width]
    if header.space is ColourSpace.GRAY:
        pixels = pixels[:, :, 1:2]
    return np.ascontiguousarray(pixels)


def _alpha(container: Container) -> Pixels | None:
    """The alpha plane, None if there is none or if the file ends before it."""
    header = container.header
    payload = find_payload(container, header.layers) if header.alpha else None
    if payload is None:
        return None
    return decode_alpha(payload, header.height, header.width)


def _describe(segment: Segment, header: Header) -> SegmentInfo:
    content, table, symbols = f"level {segment.index}", "context", (0, 1)
    if header.alpha and segment.index == header.layers:
        content, table, symbols = "alpha", "none", (0, 255)
    return SegmentInfo(segment.index, content, segment.size, segment.crc32, table, symbols)
