"""The rules on which chunks a file may hold how often, shared by reader and writer."""

from collections.abc import Callable

from ..errors import NicodecError
from .chunks import ChunkType, is_ancillary
from .header import Header
from .limits import Limits

_AT_MOST_ONCE = frozenset((ChunkType.ICC, ChunkType.EXIF, ChunkType.XMP))


class Inventory:
    """Counts the chunks of one file and refuses those that are one too many.

    Args:
        header: says how many segments there are.
        limits: the sizes to accept.
        error: raised when a rule is broken: the data's fault on reading, the caller's on writing.
    """

    def __init__(self, header: Header, limits: Limits, error: Callable[[str], NicodecError]) -> None:
        self._total = header.segments
        self._limits = limits
        self._error = error
        self._segments: set[int] = set()
        self._types: set[int] = set()
        self._ancillary_bytes = 0
        self._chunk_count = 0

    @property
    def arrived(self) -> str:
        """How many segments there are of how many, as words for a message."""
        return f"{len(self._segments)} of {self._total} segments"

    def expects(self, index: int) -> bool:
        """Tell whether a segment of that index belongs in the file and has not been there yet."""
        return index < self._total and index not in self._segments

    def check_segment(self, index: int) -> None:
        """Refuse a segment that is not expected: an index out of range or repeated raises the given error."""
        if not 0 <= index < self._total:
            raise self._error(f"segment {index} is out of range: the header declares {self._total} segments")
        if index in self._segments:
            raise self._error(f"segment {index} occurs twice; each must occur once")

    def add_segment(self, index: int) -> None:
        """Note a segment; one that is not expected raises the given error."""
        self.check_segment(index)
        self._segments.add(index)

    def add_chunk(self, chunk_type: int, size: int) -> None:
        """Note a table or ancillary chunk; one that may occur only once raises the given error if repeated.

        Raises:
            LimitError: there are too many, or the ancillary ones are too large together.
        """
        if chunk_type in self._types & _AT_MOST_ONCE:
            raise self._error(f"the {ChunkType(chunk_type).name} chunk occurs twice; at most one is allowed")
        self._types.add(chunk_type)
        self._chunk_count += 1
        self._limits.check("chunk_count", self._chunk_count)
        if is_ancillary(chunk_type):
            self._ancillary_bytes += size
            self._limits.check("ancillary_total", self._ancillary_bytes)

    def missing(self) -> list[int]:
        """Return the indices of the segments not noted yet, ascending."""
        return [index for index in range(self._total) if index not in self._segments]
