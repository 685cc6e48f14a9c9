"""What codecs have in common whose files hold up to sixteen levels, each a layer of binary codes for every 16x16 pixels.

Segments: one for each level (`bitstream/layer_coder.py`), then, if the header has alpha, one alpha segment. A file that
ends early decodes to the last level that arrived. Quality is the level: 0 at quality 0, the model's last at 100.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from ..bitstream.code_context import Codes
from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..bitstream.layer_coder import LayerCoder
from ..errors import FormatError, TruncatedError
from ..images import Picture
from ..models.zoo import Model
from . import level_header
from .alpha import decode_alpha, encode_alpha
from .arrived_codes import ArrivingLayers, decode_arrived, decode_codes
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .engine import Engine
from .level_header import STRIDE_LOG2, HeaderModule
from .metadata import chunks_of, picture_of
from .padding import padded
from .progressive import require_level
from .samples import Pixels
from .segments import find_payload, payload_of
from .trials import CodedTrials, Trials

_MOST_BYTES = 1 << 29
"""Memory for pictures of several levels that are restored in one pass."""


class EntropyModel(Protocol):
    """What an entropy model says of the layers of its files."""

    @property
    def layers(self) -> int:
        """The most."""
        ...

    @property
    def channels(self) -> int:
        """Codes of a layer for each position."""
        ...


class LayeredCodec(ABC):
    """See the module.

    Attributes:
        id: see `Codec.id`.
        number: see `Codec.number`.
        header: the module that says what its headers hold.
    """

    id: str
    number: int
    header: HeaderModule

    @abstractmethod
    def _entropy_model(self, model: Model) -> EntropyModel:
        """The entropy model of a zoo entry.

        Raises:
            ModelError: the files are missing or damaged.
        """

    @abstractmethod
    def _coder(self, model: Model, height: int, width: int) -> LayerCoder:
        """The entropy coder of a picture of so many positions."""

    @abstractmethod
    def _engine(self, model: Model, backend: str, threads: int | None) -> Engine:
        """What runs the networks of a model; see `models.runtime`.

        Raises:
            ModelError: the model's files are missing or damaged, or of an unknown kind.
            BackendError: the inference runtime is missing.
        """

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """See `Codec.encode`."""
        settings.require_no_channels(model)
        levels = self._entropy_model(model).layers
        count = level_header.level_of(settings.level, settings.quality, levels) + 1
        return self.code(self.analyse(picture, model, settings, count, progress), picture, model)

    def trials(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        """See `VariableRate.trials`; levels are cut from one file."""
        levels = self._entropy_model(model).layers
        whole = self.encode(picture, model, replace(settings, quality=None, level=None), progress)
        request = DecodeRequest(backend=settings.backend, threads=settings.threads)
        restored: dict[int, Picture] = {}

        def encode(quality: float) -> Container:
            return self.truncated(whole, level_header.level_of(None, quality, levels))

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
        self.check(container.header, model)
        wanted = container.header.layers - 1 if request.level is None else request.level
        require_level(wanted, container.header.layers)
        codes, whole = decode_arrived(container, self.coder(container.header, model), wanted, request.allow_partial)
        if request.level is not None and whole <= wanted:
            raise TruncatedError(f"only {whole} levels arrived: get the whole file, or leave the level out")
        engine = self._engine(model, request.backend, request.threads)
        (pixels,) = engine.synthesise(codes, [len(codes) - 1], progress)
        notes = () if whole > wanted else (_what_arrived(whole, len(codes), wanted),)
        return replace(_picture(pixels, container), notes=notes)

    def levels(self, header: Header) -> int:
        """See `Progressive.levels`."""
        self.header.check(header)
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
        self.check(header, model)
        wanted = list(levels)
        for level in wanted:
            require_level(level, header.layers)
        if not wanted:
            return
        codes, _ = decode_arrived(container, self.coder(container.header, model), wanted[-1], request.allow_partial)
        batch = max(1, _MOST_BYTES // (3 * header.padded_width * header.padded_height))
        arrived = [level for level in wanted if level < len(codes)]
        engine = self._engine(model, request.backend, request.threads)
        for start in range(0, len(arrived), batch):
            some = arrived[start : start + batch]
            pictures = engine.synthesise(codes, some, progress)
            for level, pixels in zip(some, pictures, strict=True):
                yield level, _picture(pixels, container)

    def decode_arriving(
        self, header: Header, segments: Iterable[Segment], model: Model, request: DecodeRequest
    ) -> Iterator[tuple[int, Picture]]:
        """See `Progressive.decode_arriving`."""
        self.check(header, model)
        engine = self._engine(model, request.backend, request.threads)
        arriving = ArrivingLayers(header, segments, self.coder(header, model))
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
        self.header.check(header)
        require_level(level, header.layers)
        kept = [Segment(index, payload_of(container, index)) for index in range(level + 1)]
        if header.alpha:
            kept.append(Segment(level + 1, payload_of(container, header.layers)))
        return replace(container, header=replace(header, layers=level + 1, segments=len(kept)), segments=tuple(kept))

    def verify(self, container: Container, model: Model) -> None:
        """See `Codec.verify`."""
        header = container.header
        self.check(header, model)
        coder = self.coder(header, model)
        for index in range(header.layers):
            coder.decode(payload_of(container, index))
        if header.alpha:
            decode_alpha(payload_of(container, header.layers), header.height, header.width)

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """See `Codec.describe`."""
        self.header.check(container.header)
        return tuple(_describe(segment, container.header) for segment in container.segments)

    def check(self, header: Header, model: Model) -> None:
        """Refuses headers that are not those of a model's files.

        Raises:
            FormatError: a field contradicts the codec or the model.
            ModelError: the model's files are missing or damaged.
        """
        self.header.check(header)
        entropy_model = self._entropy_model(model)
        if header.channels != entropy_model.channels or header.layers > entropy_model.layers:
            raise FormatError(f"the header does not fit {model.id}: get an undamaged copy of the file")

    def coder(self, header: Header, model: Model) -> LayerCoder:
        """The entropy coder of a file."""
        return self._coder(model, header.latent_height, header.latent_width)

    def codes(self, container: Container, model: Model) -> Codes:
        """The codes of a whole file, uint8 (levels, channels, code height, code width), 0 or 1.

        Raises:
            FormatError: a segment is missing or damaged.
        """
        self.check(container.header, model)
        return decode_codes(container, self.coder(container.header, model))

    def analyse(
        self,
        picture: Picture,
        model: Model,
        settings: EncodeSettings,
        levels: int,
        progress: Progress = no_progress,
    ) -> Codes:
        """Makes the codes of a whole picture.

        Returns:
            uint8 (levels, channels, code height, code width), 0 or 1.

        Raises:
            RequestError: the model cannot take a picture of that size.
            ModelError: the model's files are missing or damaged.
            BackendError: the inference runtime is missing or failed.
        """
        pixels = padded(picture.pixels, 1 << self.header.ALIGN_LOG2)
        return self._engine(model, settings.backend, settings.threads).analyse(pixels, levels, progress)

    def code(self, codes: Codes, picture: Picture, model: Model) -> Container:
        """The file of a picture whose codes are known."""
        space = ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB
        bare = self._packed(codes, model, width=picture.width, height=picture.height, space=space, alpha=picture.alpha)
        return replace(bare, chunks=chunks_of(picture))

    def _packed(
        self,
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
            codec=self.number,
            model=model.number,
            model_hash=model.hash,
            channels=channels,
            stride_log2=STRIDE_LOG2,
            align_log2=self.header.ALIGN_LOG2,
            layers=layers,
            segments=layers + (alpha is not None),
        )
        coder = self.coder(header, model)
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
