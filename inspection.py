"""What can be told about a .nic file without decoding its picture; imports neither numpy nor a network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from .bitstream.container import Chunk, ChunkType, ColourSpace, Container, Header, Limits, read
from .bitstream.limits import DEFAULT_LIMITS
from .bitstream.signature import MAGIC
from .codecs import embedded_header, gru_header, l3ic_header, sandwich_header, shallow_header
from .errors import ModelError, RequestError
from .models import zoo
from .sources import Source, opened

if TYPE_CHECKING:
    from .codecs.base import SegmentInfo
    from .codecs.statistics import GroupStatistics

_BLOCK = 1 << 20
_HEADERS = (l3ic_header, shallow_header, gru_header, sandwich_header, embedded_header)
_PARAMETERS = {module.NUMBER: module.parameters for module in _HEADERS}


@dataclass(frozen=True, kw_only=True)
class FileInfo:
    """A .nic file in figures.

    Attributes:
        version: format version, such as "1.0".
        size: bytes of the whole file.
        header: everything the header says.
        model: id of the installed model that decodes the file, None if it is not installed.
        parameters: what the header says in fields of the codec's own, by name, for instance "latent_step" in steps of
            the model or "quality"; empty for codecs that are not built in.
        metadata: size in bytes of each ancillary chunk by name: "icc", "exif", "xmp", others as "0x" and their type.
        arrived: segments that are there whole and undamaged; `header.segments` are expected.
        complete: whether all of the file arrived undamaged.
        segments: what each segment holds, None unless asked for.
        statistics: of the latents of each group of channels, None unless asked for, and of a file that is not whole.
    """

    version: str
    size: int
    header: Header
    model: str | None
    parameters: dict[str, float]
    metadata: dict[str, int]
    arrived: int
    complete: bool
    segments: "tuple[SegmentInfo, ...] | None" = None
    statistics: "tuple[GroupStatistics, ...] | None" = None

    @property
    def bpp(self) -> float:
        """Bits of the whole file per pixel of the picture."""
        return 8 * self.size / (self.header.width * self.header.height)

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        header = self.header
        values: dict[str, Any] = {
            "version": self.version,
            "bytes": self.size,
            "bpp": round(self.bpp, 6),
            "complete": self.complete,
            "width": header.width,
            "height": header.height,
            "padded_width": header.padded_width,
            "padded_height": header.padded_height,
            "depth": header.depth,
            "gray": header.space is ColourSpace.GRAY,
            "alpha": header.alpha,
            "codec": header.codec,
            "model": self.model,
            "model_number": header.model,
            "model_hash": header.model_hash.hex(),
            "profile": header.profile,
            "parameters": dict(self.parameters),
            "channels": header.channels,
            "latent_width": header.latent_width,
            "latent_height": header.latent_height,
            "layers": header.layers,
            "segments": header.segments,
            "segments_arrived": self.arrived,
            "metadata": dict(self.metadata),
        }
        if self.segments is not None:
            values["segment_table"] = [_segment_json(segment) for segment in self.segments]
        if self.statistics is not None:
            values["statistics"] = [group.to_json() for group in self.statistics]
        return values


def info(
    source: Source, *, segments: bool = False, statistics: bool = False, limits: Limits = DEFAULT_LIMITS
) -> FileInfo:
    """Describes a .nic file from its header and chunks, without decoding the picture; for statistics, its latents.

    A file that is cut off or damaged behind its header is described as far as it arrived; see `FileInfo.complete`.

    Args:
        source: path, bytes, or binary file, which is read to its end.
        segments: whether to describe every segment too, which imports the file's codec (but loads no model).
        statistics: whether to tell about the latents too, which decodes them (but runs no network), if the file is whole.
        limits: the sizes to accept.

    Raises:
        PictureError: the path cannot be read.
        FormatError: signature or header are not those of a .nic file (see the subclasses); or statistics are asked for
            and the latents do not decode.
        RequestError: statistics are asked for and the file's codec has none.
        ModelError: segments or statistics are asked for and the file's codec is not installed; or statistics, and its
            model is missing or damaged.
    """
    with opened(source) as stream:
        counted = _CountedStream(stream)
        container = read(cast(BinaryIO, counted), limits=limits, allow_partial=True)
        while counted.read(_BLOCK):
            pass
        version = counted.start[len(MAGIC)]
        return FileInfo(
            version=f"{version >> 4}.{version & 0b1111}",
            size=counted.count,
            header=container.header,
            model=_model_id(container.header),
            parameters=_parameters(container.header),
            metadata={_chunk_label(chunk): len(chunk.payload) for chunk in container.chunks if chunk.ancillary},
            arrived=sum(segment.complete for segment in container.segments),
            complete=container.complete,
            segments=_describe(container) if segments else None,
            statistics=_statistics(container) if statistics and container.complete else None,
        )


def losses(container: Container) -> tuple[str, ...]:
    """What a file that was read in part lacks, as remarks for people; none if it is complete."""
    whole = {segment.index for segment in container.segments if segment.complete}
    wanted = container.header.segments
    remarks: list[str] = []
    if len(whole) < wanted:
        remarks.append(f"{len(whole)} of {wanted} segments arrived whole")
    damaged = set(container.damaged)
    for state, indices in (("damaged", damaged), ("missing", set(range(wanted)) - whole - damaged)):
        if indices:
            remarks.append(f"segments that are {state}: {_ranges(sorted(indices))}")
    if not (container.intact or remarks):
        remarks.append("metadata is damaged or missing: the picture is whole")
    return tuple(remarks)


def _ranges(numbers: list[int]) -> str:
    """Ascending numbers with runs drawn together.

    >>> _ranges([0, 3, 4, 5, 8])
    '0, 3-5, 8'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ", ".join("-".join(map(str, run)) for run in runs)


class _CountedStream:
    """Counts what is read from a stream that may be a pipe, and keeps its first bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.count = 0
        self.start = b""

    def read(self, size: int) -> bytes:
        """The next bytes of the stream below, the only method that a reader of .nic needs."""
        data = self._stream.read(size)
        self.count += len(data)
        if len(self.start) <= len(MAGIC):
            self.start += data
        return data


def _model_id(header: Header) -> str | None:
    try:
        return zoo.find_for_file(header.codec, header.model, header.model_hash).id
    except ModelError:
        return None


def _parameters(header: Header) -> dict[str, float]:
    read_parameters = _PARAMETERS.get(header.codec)
    return {} if read_parameters is None else read_parameters(header)


def _chunk_label(chunk: Chunk) -> str:
    try:
        return ChunkType(chunk.type).name.lower()
    except ValueError:
        return f"{chunk.type:#04x}"


def _describe(container: Container) -> "tuple[SegmentInfo, ...]":
    from .codecs.registry import codec_by_number

    return codec_by_number(container.header.codec).describe(container)


def _statistics(container: Container) -> "tuple[GroupStatistics, ...]":
    from .codecs.registry import codec_by_number
    from .codecs.statistics import WithStatistics

    header = container.header
    codec = codec_by_number(header.codec)
    if not isinstance(codec, WithStatistics):
        raise RequestError(f"codec {codec.id} has no statistics of latents to show: leave statistics out")
    return codec.statistics(container, zoo.find_for_file(header.codec, header.model, header.model_hash))


def _segment_json(segment: "SegmentInfo") -> dict[str, Any]:
    return {
        "index": segment.index,
        "content": segment.content,
        "bytes": segment.size,
        "crc32": f"{segment.crc32:08x}",
        "table": segment.table,
        "symbols": None if segment.symbols is None else list(segment.symbols),
    }
