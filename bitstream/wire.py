"""Primitives of the wire format: canonical variable-length integers, bounded reading.

Layout: FORMAT.md §1.
"""

from typing import BinaryIO

from ..errors import FormatError, RequestError, TruncatedError

VARINT_LIMIT = 1 << 32
VARINT_BYTES = 5

# The most that is asked of a stream at once: a declared length allocates nothing before its bytes arrive.
_PIECE_BYTES = 1 << 20


def encode_varint(value: int) -> bytes:
    """Write an integer as canonical LEB128: seven bits a byte, least significant first, bit 7 = "more follows".

    Args:
        value: 0 to 2**32 - 1.

    Returns:
        1 to 5 bytes.

    Raises:
        RequestError: the value is out of range.
    """
    if not 0 <= value < VARINT_LIMIT:
        raise RequestError(f"{value} does not fit a varint; use 0 to {VARINT_LIMIT - 1}")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


class Cursor:
    """Reads fields from the front of a byte string and never past its end.

    Args:
        data: the bytes to read.
        name: what the bytes are, for error messages ("the header").
    """

    def __init__(self, data: bytes, name: str = "the data") -> None:
        self._data = data
        self._name = name
        self._position = 0

    @property
    def remaining(self) -> int:
        """Bytes not read yet."""
        return len(self._data) - self._position

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            TruncatedError: fewer are left.
        """
        if size > self.remaining:
            raise TruncatedError(f"{self._name} ends too early: {size} bytes wanted, {self.remaining} left")
        start = self._position
        self._position += size
        return self._data[start : self._position]

    def u8(self) -> int:
        """Return the next byte, 0 to 255.

        Raises:
            TruncatedError: nothing is left.
        """
        return self.take(1)[0]

    def varint(self) -> int:
        """Return the next variable-length integer, 0 to 2**32 - 1.

        Raises:
            FormatError: it is longer than its value needs, or too large.
            TruncatedError: it is cut off.
        """
        value = 0
        for position in range(VARINT_BYTES):
            byte = self.u8()
            value |= (byte & 0x7F) << 7 * position
            if byte < 0x80:
                self._check_varint(value, last_byte=byte, size=position + 1)
                return value
        raise FormatError(f"{self._name} holds an integer of more than {VARINT_BYTES} bytes; the data is damaged")

    def rest(self) -> bytes:
        """Return all bytes not read yet."""
        return self.take(self.remaining)

    def _check_varint(self, value: int, last_byte: int, size: int) -> None:
        if last_byte == 0 and size > 1:
            raise FormatError(f"{self._name} holds an integer with superfluous bytes; the data is damaged")
        if value >= VARINT_LIMIT:
            raise FormatError(f"{self._name} holds an integer over {VARINT_LIMIT - 1}; the data is damaged")


def read_up_to(stream: BinaryIO, size: int) -> bytes:
    """Read `size` bytes, or what there is before the end of the stream.

    Memory grows with the bytes that arrive, not with `size`. Short reads (pipes, sockets) are continued.

    Args:
        stream: a blocking binary stream; it need not be seekable.
        size: bytes wanted.

    Returns:
        `size` bytes; fewer only at the end of the stream.
    """
    pieces: list[bytes] = []
    while size > 0:
        piece = stream.read(min(size, _PIECE_BYTES))
        if not piece:
            break
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)
