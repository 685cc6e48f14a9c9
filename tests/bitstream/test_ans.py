"""The entropy coder: exact tables, identical engines, correct prefixes, and a guard for everything that can go wrong."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream import ans, ans_python
from nicodec.bitstream.ans import AnsDecoder, AnsEncoder
from nicodec.bitstream.escape import decode_with_escapes, encode_with_escapes
from nicodec.bitstream.tables import FrequencyTable, TableSet
from nicodec.errors import BackendError, FormatError, LimitError, RequestError, TruncatedError

GOLDEN = Path(__file__).parents[1] / "golden" / "ans"
ENGINES = ["constriction", "python"]
QUICK = settings(deadline=None, max_examples=60)
COIN = FrequencyTable([32768, 32768], 0)
CERTAIN = FrequencyTable([65535, 1], 0)
Slices = list[tuple[FrequencyTable, npt.NDArray[np.int64]]]


@pytest.fixture(params=ENGINES)
def engine_name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = str(request.param)
    if name == "constriction":
        pytest.importorskip("constriction")
    monkeypatch.setenv("NICODEC_ANS", name)
    chosen = ans.engine()
    assert name == chosen.NAME
    return name


@st.composite
def tables(draw: st.DrawFn) -> FrequencyTable:
    """Random alphabets of 2 to 300, from flat to almost certain."""
    size = draw(st.integers(2, 300))
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    skew = draw(st.sampled_from([0, 1, 4, 12]))
    return FrequencyTable.from_counts(
        (1e6 * random.random(size) ** skew).astype(np.int64), draw(st.integers(-400, 100))
    )


@st.composite
def slices(draw: st.DrawFn) -> Slices:
    """Runs of symbols, each under its own table: distributed as the table says, or flat."""
    random = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    runs: Slices = []
    for table in draw(st.lists(tables(), max_size=4)):
        weights = table.frequencies / 65536 if draw(st.booleans()) else None
        count = draw(st.integers(0, 60))
        runs.append((table, random.choice(table.frequencies.size, count, p=weights) + table.minimum))
    return runs


def encode(runs: Slices) -> bytes:
    encoder = AnsEncoder()
    for table, symbols in runs:
        encoder.append(symbols, table)
    return encoder.finish()


class TestEngines:
    @QUICK
    @given(slices())
    def test_write_and_read_the_same(self, runs: Slices) -> None:
        pytest.importorskip("constriction")
        streams: list[bytes] = []
        for name in ENGINES:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("NICODEC_ANS", name)
                streams.append(encode(runs))
                decoder = AnsDecoder(streams[0])
                for table, symbols in runs:
                    assert decoder.take(table, symbols.size).tolist() == symbols.tolist()
                decoder.finish()
        assert streams[0] == streams[1]

    @QUICK
    @given(st.binary(max_size=60), tables(), st.integers(0, 60))
    def test_decode_the_same_garbage(self, data: bytes, table: FrequencyTable, count: int) -> None:
        pytest.importorskip("constriction")
        garbage = data.lstrip(b"\0")
        results: list[list[int]] = []
        for name in ENGINES:
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("NICODEC_ANS", name)
                results.append(AnsDecoder(garbage).take(table, count).tolist())
        assert results[0] == results[1]

    @settings(deadline=None, max_examples=30)
    @given(tables())
    def test_constriction_uses_exactly_the_table(self, table: FrequencyTable) -> None:
        """Both ends of every entry's interval decode to it, and the state they leave is that of its size and left."""
        pytest.importorskip("constriction")
        from nicodec.bitstream import ans_constriction

        model = ans_constriction.model(table.frequencies)
        sizes = table.frequencies.astype(np.int64) << 8
        lefts = np.cumsum(sizes) - sizes
        for entry, (left, size) in enumerate(zip(lefts.tolist(), sizes.tolist(), strict=True)):
            for quantile in (left, left + size - 1):
                high = 0x12345678 << 32 | 0x9A << 24 | quantile
                coder = ans_constriction.open_coder(np.array([high & 0xFFFFFFFF, high >> 32], np.uint32))
                assert coder.pop(1, model).tolist() == [entry]
                assert coder.position() == (0, (high >> 24) * size + quantile - left)

    def test_constriction_is_preferred(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("constriction")
        monkeypatch.delenv("NICODEC_ANS", raising=False)
        assert ans.engine().NAME == "constriction"

    def test_fallback_without_constriction(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "constriction", None)
        monkeypatch.delitem(sys.modules, "nicodec.bitstream.ans_constriction", raising=False)
        monkeypatch.delattr("nicodec.bitstream.ans_constriction", raising=False)
        monkeypatch.delenv("NICODEC_ANS", raising=False)
        ans._constriction.cache_clear()  # pyright: ignore[reportPrivateUsage]
        try:
            assert ans.engine() is ans_python
            monkeypatch.setenv("NICODEC_ANS", "constriction")
            with pytest.raises(BackendError, match="pip install"):
                ans.engine()
        finally:
            ans._constriction.cache_clear()  # pyright: ignore[reportPrivateUsage]

    def test_fallback_if_the_library_changed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pytest.importorskip("constriction")
        monkeypatch.delenv("NICODEC_ANS", raising=False)
        monkeypatch.setattr("nicodec.bitstream.ans_constriction.is_exact", lambda: False)
        ans._constriction.cache_clear()  # pyright: ignore[reportPrivateUsage]
        try:
            assert ans.engine() is ans_python
        finally:
            ans._constriction.cache_clear()  # pyright: ignore[reportPrivateUsage]

    def test_unknown_engine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NICODEC_ANS", "fast")
        with pytest.raises(RequestError, match="NICODEC_ANS"):
            ans.engine()

    def test_panics_become_format_errors(self) -> None:
        constriction: Any = pytest.importorskip("constriction")
        from nicodec.bitstream.ans_constriction import panics_as_errors

        with pytest.raises(FormatError, match="failed"), panics_as_errors():
            constriction.stream.model.QuantizedGaussian(0, 10, 5.0, -1.0)
        for error in (KeyboardInterrupt, SystemExit, KeyError):
            with pytest.raises(error), panics_as_errors():
                raise error


@pytest.mark.usefixtures("engine_name")
class TestRoundTrip:
    def test_no_symbols_take_no_bytes(self) -> None:
        assert encode([]) == encode([(COIN, np.empty(0, np.int64))]) == b""
        decoder = AnsDecoder(b"")
        assert decoder.take(COIN, 0).dtype == np.int32
        assert decoder.take_grouped(np.empty(0, np.int64), TableSet([[1, 65535]], 0)).shape == (0,)
        decoder.finish()

    def test_certain_symbols_are_almost_free(self) -> None:
        symbols = np.zeros(20_000, np.int64)
        data = encode([(CERTAIN, symbols)])
        assert len(data) <= 1
        decoder = AnsDecoder(data)
        assert not decoder.take(CERTAIN, symbols.size).any()
        decoder.finish()

    def test_grouped(self) -> None:
        random = np.random.default_rng(3)
        tables = TableSet.from_counts(random.integers(1, 1000, (300, 9)), -4)
        indexes = random.integers(0, 300, 3000)
        symbols = random.integers(-4, 5, 3000)
        encoder = AnsEncoder()
        encoder.append_grouped(symbols, indexes, tables)
        encoder.append(np.array([1, 0]), COIN)
        decoder = AnsDecoder(encoder.finish())
        decoded = decoder.take_grouped(indexes, tables)
        assert decoded.dtype == np.int32
        assert np.array_equal(decoded, symbols)
        assert decoder.take(COIN, 2).tolist() == [1, 0]
        decoder.finish()

    @pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.int64, np.uint64])
    def test_any_integer_type_and_layout(self, dtype: type[np.integer[Any]]) -> None:
        symbols = np.zeros((50, 2), dtype)[:, 0]
        table = FrequencyTable([20000, 20000, 25536], -1)
        encoder = AnsEncoder()
        encoder.append(symbols, table)
        assert encoder.finish() == encode([(table, np.zeros(50, np.int64))])

    def test_column_major_tables_are_read_by_value(self) -> None:
        frequencies = np.array([[1, 65535], [65535, 1]])
        streams: list[bytes] = []
        for layout in (np.ascontiguousarray(frequencies), np.asfortranarray(frequencies)):
            encoder = AnsEncoder()
            encoder.append_grouped(np.array([1, 0, 1]), np.array([0, 1, 1]), TableSet(layout, 0))
            streams.append(encoder.finish())
        assert streams[0] == streams[1]

    @pytest.mark.parametrize("scale", [0.1, 1, 10])
    def test_overhead(self, scale: float) -> None:
        random = np.random.default_rng(5)
        support = np.arange(-31, 32)
        table = FrequencyTable.from_counts((1e6 * np.exp(-np.abs(support) / scale)).astype(np.int64), -31)
        symbols = random.choice(support, 5000, p=table.frequencies / 65536)
        assert 8 * len(encode([(table, symbols)])) <= 1.001 * table.bits(symbols) + 40

    def test_finish_can_be_repeated(self) -> None:
        encoder = AnsEncoder()
        encoder.append(np.array([1, 0, 1, 1]), COIN)
        assert encoder.finish() == encoder.finish()

    def test_nothing_is_printed(self, capfd: pytest.CaptureFixture[str]) -> None:
        encode([(FrequencyTable([1, 65535], 0), np.array([1, 0]))])
        assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("engine_name")
class TestPrefix:
    @settings(deadline=None, max_examples=20)
    @given(slices())
    def test_every_cut_gives_correct_slices_or_truncated(self, runs: Slices) -> None:
        data = encode(runs)
        accepted_before = 0
        for size in range(len(data)):
            accepted = self.accepted(data[:size], len(data), runs)
            assert accepted >= accepted_before
            accepted_before = accepted

    def accepted(self, part: bytes, total_size: int, runs: Slices) -> int:
        decoder = AnsDecoder(part, total_size=total_size)
        for number, (table, symbols) in enumerate(runs):
            try:
                assert decoder.take(table, symbols.size).tolist() == symbols.tolist()
            except TruncatedError:
                with pytest.raises(TruncatedError):
                    decoder.take(COIN, 1)
                return number
        with pytest.raises(TruncatedError):
            decoder.finish()
        return len(runs)

    def test_accepts_what_has_arrived(self) -> None:
        random = np.random.default_rng(0)
        runs: Slices = [(COIN, random.integers(0, 2, 8)) for _ in range(400)]
        data = encode(runs)
        assert 400 <= len(data) <= 403
        for size in range(0, len(data), 7):
            assert size - 12 <= self.accepted(data[:size], len(data), runs) <= size

    def test_grouped_slices_are_refused_whole(self) -> None:
        tables = TableSet([[32768, 32768], [1, 65535]], 0)
        indexes = np.arange(64) % 2
        encoder = AnsEncoder()
        encoder.append_grouped(np.ones(64, np.int64), indexes, tables)
        encoder.append(np.ones(64, np.int64), COIN)
        data = encoder.finish()
        with pytest.raises(TruncatedError, match=f"after 3 of {len(data)} bytes"):
            AnsDecoder(data[:3], total_size=len(data)).take_grouped(indexes, tables)
        decoder = AnsDecoder(data[:13], total_size=len(data))
        assert decoder.take_grouped(indexes, tables).all()
        assert decoder.is_truncated

    def test_words_left(self) -> None:
        data = encode([(COIN, np.ones(128, np.int64))])
        decoder = AnsDecoder(data)
        # Five words, of which two are in the state; every 32 coins take one more.
        assert (len(data), decoder.words_left) == (19, 3)
        decoder.take(COIN, 64)
        assert decoder.words_left == 1
        decoder.take(COIN, 64)
        assert decoder.words_left == 0
        decoder.finish()


@pytest.mark.usefixtures("engine_name")
class TestGuards:
    @pytest.mark.parametrize("symbols", [[0, 2], [-1], [1 << 40], [0.5], [[0, 1]]])
    def test_impossible_symbols_leave_the_encoder_as_it_was(self, symbols: list[Any]) -> None:
        encoder = AnsEncoder()
        encoder.append(np.array([1]), COIN)
        before = encoder.finish()
        with pytest.raises(RequestError, match="symbols"):
            encoder.append(np.array(symbols), COIN)
        with pytest.raises(RequestError, match="symbols"):
            encoder.append_grouped(np.array(symbols), np.zeros(len(symbols), np.int64), TableSet([[1, 65535]], 0))
        assert encoder.finish() == before

    @pytest.mark.parametrize("indexes", [[0, 1], [1], [-1], [0.0]])
    def test_impossible_indexes(self, indexes: list[float]) -> None:
        tables = TableSet([[1, 65535]], 0)
        with pytest.raises(RequestError, match="index"):
            AnsEncoder().append_grouped(np.array([1]), np.array(indexes), tables)
        with pytest.raises(RequestError, match="index"):
            AnsDecoder(b"").take_grouped(np.array([9, *indexes]), tables)

    @pytest.mark.parametrize("count", [(1 << 29) + 1, 1 << 40, 1 << 62, 1 << 70])
    def test_huge_counts_are_refused_before_allocation(self, count: int) -> None:
        with pytest.raises(LimitError, match=str(count)):
            AnsDecoder(b"\1").take(CERTAIN, count)

    def test_callers_limit(self) -> None:
        decoder = AnsDecoder(b"", limit=3)
        assert decoder.take(COIN, 3).tolist() == [0, 0, 0]
        with pytest.raises(LimitError, match="limit of 3"):
            decoder.take(COIN, 4)
        with pytest.raises(LimitError, match="limit of 3"):
            decoder.take_grouped(np.zeros(4, np.int64), TableSet([[1, 65535]], 0))

    def test_negative_count(self) -> None:
        with pytest.raises(RequestError, match="-1"):
            AnsDecoder(b"").take(COIN, -1)

    @pytest.mark.parametrize("data", [b"\0", b"\0\0\0\0", b"\0\1\2\3\4\5"])
    def test_leading_zero_byte(self, data: bytes) -> None:
        with pytest.raises(FormatError, match="zero byte"):
            AnsDecoder(data)

    def test_more_data_than_declared(self) -> None:
        with pytest.raises(FormatError, match="3 bytes where 2"):
            AnsDecoder(b"abc", total_size=2)

    @pytest.mark.parametrize("count", [0, 5, 19])
    def test_leftovers(self, count: int) -> None:
        decoder = AnsDecoder(encode([(COIN, np.ones(20, np.int64))]))
        decoder.take(COIN, count)
        with pytest.raises(FormatError, match="left over"):
            decoder.finish()

    def test_most_bit_flips_are_seen_as_leftovers(self) -> None:
        table = FrequencyTable.from_counts([1, 5, 20, 5, 1], -2)
        symbols = np.random.default_rng(1).choice(5, 200, p=table.frequencies / 65536) - 2
        data = encode([(table, symbols)])
        for position in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[position >> 3] ^= 1 << (position & 7)
            try:
                decoder = AnsDecoder(bytes(flipped))
                decoded = decoder.take(table, 200)
                decoder.finish()
            except FormatError:
                continue
            assert not np.array_equal(decoded, symbols)

    @QUICK
    @given(st.binary(max_size=50), st.one_of(st.none(), st.integers(0, 80)), tables(), st.integers(0, 120))
    def test_arbitrary_bytes_are_symbols_or_a_format_error(
        self, data: bytes, total_size: int | None, table: FrequencyTable, count: int
    ) -> None:
        try:
            decoder = AnsDecoder(data, total_size=total_size, limit=100)
            symbols = decoder.take(table, count)
            assert symbols.shape == (count,)
            assert count <= 100
            assert count == 0 or table.minimum <= symbols.min() <= symbols.max() <= table.maximum
            decoder.finish()
        except LimitError:
            assert count > 100
        except FormatError:
            pass


@pytest.mark.usefixtures("engine_name")
@pytest.mark.parametrize("case", json.loads((GOLDEN / "streams.json").read_text()), ids=lambda case: case["name"])
def test_golden_streams_decode_for_ever(case: dict[str, Any]) -> None:
    """Each case is a list of parts: symbols under one table, grouped, or grouped with escapes."""
    data = bytes.fromhex(case["bytes"])
    decoder, encoder = AnsDecoder(data), AnsEncoder()
    for part in case["parts"]:
        symbols = np.array(part["symbols"], np.int64)
        indexes = np.array(part["indexes"], np.int64)
        tables = TableSet(part["frequencies"], part["minimum"])
        if part["coding"] == "single":
            encoder.append(symbols, tables[0])
            decoded = decoder.take(tables[0], symbols.size)
        elif part["coding"] == "grouped":
            encoder.append_grouped(symbols, indexes, tables)
            decoded = decoder.take_grouped(indexes, tables)
        else:
            encode_with_escapes(encoder, symbols, indexes, tables)
            decoded = decode_with_escapes(decoder, indexes, tables)
        assert decoded.tolist() == symbols.tolist()
    decoder.finish()
    assert encoder.finish() == data
