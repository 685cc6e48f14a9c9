"""Frequency tables: exact integers in, exact integers out, and a compact form for files."""

import json
import pickle
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.tables import FrequencyTable, TableSet, normalise, stack
from nicodec.errors import FormatError, RequestError

GOLDEN = Path(__file__).parents[1] / "golden" / "ans" / "tables.json"
COUNTS = st.lists(st.one_of(st.integers(0, 3), st.integers(0, 10**6), st.just(0)), min_size=2, max_size=300)
QUICK = settings(deadline=None, max_examples=60)


def laplace_counts(scale: float, total: int = 6144) -> npt.NDArray[np.int64]:
    symbols = np.rint(np.random.default_rng(1).laplace(0, scale, total)).astype(np.int64)
    return np.bincount(np.clip(symbols, -15, 16) + 15, minlength=32)


class TestNormalise:
    @pytest.mark.parametrize(
        ("counts", "frequencies"),
        [
            ([1, 1], [32768, 32768]),
            ([5, 0], [65535, 1]),
            ([0, 0, 0, 0], [16384] * 4),
            ([1, 1, 1], [21846, 21845, 21845]),
            ([1, 2, 4], [9363, 18725, 37448]),
            ([10**9, 1], [65535, 1]),
        ],
    )
    def test_known_values(self, counts: list[int], frequencies: list[int]) -> None:
        assert normalise(counts).tolist() == frequencies

    @QUICK
    @given(COUNTS)
    def test_sums_and_keeps_order(self, counts: list[int]) -> None:
        frequencies = normalise(counts)
        assert frequencies.sum() == 65536
        assert frequencies.min() >= 1
        order = np.argsort(counts, kind="stable")
        steps = np.diff(frequencies[order])
        assert (steps[np.diff(np.array(counts)[order]) > 0] >= 0).all()

    @QUICK
    @given(COUNTS.filter(any))
    def test_loss_is_bounded_for_every_symbol(self, counts: list[int]) -> None:
        used = np.array(counts) > 0
        share = np.array(counts)[used] / sum(counts)
        extra = np.log2(share) - np.log2(normalise(counts)[used] / 65536)
        assert extra.max() <= np.log2(65536 / (65536 - len(counts))) + 1e-12

    def test_largest_alphabet_and_largest_sum(self) -> None:
        counts = np.zeros(4096, np.int64)
        counts[7] = 1 << 46
        assert normalise(counts)[[6, 7]].tolist() == [1, 65536 - 4095]

    @pytest.mark.parametrize(
        "counts",
        [[1], [1] * 4097, [-1, 2], [1.5, 2.5], [[1, 2]], [1 << 46, 1], [1 << 62, 1 << 62], np.zeros((0, 2), np.int64)],
    )
    def test_rejects_unusable_counts(self, counts: npt.ArrayLike) -> None:
        with pytest.raises(RequestError, match=r"\d"):
            normalise(counts)


class TestFrequencyTable:
    @pytest.mark.parametrize(
        "frequencies",
        [
            [65536],
            [65536, 0],
            [65535, 2],
            [32768, 32767],
            [-1, 65537],
            [0.5, 0.5],
            [[32768, 32768]],
            [],
            [65536 - 4096] + [1] * 4096,
            [1 << 63, 65536],
        ],
    )
    def test_rejects_impossible_frequencies(self, frequencies: npt.ArrayLike) -> None:
        with pytest.raises(FormatError, match="frequency table"):
            FrequencyTable(frequencies, 0)

    @pytest.mark.parametrize("minimum", [-32769, 32767])
    def test_rejects_symbols_beyond_16_bits(self, minimum: int) -> None:
        with pytest.raises(FormatError, match="symbols"):
            FrequencyTable([32768, 32768], minimum)
        with pytest.raises(FormatError, match="symbols"):
            FrequencyTable.fit([3, 1], minimum)

    def test_bits(self) -> None:
        table = FrequencyTable([16384, 32768, 8192, 8192], minimum=-2)
        assert table.bits(np.array([[-2, -1], [0, 1]])) == 9
        assert table.bits(np.empty(0, np.int32)) == 0
        with pytest.raises(RequestError, match=r"-3\.\.1"):
            table.bits([1, -3])

    def test_is_immutable_equal_hashable_and_picklable(self) -> None:
        source = np.array([1, 65535])
        table = FrequencyTable(source, 3)
        source[:] = 32768
        assert table.frequencies.tolist() == [1, 65535]
        with pytest.raises(ValueError, match="read-only"):
            table.frequencies[0] = 2
        copy = pickle.loads(pickle.dumps(table))
        assert copy == table
        assert hash(copy) == hash(table)
        assert table not in (FrequencyTable([1, 65535], 4), FrequencyTable([2, 65534], 3), 3)

    def test_models_are_built_once(self) -> None:
        table = FrequencyTable([1, 65535], 0)
        assert table.model("a", np.sum) == 65536
        assert table.model("a", np.max) == 65536
        assert table.model("b", np.max) == 65535


class TestBytes:
    @QUICK
    @given(COUNTS, st.integers(-32768, 32000))
    def test_restores_every_table(self, counts: list[int], minimum: int) -> None:
        for table in (FrequencyTable.from_counts(counts, minimum), FrequencyTable.fit(counts, minimum)):
            data = table.to_bytes()
            assert FrequencyTable.from_bytes(data) == table
            assert FrequencyTable.from_prefix(data + b"\xff") == (table, len(data))

    def test_restores_the_largest_table(self) -> None:
        counts = np.random.default_rng(0).integers(0, 1000, 4096)
        for table in (FrequencyTable.from_counts(counts, -2048), FrequencyTable.fit(counts, -2048)):
            assert FrequencyTable.from_bytes(table.to_bytes()) == table

    @pytest.mark.parametrize("scale", [0.01, 0.3, 1, 2, 4, 8])
    def test_fitted_tables_are_small_and_good(self, scale: float) -> None:
        counts = laplace_counts(scale)
        fitted, precise = FrequencyTable.fit(counts, -15), FrequencyTable.from_counts(counts, -15)
        symbols = np.repeat(np.arange(-15, 17), counts)
        assert len(fitted.to_bytes()) <= 22
        assert fitted.bits(symbols) <= precise.bits(symbols) + 8 * 6

    def test_fit_spends_less_on_a_table_that_is_used_less(self) -> None:
        rarely, often = (FrequencyTable.fit(laplace_counts(4) * factor, -15) for factor in (1, 1000))
        assert len(rarely.to_bytes()) < len(often.to_bytes())

    def test_pickled_copy_keeps_its_bytes(self) -> None:
        fitted = FrequencyTable.fit(laplace_counts(3), -15)
        assert pickle.loads(pickle.dumps(fitted)).to_bytes() == fitted.to_bytes()

    @pytest.mark.parametrize("make", [FrequencyTable.fit, FrequencyTable.from_counts])
    def test_every_truncation_and_trailing_byte_is_noticed(self, make: type[FrequencyTable]) -> None:
        data = make(laplace_counts(2), -15).to_bytes()
        for size in range(len(data)):
            with pytest.raises(FormatError):
                FrequencyTable.from_bytes(data[:size])
        with pytest.raises(FormatError, match="bytes"):
            FrequencyTable.from_bytes(data + b"\0")

    @QUICK
    @given(st.binary(max_size=60))
    def test_arbitrary_bytes_are_a_table_or_an_error(self, data: bytes) -> None:
        try:
            table = FrequencyTable.from_bytes(data)
        except FormatError:
            return
        assert table.frequencies.sum() == 65536
        assert table.to_bytes() == data

    def test_every_bit_flip_is_a_table_or_an_error(self) -> None:
        data = FrequencyTable.fit(laplace_counts(2), -15).to_bytes()
        refused = 0
        for position in range(8 * len(data)):
            flipped = bytearray(data)
            flipped[position >> 3] ^= 1 << (position & 7)
            try:
                assert FrequencyTable.from_bytes(bytes(flipped)).frequencies.sum() == 65536
            except FormatError:
                refused += 1
        assert refused > len(data)

    @pytest.mark.parametrize(
        ("bits", "message"),
        [
            ("101" + "1000" + "1000", "unknown mode"),
            ("001" + "1000" + "0" * 9 + "1" + "0" * 9 + "111", "4097 entries"),
            ("001" + "0" * 40, "overlong"),
            ("001" + "1000" + "1000" + "0" + "000" + "0" + "0", "no symbol"),
            ("001" + "1000" + "1000" + "0" + "000" + "10" + "0", "level"),
            ("001" + "1000" + "1000" + "0" + "000" + "1" * 600, "overlong"),
            ("000" + "1000" + "1000" + "0" * 16 + "1" + "1" * 16, "more than"),
            ("001" + "1000" + "1000" + "0" + "000" + "110" + "0" + "1", "padded"),
            ("001" + "0" * 14 + "1" + "1" * 17 + "1000" + "0" + "000" + "110" + "0", "symbols"),
        ],
    )
    def test_each_violation_is_named(self, bits: str, message: str) -> None:
        padded = bits + "0" * (-len(bits) % 8)
        with pytest.raises(FormatError, match=message):
            FrequencyTable.from_bytes(int(padded, 2).to_bytes(len(padded) // 8, "big"))

    @pytest.mark.parametrize("case", json.loads(GOLDEN.read_text()), ids=lambda case: case["name"])
    def test_golden_tables_read_for_ever(self, case: dict[str, str | int | list[int]]) -> None:
        table = FrequencyTable.from_bytes(bytes.fromhex(str(case["bytes"])))
        assert table.minimum == case["minimum"]
        assert table.frequencies.tolist() == case["frequencies"]


class TestTableSet:
    def test_rows_are_tables(self) -> None:
        tables = TableSet([[1, 65535], [32768, 32768]], minimum=-1)
        assert (len(tables), tables.minimum, tables.maximum) == (2, -1, 0)
        assert list(tables) == [FrequencyTable([1, 65535], -1), FrequencyTable([32768, 32768], -1)]
        assert tables[1] is tables[1]
        assert tables.frequencies.dtype == np.int32
        with pytest.raises(IndexError):
            tables[2]

    @pytest.mark.parametrize(
        "frequencies", [[[1, 65535], [1, 65534]], [[65536, 0]], [1, 65535], np.zeros((0, 2), np.int32), [[0.5, 0.5]]]
    )
    def test_rejects_impossible_frequencies(self, frequencies: npt.ArrayLike) -> None:
        with pytest.raises(FormatError, match="frequency table"):
            TableSet(frequencies, 0)

    def test_zeros_at_the_ends_of_a_row_are_no_symbols(self) -> None:
        tables = TableSet([[0, 1, 65535, 0], [1, 2, 3, 65530]], minimum=-2)
        assert (tables.minima.tolist(), tables.maxima.tolist()) == ([-1, -2], [0, 1])
        assert tables[0] == FrequencyTable([1, 65535], -1)
        assert tables.entries(np.array([-1, 0, -2]), np.array([0, 0, 1])).tolist() == [0, 1, 0]
        for symbol in (-2, 1):
            for ask in (tables.bits, tables.entries):
                with pytest.raises(RequestError, match="none of its table's"):
                    ask(np.array([symbol]), np.array([0]))

    @pytest.mark.parametrize("row", [[1, 0, 65535], [0, 1, 0], [0, 0, 0], [-1, 1, 65536]])
    def test_rejects_rows_with_gaps_and_lonely_symbols(self, row: list[int]) -> None:
        with pytest.raises(FormatError, match="frequency table"):
            TableSet([row], 0)

    def test_rejects_too_many_tables(self) -> None:
        with pytest.raises(FormatError, match="65537 tables"):
            TableSet(np.full((65537, 2), 32768), 0)

    def test_bits_use_the_table_of_each_symbol(self) -> None:
        tables = TableSet([[16384, 49152], [32768, 32768]], minimum=5)
        assert tables.bits(np.array([[5, 5]]), np.array([[0, 1]])) == 3
        with pytest.raises(RequestError, match="table indexes"):
            tables.bits(np.array([5]), np.array([2]))

    def test_from_counts_and_stack_agree(self) -> None:
        counts = [[1, 2, 3], [0, 0, 9]]
        tables = TableSet.from_counts(counts, -1)
        assert np.array_equal(tables.frequencies, stack(FrequencyTable.from_counts(c, -1) for c in counts).frequencies)
        assert np.array_equal(pickle.loads(pickle.dumps(tables)).frequencies, tables.frequencies)
        with pytest.raises(RequestError, match="shape"):
            TableSet.from_counts([1, 2], 0)

    def test_stack_needs_one_range(self) -> None:
        table = FrequencyTable([1, 65535], 0)
        with pytest.raises(RequestError, match="2 symbol ranges"):
            stack([table, FrequencyTable([1, 65535], 1)])
        with pytest.raises(RequestError, match="0 symbol ranges"):
            stack([])
