"""Escape coding: any 16-bit symbol through any table."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.ans import AnsDecoder, AnsEncoder
from nicodec.bitstream.escape import CLASS_TABLE, code_lengths, decode_with_escapes, encode_with_escapes
from nicodec.bitstream.tables import TableSet
from nicodec.errors import FormatError, LimitError, RequestError, TruncatedError

TABLES = TableSet.from_counts([[1, 8, 20, 8, 1, 1], [5, 5, 5, 5, 5, 1]], minimum=-2)
UNEQUAL = TableSet(
    [[0, 0, 65000, 536, 0, 0], [9000, 9000, 9000, 9000, 9000, 20536], [0, 1, 65533, 1, 1, 0]], minimum=-2
)


def encode(symbols: npt.NDArray[np.int64], indexes: npt.NDArray[np.int64], tables: TableSet = TABLES) -> bytes:
    encoder = AnsEncoder()
    encode_with_escapes(encoder, symbols, indexes, tables)
    return encoder.finish()


def decode(data: bytes, indexes: npt.NDArray[np.int64], tables: TableSet = TABLES) -> npt.NDArray[np.int32]:
    decoder = AnsDecoder(data)
    symbols = decode_with_escapes(decoder, indexes, tables)
    decoder.finish()
    return symbols


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.one_of(st.integers(-5, 5), st.integers(-32768, 32767)), st.integers(0, 1)), max_size=80))
def test_round_trip(pairs: list[tuple[int, int]]) -> None:
    symbols = np.array([symbol for symbol, _ in pairs], np.int64)
    indexes = np.array([index for _, index in pairs], np.int64)
    decoded = decode(encode(symbols, indexes), indexes)
    assert decoded.dtype == np.int32
    assert decoded.tolist() == symbols.tolist()


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.one_of(st.integers(-5, 5), st.integers(-32768, 32767)), st.integers(0, 2)), max_size=80))
def test_tables_of_unequal_width(pairs: list[tuple[int, int]]) -> None:
    symbols = np.array([symbol for symbol, _ in pairs], np.int64)
    indexes = np.array([index for _, index in pairs], np.int64)
    assert decode(encode(symbols, indexes, UNEQUAL), indexes, UNEQUAL).tolist() == symbols.tolist()


@pytest.mark.parametrize("symbol", [-300, -3, -1, 0, 1, 2, 40, 300])
@pytest.mark.parametrize("index", [0, 1, 2])
def test_code_lengths_are_those_of_the_coder(symbol: int, index: int) -> None:
    count = 2000
    expected = count * float(code_lengths(UNEQUAL, 300)[index, 300 + symbol])
    encoder = AnsEncoder()
    encode_with_escapes(encoder, np.full(count, symbol), np.full(count, index), UNEQUAL)
    encoder.append(np.array([1]), UNEQUAL[0])  # else trailing zeros of an empty state were free
    assert abs(8 * len(encoder.finish()) - expected) <= 64 + 1e-4 * expected


@pytest.mark.parametrize("minimum", [-32768, -2, 32766])
def test_every_16_bit_symbol_survives(minimum: int) -> None:
    tables = TableSet([[65535, 1]], minimum)
    symbols = np.arange(-32768, 32768)
    indexes = np.zeros(symbols.size, np.int64)
    assert np.array_equal(decode(encode(symbols, indexes, tables), indexes, tables), symbols)


def test_no_escapes_cost_nothing() -> None:
    symbols = np.array([0, 1, -1, 2, -2] * 100)
    indexes = np.arange(500) % 2
    encoder = AnsEncoder()
    encoder.append_grouped(symbols, indexes, TABLES)
    assert encode(symbols, indexes) == encoder.finish()


def test_cost_of_near_symbols() -> None:
    escapes = np.tile([3, -3, 4, -4], 250)
    plain = encode(np.full(1000, TABLES.maximum), np.zeros(1000, np.int64))
    assert len(encode(escapes, np.zeros(1000, np.int64))) - 1000 * np.log2(65536 / TABLES.frequencies[0, -1]) / 8 < 500
    assert decode(plain, np.zeros(1000, np.int64)).tolist() == [TABLES.maximum] * 1000


@pytest.mark.parametrize("symbol", [-32769, 32768, 1 << 40])
def test_rejects_symbols_beyond_16_bits(symbol: int) -> None:
    encoder = AnsEncoder()
    with pytest.raises(RequestError, match="symbols"):
        encode_with_escapes(encoder, np.array([0, symbol]), np.zeros(2, np.int64), TABLES)
    assert encoder.finish() == b""


def test_rejects_floats_and_unequal_shapes() -> None:
    with pytest.raises(RequestError, match="integer"):
        encode_with_escapes(AnsEncoder(), np.array([0.5]), np.zeros(1, np.int64), TABLES)
    with pytest.raises(RequestError, match="one for each"):
        encode_with_escapes(AnsEncoder(), np.array([0, 9]), np.zeros(1, np.int64), TABLES)


def test_corrupt_distance_is_a_format_error() -> None:
    encoder = AnsEncoder()
    encoder.append(np.array([TABLES.maximum]), TABLES[0])
    encoder.append(np.array([CLASS_TABLE.maximum]), CLASS_TABLE)
    for size in (8, 8):
        encoder.append(np.array([(1 << size) - 1]), TableSet(np.full((1, 1 << size), 65536 >> size), 0)[0])
    with pytest.raises(FormatError, match="escaped symbol"):
        decode(encoder.finish(), np.zeros(1, np.int64))


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=40), st.integers(0, 60))
def test_arbitrary_bytes_are_symbols_or_a_format_error(data: bytes, count: int) -> None:
    indexes = np.arange(count) % 2
    try:
        symbols = decode_with_escapes(AnsDecoder(data, limit=50), indexes, TABLES)
    except LimitError:
        assert count > 50
    except FormatError:
        pass
    else:
        assert symbols.shape == (count,)
        assert count <= 50


def test_truncation_is_never_a_wrong_symbol() -> None:
    symbols = np.random.default_rng(0).laplace(0, 3, 60).astype(np.int64)
    indexes = np.zeros(60, np.int64)
    data = encode(symbols, indexes)
    for size in range(len(data)):
        with pytest.raises(TruncatedError):
            decode_with_escapes(AnsDecoder(data[:size], total_size=len(data)), indexes, TABLES)
