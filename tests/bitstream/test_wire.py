import io
from typing import BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.wire import VARINT_BYTES, VARINT_LIMIT, Cursor, encode_varint, read_up_to
from nicodec.errors import FormatError, RequestError, TruncatedError


@given(st.integers(0, VARINT_LIMIT - 1))
@settings(deadline=None)
def test_varint_round_trip(value: int) -> None:
    encoded = encode_varint(value)
    cursor = Cursor(encoded + b"tail")
    assert cursor.varint() == value
    assert cursor.rest() == b"tail"
    assert len(encoded) == max(1, -(-value.bit_length() // 7))


@given(st.binary(max_size=VARINT_BYTES + 2))
@settings(deadline=None)
def test_bytes_are_rejected_or_canonical(data: bytes) -> None:
    cursor = Cursor(data)
    try:
        value = cursor.varint()
    except FormatError:
        return
    assert encode_varint(value) == data[: len(data) - cursor.remaining]


@pytest.mark.parametrize("value", [-1, VARINT_LIMIT])
def test_value_out_of_range(value: int) -> None:
    with pytest.raises(RequestError, match="varint"):
        encode_varint(value)


@pytest.mark.parametrize("data", [b"", b"\x80", b"\xff\xff\xff\xff"])
def test_varint_cut_off(data: bytes) -> None:
    with pytest.raises(TruncatedError, match="the header ends too early"):
        Cursor(data, "the header").varint()


def test_cursor_stays_inside() -> None:
    cursor = Cursor(b"abc")
    assert cursor.u8() == ord("a")
    with pytest.raises(TruncatedError, match="3 bytes wanted, 2 left"):
        cursor.take(3)
    assert cursor.take(2) == b"bc"
    assert cursor.remaining == 0
    assert cursor.rest() == b""


class DribblingStream(io.RawIOBase):
    """A raw stream that cannot seek and gives one byte at a time, as a slow pipe does."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._rest = data

    def read(self, size: int = -1, /) -> bytes:
        piece, self._rest = self._rest[: min(size, 1)], self._rest[min(size, 1) :]
        return piece


def test_short_reads_are_continued() -> None:
    stream = cast(BinaryIO, DribblingStream(b"abcdef"))
    assert read_up_to(stream, 4) == b"abcd"
    assert read_up_to(stream, 0) == b""
    assert read_up_to(stream, 4) == b"ef"
    assert read_up_to(stream, 4) == b""
