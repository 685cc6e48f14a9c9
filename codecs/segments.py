"""Finds segments that arrived whole."""

from ..bitstream.container import Container
from ..errors import FormatError


def find_payload(container: Container, index: int) -> bytes | None:
    """The payload of a segment, None if it did not arrive whole."""
    for segment in container.segments:
        if segment.index == index and segment.complete:
            return segment.payload
    return None


def payload_of(container: Container, index: int) -> bytes:
    """The payload of a segment.

    Raises:
        FormatError: it did not arrive whole.
    """
    data = find_payload(container, index)
    if data is None:
        raise missing(index)
    return data


def missing(index: int) -> FormatError:
    """The error to raise for a segment that did not arrive whole."""
    return FormatError(f"segment {index} is missing: get a complete copy of the file")
