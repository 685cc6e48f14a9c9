"""What the header of a residual-GRU file says. Imports no numpy, so that `info` stays instant.

FORMAT.md §8 is normative.
"""

from ..bitstream.container import Header
from ..errors import FormatError, RequestError

NUMBER = 3
STRIDE_LOG2 = 4
ALIGN_LOG2 = 5
LEVELS = 16
"""The most levels: each is one layer, of 1/8 bit per pixel before entropy coding."""


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


def check(header: Header) -> None:
    """Refuses headers that no encoder of this codec writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    if (header.stride_log2, header.align_log2, header.depth) != (STRIDE_LOG2, ALIGN_LOG2, 8):
        raise FormatError("the header's geometry is not that of a residual-GRU file: get an undamaged copy of the file")
    if header.profile != 0:
        raise FormatError(f"residual-gru has no profile {header.profile}: get an undamaged copy of the file")
    if header.layers > LEVELS or header.segments != header.layers + header.alpha:
        raise FormatError(
            "the header's segments are not those of a residual-GRU file: get an undamaged copy of the file"
        )


def parameters(header: Header) -> dict[str, float]:
    """What `info` shows."""
    return {"level": header.layers - 1}
