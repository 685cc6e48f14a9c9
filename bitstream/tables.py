"""Integer probability tables: all that the entropy coder knows about the statistics of its symbols.

A table gives every symbol of a contiguous range a frequency of 1 or more; the frequencies sum to 2^16, so that symbol
`s` has probability `frequency(s) / 65536` exactly, on every machine. No float enters a table.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import FormatError, RequestError
from . import table_bytes

FREQUENCY_BITS = 16
FREQUENCY_TOTAL = 1 << FREQUENCY_BITS
MIN_ALPHABET = 2
MAX_ALPHABET = 4096
MIN_SYMBOL = -(1 << 15)
MAX_SYMBOL = (1 << 15) - 1
# A count times FREQUENCY_TOTAL must fit into 63 bits.
_MAX_COUNT_SUM = 1 << 46

Integers = npt.NDArray[np.integer[Any]]
ModelType = TypeVar("ModelType")


def normalise(counts: npt.ArrayLike) -> npt.NDArray[np.int32]:
    """Scale counts to frequencies that sum to 2^16, each at least 1, in integer arithmetic only.

    With n entries, counts c and sum T: `f = 1 + floor(c * (2^16 - n) / T)`. What is still missing to 2^16 goes, one
    each, to the entries with the largest remainders of that division; of equal remainders the lower index wins. If all
    counts are zero they are taken as all one. A symbol costs at most log2(2^16 / (2^16 - n)) bits more than its share of
    the counts demands. The format depends on this function (FORMAT.md §6).

    Args:
        counts: (n,) non-negative integers, n in 2..4096, with a sum of at most 2^46.

    Returns:
        (n,) int32 frequencies.

    Raises:
        RequestError: the counts are not of that kind.
    """
    array = _checked_counts(counts)
    if not array.any():
        array = np.ones_like(array)
    scaled = array * (FREQUENCY_TOTAL - array.size)
    quotients, remainders = np.divmod(scaled, array.sum())
    frequencies = quotients + 1
    missing = FREQUENCY_TOTAL - int(frequencies.sum())
    frequencies[np.argsort(-remainders, kind="stable")[:missing]] += 1
    return frequencies.astype(np.int32)


def _checked_counts(counts: npt.ArrayLike) -> npt.NDArray[np.int64]:
    array = np.asarray(counts)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise RequestError(f"counts are {array.dtype} of shape {array.shape}: pass integers of shape (alphabet,)")
    if not MIN_ALPHABET <= array.size <= MAX_ALPHABET:
        raise RequestError(f"{array.size} counts: an alphabet has {MIN_ALPHABET} to {MAX_ALPHABET} symbols")
    if int(array.min()) < 0 or sum(array.tolist()) > _MAX_COUNT_SUM:
        raise RequestError(f"counts must be at least 0 and sum to at most {_MAX_COUNT_SUM}: pass true symbol counts")
    return array.astype(np.int64)


def _frozen_frequencies(frequencies: npt.ArrayLike, dimensions: int) -> npt.NDArray[np.int32]:
    """Check frequencies along the last axis and return a read-only int32 copy."""
    array = np.asarray(frequencies)
    if array.ndim != dimensions or array.size == 0 or not np.issubdtype(array.dtype, np.integer):
        raise FormatError(f"frequency table has shape {array.shape} and type {array.dtype}: get an undamaged copy")
    if not MIN_ALPHABET <= array.shape[-1] <= MAX_ALPHABET:
        raise FormatError(
            f"frequency table has {array.shape[-1]} entries, not {MIN_ALPHABET} to {MAX_ALPHABET}: get an undamaged copy"
        )
    # In a stack of tables, zeros are what a row does not have.
    if int(array.min()) < 2 - dimensions or int(array.max()) >= FREQUENCY_TOTAL:
        raise FormatError(f"frequency table has an entry outside 1..{FREQUENCY_TOTAL - 1}: get an undamaged copy")
    if (array.sum(axis=-1, dtype=np.int64) != FREQUENCY_TOTAL).any():
        raise FormatError(f"frequency table does not sum to {FREQUENCY_TOTAL}: get an undamaged copy")
    frozen = array.astype(np.int32)
    frozen.flags.writeable = False
    return frozen


def _check_range(minimum: int, alphabet: int) -> None:
    if not MIN_SYMBOL <= minimum <= MAX_SYMBOL - alphabet + 1:
        raise FormatError(
            f"symbols {minimum}..{minimum + alphabet - 1} leave {MIN_SYMBOL}..{MAX_SYMBOL}: use a smaller table"
        )


class FrequencyTable:
    """An immutable table of 16-bit frequencies for the symbols `minimum`..`maximum`.

    An alphabet of one symbol is written with two entries, 65535 and 1; its symbol costs 2.2e-5 bit.

    Args:
        frequencies: (alphabet,) integers, each at least 1, with the sum 65536; alphabet in 2..4096.
        minimum: the symbol that entry 0 stands for; all symbols lie in -32768..32767.

    Raises:
        FormatError: the frequencies or the range violate the format.

    >>> table = FrequencyTable([16384, 32768, 16384], minimum=-1)
    >>> table.maximum, table.bits([-1, 0, 1])
    (1, 5.0)
    """

    def __init__(self, frequencies: npt.ArrayLike, minimum: int) -> None:
        self._frequencies = _frozen_frequencies(frequencies, dimensions=1)
        _check_range(minimum, self._frequencies.size)
        self._minimum = int(minimum)
        self._encoded: bytes | None = None
        self._models: dict[str, Any] = {}

    @property
    def frequencies(self) -> npt.NDArray[np.int32]:
        """(alphabet,) int32, read-only."""
        return self._frequencies

    @property
    def minimum(self) -> int:
        """The symbol of the first entry."""
        return self._minimum

    @property
    def maximum(self) -> int:
        """The symbol of the last entry."""
        return self._minimum + self._frequencies.size - 1

    @classmethod
    def from_counts(cls, counts: npt.ArrayLike, minimum: int) -> Self:
        """Build the table that follows symbol counts as closely as 16 bits allow; see `normalise`.

        Args:
            counts: (alphabet,) non-negative integers; all zero gives a uniform table.
            minimum: the symbol counted by entry 0.

        Raises:
            RequestError: the counts are not usable.
            FormatError: a symbol lies outside -32768..32767.
        """
        return cls(normalise(counts), minimum)

    @classmethod
    def fit(cls, counts: npt.ArrayLike, minimum: int) -> Self:
        """Build the table with the smallest total of its own bytes and the code length of the counted symbols.

        The table is a little coarser than that of `from_counts`, and `to_bytes` is several times shorter.

        Args:
            counts: (alphabet,) non-negative integers.
            minimum: the symbol counted by entry 0.

        Raises:
            RequestError: the counts are not usable.
            FormatError: a symbol lies outside -32768..32767.
        """
        array = _checked_counts(counts)
        _check_range(minimum, array.size)
        candidates = [cls.from_bytes(encoded) for encoded in table_bytes.write_rounded(array, int(minimum))]
        return min(candidates, key=lambda table: 8 * len(table.to_bytes()) + table._count_bits(array))

    def bits(self, symbols: npt.ArrayLike) -> float:
        """Return the ideal code length in bits of integer symbols, any shape, that all lie in the table.

        Raises:
            RequestError: a symbol lies outside the table.
        """
        entries = entries_of(np.asarray(symbols).ravel(), self.minimum, self.maximum)
        return self._count_bits(np.bincount(entries, minlength=self._frequencies.size))

    def _count_bits(self, counts: npt.NDArray[np.int64]) -> float:
        return float(counts @ (FREQUENCY_BITS - np.log2(self._frequencies)))

    def to_bytes(self) -> bytes:
        """Return the representation for files (FORMAT.md §6); `from_bytes` restores exactly this table.

        Tables made by `fit` take about 10 to 20 bytes for 32 symbols. Others are usually not representable in the
        rounded modes and are written out exactly, at 1 to 4 bytes for each symbol.
        """
        if self._encoded is None:
            rounded = table_bytes.write_rounded(self._frequencies.astype(np.int64) - 1, self.minimum)
            exact = table_bytes.write_exact(self._frequencies, self.minimum)
            self._encoded = min([exact, *(c for c in rounded if type(self).from_bytes(c) == self)], key=len)
        return self._encoded

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Read a table that fills `data` to its end.

        Raises:
            FormatError: the data is no table, or goes on after it.
        """
        table, used = cls.from_prefix(data)
        if used != len(data):
            raise FormatError(
                f"frequency table ends after {used} of {len(data)} bytes: get an undamaged copy of the file"
            )
        return table

    @classmethod
    def from_prefix(cls, data: bytes) -> tuple[Self, int]:
        """Read a table at the start of `data`; return it and the number of bytes it took.

        Raises:
            FormatError: the data does not start with a table.
        """
        minimum, weights, used = table_bytes.read(data)
        table = cls(normalise(weights), minimum)
        table._encoded = bytes(data[:used])
        return table, used

    def model(self, engine: str, build: Callable[[npt.NDArray[np.int32]], ModelType]) -> ModelType:
        """Return what `build` makes of the frequencies for the coder named `engine`, made once and kept."""
        if engine not in self._models:
            self._models[engine] = build(self._frequencies)
        model: ModelType = self._models[engine]
        return model

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, FrequencyTable):
            return NotImplemented
        return self.minimum == other.minimum and np.array_equal(self._frequencies, other._frequencies)

    def __hash__(self) -> int:
        return hash((self.minimum, self._frequencies.tobytes()))

    def __reduce__(self) -> tuple[Callable[[bytes], Self], tuple[bytes]]:
        # Coder models cannot be pickled; a copy in another process builds its own.
        return type(self).from_bytes, (self.to_bytes(),)

    def __repr__(self) -> str:
        return f"<FrequencyTable {self.minimum}..{self.maximum}>"


class TableSet:
    """An immutable stack of tables, addressed by index.

    Each row holds one table. Zeros at the ends of a row are symbols that its table does not have.

    Args:
        frequencies: (tables, alphabet) integers, every row summing to 65536; at most 65536 tables.
        minimum: the symbol of column 0.

    Attributes:
        minima: int32 (tables,) the first symbol of every table.
        maxima: int32 (tables,) the last symbol of every table.

    Raises:
        FormatError: the frequencies or the range violate the format.
    """

    def __init__(self, frequencies: npt.ArrayLike, minimum: int) -> None:
        self._frequencies = _frozen_frequencies(frequencies, dimensions=2)
        if len(self._frequencies) > 1 << 16:
            raise FormatError(f"{len(self._frequencies)} tables in a set: the format allows {1 << 16}")
        alphabet = self._frequencies.shape[1]
        _check_range(minimum, alphabet)
        present = self._frequencies > 0
        first, last = present.argmax(axis=1), alphabet - 1 - present[:, ::-1].argmax(axis=1)
        if (present.sum(axis=1) != last - first + 1).any() or (last - first < MIN_ALPHABET - 1).any():
            raise FormatError("frequency table has a gap or a single entry: get an undamaged copy")
        self._minimum = int(minimum)
        self.minima = (first + minimum).astype(np.int32)
        self.maxima = (last + minimum).astype(np.int32)
        self._tables: dict[int, FrequencyTable] = {}

    @classmethod
    def from_counts(cls, counts: npt.ArrayLike, minimum: int) -> Self:
        """Build one table from each row of (tables, alphabet) symbol counts; see `normalise`.

        Raises:
            RequestError: the counts are not usable.
        """
        rows = np.asarray(counts)
        if rows.ndim != 2 or len(rows) == 0:
            raise RequestError(f"counts have shape {rows.shape}: pass an array of shape (tables, alphabet)")
        return cls(np.stack([normalise(row) for row in rows]), minimum)

    @property
    def frequencies(self) -> npt.NDArray[np.int32]:
        """(tables, alphabet) int32, read-only, zero where a table has no such symbol."""
        return self._frequencies

    @property
    def minimum(self) -> int:
        """The symbol of the first column."""
        return self._minimum

    @property
    def maximum(self) -> int:
        """The symbol of the last column."""
        return self._minimum + int(self._frequencies.shape[1]) - 1

    def bits(self, symbols: Integers, indexes: Integers) -> float:
        """Return the ideal code length in bits of symbols, each under the table of its index.

        Args:
            symbols: integers of any shape, inside the tables.
            indexes: integers of the same shape, in 0..tables - 1.

        Raises:
            RequestError: a symbol lies outside the tables, or an index outside the set.
        """
        rows = entries_of(indexes.ravel(), 0, len(self) - 1, "table indexes")
        frequencies = self._frequencies[rows, entries_of(symbols.ravel(), self.minimum, self.maximum)]
        if not frequencies.all():
            raise RequestError("a symbol is none of its table's: pass symbols within the tables")
        return float((FREQUENCY_BITS - np.log2(frequencies)).sum())

    def entries(self, symbols: Integers, indexes: Integers) -> npt.NDArray[np.int32]:
        """Return the entries of 1-D symbols in their tables, (n,) int32.

        Args:
            symbols: (n,) integers.
            indexes: (n,) integers in 0..tables - 1.

        Raises:
            RequestError: the symbols are no 1-D integers, or one lies outside its table.
        """
        within = entries_of(symbols, self.minimum, self.maximum) + np.int32(self.minimum)
        entries: npt.NDArray[np.int32] = within - self.minima[indexes]
        if (entries < 0).any() or (within > self.maxima[indexes]).any():
            raise RequestError("a symbol is none of its table's: pass symbols within the tables")
        return entries

    def __len__(self) -> int:
        return len(self._frequencies)

    def __getitem__(self, index: int) -> FrequencyTable:
        if not 0 <= index < len(self):
            raise IndexError(f"table {index} of {len(self)}")
        if index not in self._tables:
            row = self._frequencies[index]
            first = int(self.minima[index])
            self._tables[index] = FrequencyTable(
                row[first - self.minimum : int(self.maxima[index]) - self.minimum + 1], first
            )
        return self._tables[index]

    def __iter__(self) -> Iterator[FrequencyTable]:
        return (self[index] for index in range(len(self)))

    def __reduce__(self) -> tuple[type[Self], tuple[npt.NDArray[np.int32], int]]:
        return type(self), (np.array(self._frequencies), self.minimum)

    def __repr__(self) -> str:
        return f"<TableSet of {len(self)}, {self.minimum}..{self.maximum}>"


def stack(tables: Iterable[FrequencyTable]) -> TableSet:
    """Combine tables over one symbol range into a set, in their order.

    Raises:
        RequestError: there is no table, or the ranges differ.
    """
    members = list(tables)
    ranges = {(table.minimum, table.maximum) for table in members}
    if len(ranges) != 1:
        raise RequestError(f"{len(ranges)} symbol ranges among the tables of a set: pass tables of one range")
    return TableSet(np.stack([table.frequencies for table in members]), members[0].minimum)


def entries_of(symbols: Integers, minimum: int, maximum: int, what: str = "symbols") -> npt.NDArray[np.int32]:
    """Return the table entries (symbol minus `minimum`) of 1-D integer symbols, as contiguous int32.

    Error messages call the symbols `what`.

    Raises:
        RequestError: the array is not 1-D and integer, or a symbol lies outside `minimum`..`maximum`.
    """
    if symbols.ndim != 1 or (symbols.size and not np.issubdtype(symbols.dtype, np.integer)):
        raise RequestError(f"{what} are {symbols.dtype} of shape {symbols.shape}: pass a 1-D integer array")
    if symbols.size == 0:
        return np.empty(0, np.int32)
    lowest, highest = int(symbols.min()), int(symbols.max())
    if lowest < minimum or highest > maximum:
        raise RequestError(f"{what} {lowest}..{highest} leave the range {minimum}..{maximum}: pass {what} within it")
    return np.ascontiguousarray(symbols, dtype=np.int32) - np.int32(minimum)
