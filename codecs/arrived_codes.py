"""The binary codes of a file of levels, layer by layer, as far as they arrived."""

from collections.abc import Iterable, Iterator
from itertools import takewhile

import numpy as np

from ..bitstream.code_context import Codes
from ..bitstream.container import Container, Header, Segment
from ..bitstream.layer_coder import UNKNOWN, LayerCoder
from ..errors import TruncatedError
from .segments import find_payload, payload_of


def decode_codes(container: Container, coder: LayerCoder) -> Codes:
    """The codes of a whole file, uint8 (levels, channels, code height, code width), 0 or 1.

    Raises:
        FormatError: a segment is missing or damaged.
    """
    return np.stack([coder.decode(payload_of(container, index)) for index in range(container.header.layers)])


def decode_arrived(container: Container, coder: LayerCoder, level: int, allow_partial: bool) -> tuple[list[Codes], int]:
    """The codes of every level up to one, as far as they arrived.

    Args:
        container: of a file that may be cut off.
        coder: of the file, before the first layer.
        level: the last to decode.
        allow_partial: whether to use what is certain of a level that is cut off.

    Returns:
        For each level, one or more, uint8 (channels, h, w): 0, 1, or in the last `UNKNOWN`. How many of them are whole.

    Raises:
        FormatError: a segment does not decode, or not even a part of the first level arrived.
    """
    whole = takewhile(lambda data: data is not None, (find_payload(container, index) for index in range(level + 1)))
    codes = [coder.decode(data) for data in whole if data is not None]
    count = len(codes)
    cut = next((s for s in container.segments if s.index == count and not s.complete), None)
    if allow_partial and cut is not None and count <= level:
        part = coder.decode_prefix(cut.payload, cut.size + cut.absent)
        codes += [part] if (part != UNKNOWN).any() else []
    if not codes:
        raise TruncatedError("not even the first level arrived whole: get the file again")
    return codes, count


class ArrivingLayers:
    """Codes of a file that is still arriving.

    Args:
        header: of the file.
        segments: as they arrive.
        coder: of the file, before the first layer.
    """

    def __init__(self, header: Header, segments: Iterable[Segment], coder: LayerCoder) -> None:
        self._header = header
        self._segments = segments
        self._coder = coder
        self._waiting: dict[int, bytes] = {}

    def layers(self) -> Iterator[Codes]:
        """Codes of one level after the other; a segment that comes too early waits for those before it.

        Raises:
            FormatError: a segment does not decode.
        """
        level = 0
        for segment in self._segments:
            if segment.complete:
                self._waiting[segment.index] = segment.payload
            while level < self._header.layers and level in self._waiting:
                yield self._coder.decode(self._waiting.pop(level))
                level += 1

    @property
    def alpha(self) -> bytes | None:
        """The payload of the alpha segment, if it has arrived."""
        return self._waiting.get(self._header.layers) if self._header.alpha else None
