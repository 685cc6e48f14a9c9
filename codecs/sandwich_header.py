"""What the header of a sandwich file says. Imports no numpy, so that `info` stays instant.

The codec's bytes in the header are the number of the standard codec and the quantisation step that the networks are told
of, one byte each. FORMAT.md §8 is normative.
"""

from enum import IntEnum

from ..bitstream.container import Header
from ..errors import FormatError

NUMBER = 4
SEGMENT = 0
"""Index of the segment that is the standard codec's file; alpha may follow."""

_MOST_HALVINGS = 1
_MOST_ALIGNED = 4


class Inner(IntEnum):
    """The standard codec of a file."""

    JPEG = 1
    WEBP = 2
    AVIF = 3
    JPEG2000 = 4


def fields(inner: Inner, step: int) -> bytes:
    """The codec's bytes of a header.

    Args:
        inner: the standard codec.
        step: quantisation step, 1..255.
    """
    return bytes((inner, step))


def inner_of(header: Header) -> Inner:
    """The standard codec of a file.

    Raises:
        FormatError: the header names none that is known.
    """
    number = _extra(header)[0]
    try:
        return Inner(number)
    except ValueError:
        raise FormatError(
            f"the file holds standard codec number {number}, which is not known here: update nicodec"
        ) from None


def step_of(header: Header) -> int:
    """The quantisation step that the networks are told of, 1..255.

    Raises:
        FormatError: the header has none.
    """
    step = _extra(header)[1]
    if not step:
        raise FormatError("the header has a quantisation step of zero: get an undamaged copy of the file")
    return step


def check(header: Header) -> None:
    """Refuses headers that no encoder of this codec writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    aligned = header.stride_log2 <= header.align_log2 <= _MOST_ALIGNED
    if not aligned or header.stride_log2 > _MOST_HALVINGS or header.channels not in (1, 3):
        raise FormatError("the header's geometry is not that of a sandwich file: get an undamaged copy of the file")
    if header.profile or header.layers != 1 or header.depth not in (8, 16):
        raise FormatError("the header's profile is not that of a sandwich file: get an undamaged copy of the file")
    if header.segments != 1 + header.alpha:
        raise FormatError("the header's segments are not those of a sandwich file: get an undamaged copy of the file")
    inner_of(header)
    step_of(header)


def parameters(header: Header) -> dict[str, float]:
    """What `info` shows.

    Raises:
        FormatError: as for `step_of`.
    """
    return {"step": step_of(header)}


def _extra(header: Header) -> bytes:
    if len(header.extra) < 2:
        raise FormatError("the header does not name a standard codec: get an undamaged copy of the file")
    return header.extra
