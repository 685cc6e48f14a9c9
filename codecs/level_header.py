"""What headers of files of levels say, whatever the codec. Imports no numpy, so that `info` stays instant.

FORMAT.md §8 is normative.
"""

from typing import Protocol

from ..bitstream.container import Header
from ..errors import FormatError, RequestError

STRIDE_LOG2 = 4
LEVELS = 16
"""The most levels: each is one layer, of 1/8 bit per pixel before entropy coding."""


class HeaderModule(Protocol):
    """What a codec's module of headers offers."""

    @property
    def NUMBER(self) -> int:
        """The number of the codec."""
        ...

    @property
    def ALIGN_LOG2(self) -> int:
        """What the sides of a picture are padded to multiples of, as a power of two."""
        ...

    def check(self, header: Header) -> None:
        """Refuses headers that no encoder of the codec writes.

        Raises:
            FormatError: a field contradicts the codec.
        """
        ...


def level_of(level: int | None, quality: float | None, levels: int = LEVELS) -> int:
    """The level that settings ask for: the one they name, that of a quality from 0 to 100, or the last.

    >>> level_of(None, None), level_of(3, None), level_of(None, 50.0)
    (15, 3, 8)

    Raises:
        RequestError: there is no such level, or both are given.
    """
    if level is not None and quality is not None:
        raise RequestError("a level and a quality exclude each other: leave one out")
    if level is None:
        return levels - 1 if quality is None else round(quality * (levels - 1) / 100)
    if type(level) is not int or level not in range(levels):
        raise RequestError(f"level {level} does not exist: choose one from 0 (smallest) to {levels - 1} (best picture)")
    return level


def check(header: Header, codec: str, align_log2: int) -> None:
    """Refuses headers that no encoder of a codec of levels writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    if (header.stride_log2, header.align_log2, header.depth) != (STRIDE_LOG2, align_log2, 8):
        raise FormatError(f"the header's geometry is not that of a file of {codec}: get an undamaged copy of the file")
    if header.profile != 0:
        raise FormatError(f"{codec} has no profile {header.profile}: get an undamaged copy of the file")
    if header.layers > LEVELS or header.segments != header.layers + header.alpha:
        raise FormatError(
            f"the header's segments are not those of a file of {codec}: get an undamaged copy of the file"
        )


def parameters(header: Header) -> dict[str, float]:
    """What `info` shows."""
    return {"level": header.layers - 1}
