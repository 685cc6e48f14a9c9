"""What a codec is: the protocol that built-in and foreign codecs implement, and the settings they take.

A codec meets three others: `images.Picture` (pixels and metadata), `models.zoo.Model` (weights) and
`bitstream.container.Container` (header and segments). Its `number` is written into files and names one data format for
ever; a changed bitstream is a new codec with a new number.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from numbers import Real
from typing import Any, Protocol, Self, runtime_checkable

from ..bitstream.container import Container
from ..errors import RequestError
from ..images import Picture
from ..models.zoo import Model

Progress = Callable[[int, int], None]
"""Called with the number of finished parts and their total."""


def no_progress(done: int, total: int) -> None:
    """The default `Progress`: shows nothing."""


@dataclass(frozen=True)
class EncodeSettings:
    """How to encode.

    Attributes:
        independent_channels: code every channel on its own, so that single channels can be decoded; larger files.
        quality: 0 (smallest file) to 100 (best picture), None for the codec's own choice. Needs a codec of variable rate.
        level: of a codec with levels, the last that the file has, from 0 (smallest file); None for all, or for what the
            quality says.
        effort: 1 (fast) to 9, a whole number: how hard to look for a smaller file of the same quality. Some codecs need
            TensorFlow from 7 on.
        fast_decode: leave out what makes files smaller but slower to decode, where the codec has such a thing.
        inner: of a codec around standard codecs, the name of the one to use; None for what the model was trained for.
        backend: inference runtime, see `models.runtime`.
        threads: threads of the network, None for all cores.

    Raises:
        RequestError: quality or effort is out of range.
    """

    independent_channels: bool = False
    quality: float | None = None
    level: int | None = None
    effort: int = 5
    fast_decode: bool = False
    inner: str | None = None
    backend: str = "onnxruntime"
    threads: int | None = None

    def __post_init__(self) -> None:
        """Checks quality and effort."""
        if self.quality is not None and not _is_quality(self.quality):
            raise RequestError(
                f"quality {self.quality!r} does not exist: choose one from 0 (smallest file) to 100 (best picture)"
            )
        if self.effort not in range(1, 10):
            raise RequestError(
                f"effort {self.effort!r} does not exist: choose a whole number from 1 (fast) to 9 (smallest file)"
            )

    def require_no_channels(self, model: Model) -> None:
        """Refuses independent channels, for codecs that have none.

        Raises:
            RequestError: they are asked for.
        """
        if self.independent_channels:
            raise RequestError(f"{model.id} has no independent channels: leave that out, or choose an l3ic model")

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; `from_json` restores the settings.

        >>> EncodeSettings.from_json(EncodeSettings(threads=2).to_json())
        EncodeSettings(independent_channels=False, quality=None, level=None, effort=5, fast_decode=False, inner=None, backend='onnxruntime', threads=2)
        """
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Self:
        """Settings from what `to_json` returned, or part of it.

        Raises:
            RequestError: a name is unknown, or a value out of range.
        """
        try:
            return replace(cls(), **values)
        except TypeError as error:
            raise RequestError(f"unknown encoder setting: {error}") from error


def _is_quality(value: object) -> bool:
    return isinstance(value, Real) and 0 <= float(value) <= 100


@dataclass(frozen=True)
class DecodeRequest:
    """What to decode, and how.

    Attributes:
        channels: latent channels to use, None for all; others count as zero. Needs a file with independent channels.
        allow_partial: make do with what arrived of a file that is cut off or damaged, if the codec can.
        level: of a codec with levels, the one to restore; None for the last that arrived.
        backend: inference runtime, see `models.runtime`.
        threads: threads of the network, None for all cores.
    """

    channels: frozenset[int] | None = None
    allow_partial: bool = False
    level: int | None = None
    backend: str = "onnxruntime"
    threads: int | None = None

    def require_no_channels(self, model: Model) -> None:
        """Refuses a choice of channels, for codecs that have no independent ones.

        Raises:
            RequestError: there is one.
        """
        if self.channels is not None:
            raise RequestError(f"{model.id} has no independent channels: decode the whole picture")


@dataclass(frozen=True)
class SegmentInfo:
    """One segment of a file, as `nicodec info --channels` shows it.

    Attributes:
        index: the segment's index.
        content: what it holds, for instance "channel 3", "latent rows 0-63", "alpha".
        size: payload bytes.
        crc32: CRC-32 of the payload.
        table: "shared 17", "own (14 bytes)", "context", "none", or "cut off" if the segment ends inside its table.
        symbols: smallest and largest value the segment's table can code, or None.
    """

    index: int
    content: str
    size: int
    crc32: int
    table: str
    symbols: tuple[int, int] | None


@runtime_checkable
class Codec(Protocol):
    """A codec family; one file in `codecs/` and one entry point in the group `nicodec.codecs`.

    Attributes:
        id: short name.
        number: the codec's number in file headers, 0 to 255.
    """

    id: str
    number: int

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """Encodes a picture of any size with one of the codec's models.

        Raises:
            RequestError: the settings do not fit the codec.
            ModelError: the model's files are missing or damaged.
        """
        ...

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """Restores the picture.

        Raises:
            FormatError: the segments contradict the header or each other.
            RequestError: the request does not fit the file.
            ModelError: the model's files are missing or damaged.
        """
        ...

    def verify(self, container: Container, model: Model) -> None:
        """Entropy-decodes every segment completely, without running a network.

        Raises:
            FormatError: something does not decode.
        """
        ...

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """What each segment holds, from the segments' own headers; loads no model."""
        ...


@runtime_checkable
class HighDepth(Protocol):
    """A codec with models that keep more than 8 bits per sample, where `Picture.deep` has them."""

    def depth(self, model: Model) -> int:
        """The most bits per sample that a model keeps.

        Raises:
            ModelError: the model's files are missing or damaged.
        """
        ...


@runtime_checkable
class AroundStandard(Protocol):
    """A codec whose files hold a file of a standard codec, such as JPEG."""

    def check_inner(self, model: Model, settings: EncodeSettings) -> tuple[str, ...]:
        """Refuses a standard codec that the settings ask for in vain; returns remarks for people about any other.

        Raises:
            RequestError: there is no such standard codec.
            BackendError: it is not installed.
            ModelError: the model's files are missing or damaged.
        """
        ...

    def inner_file(self, container: Container) -> tuple[bytes, str]:
        """The standard codec's file, and the suffix of its name.

        Raises:
            FormatError: the file is not there, or the header is damaged.
        """
        ...

    def estimated_step(self, source: str | bytes, pixels: int, model: Model) -> int:
        """The quantisation step of a bare file: of one that the model's encoder made, the step itself if it is a JPEG.

        Args:
            source: path or content of an image file that has been read before.
            pixels: width x height.
            model: one of the codec's.

        Returns:
            1..255.

        Raises:
            ModelError: the model's files are missing or damaged.
        """
        ...

    def restore_inner(
        self, picture: Picture, step: int, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """What the model makes of a picture that a standard codec has restored.

        Args:
            picture: of the standard codec.
            step: quantisation step of its file, 1..255.
            model: one of the codec's.
            request: how to run the network.
            progress: told after every tile.

        Raises:
            RequestError: the picture has colours and the model codes gray.
            ModelError: the model's files are missing or damaged.
        """
        ...
