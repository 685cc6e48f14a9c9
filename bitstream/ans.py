"""The entropy coder everyone uses: asymmetric numeral systems over integer tables, guarded.

Two engines write the same bytes: the constriction library, and plain Python where it cannot be imported. The
environment variable NICODEC_ANS, set to `constriction` or `python`, demands one of them.

    >>> table = FrequencyTable([16384, 32768, 16384], minimum=-1)
    >>> encoder = AnsEncoder()
    >>> encoder.append(np.array([0, 1, 0, -1, 0]), table)
    >>> data = encoder.finish()
    >>> decoder = AnsDecoder(data)
    >>> decoder.take(table, 5).tolist()
    [0, 1, 0, -1, 0]
    >>> decoder.finish()

The coder proper cannot notice damage: it decodes any bytes to some symbols, for ever. Here, symbols are limited in
number before memory is asked for, impossible bytes are refused, and `finish` sees leftovers; beyond that, integrity is
the business of the container's checksums.
"""

import os
from functools import cache
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt

from ..errors import BackendError, FormatError, LimitError, RequestError, TruncatedError
from .grouped import group
from .tables import FrequencyTable, Integers, TableSet, entries_of

# Four bytes of memory for each symbol: 2 GiB at the most.
MAX_SYMBOLS = 1 << 29


class Coder(Protocol):
    """One stream of an engine: a stack of symbols."""

    def push(self, entries: npt.NDArray[np.int32], model: Any) -> None:
        """Encode (n,) table entries so that `pop` returns them in this order."""
        ...

    def pop(self, count: int, model: Any) -> npt.NDArray[np.int32]:
        """Decode `count` table entries."""
        ...

    def position(self) -> tuple[int, int]:
        """Return the number of words on the stack and the state."""
        ...

    def words(self) -> npt.NDArray[np.uint32]:
        """Return the whole stream."""
        ...


class Engine(Protocol):
    """What a module that implements the coder offers."""

    NAME: str

    def model(self, frequencies: npt.NDArray[np.int32]) -> Any:
        """Prepare (alphabet,) frequencies for the coder."""
        ...

    def open_coder(self, words: npt.NDArray[np.uint32]) -> Coder:
        """Open a stream, or start one from no words."""
        ...


def engine() -> Engine:
    """Return the module that codes: constriction if it can be imported and keeps to the format, else plain Python.

    Raises:
        RequestError: NICODEC_ANS names no engine.
        BackendError: NICODEC_ANS demands constriction, which is not usable here.
    """
    wanted = os.environ.get("NICODEC_ANS", "")
    if wanted not in ("", "constriction", "python"):
        raise RequestError(f"NICODEC_ANS is '{wanted}': set it to constriction or python, or unset it")
    fast = None if wanted == "python" else _constriction()
    if wanted == "constriction" and fast is None:
        raise BackendError(
            "constriction is missing or unsuitable: pip install constriction==0.5.0, or unset NICODEC_ANS"
        )
    if fast is not None:
        return fast
    from . import ans_python

    return cast(Engine, ans_python)


@cache
def _constriction() -> Engine | None:
    try:
        from . import ans_constriction
    except ImportError:
        return None
    return cast(Engine, ans_constriction) if ans_constriction.is_exact() else None


class AnsEncoder:
    """Collects symbols in the order of decoding and encodes them at the end, in reverse."""

    def __init__(self) -> None:
        self._queue: list[tuple[npt.NDArray[np.int32], FrequencyTable]] = []

    def append(self, symbols: Integers, table: FrequencyTable) -> None:
        """Queue symbols under one table.

        Args:
            symbols: (n,) integers in table.minimum..table.maximum.
            table: their common table.

        Raises:
            RequestError: the symbols are not of that kind; nothing was queued.
        """
        self._append_entries(entries_of(symbols, table.minimum, table.maximum), table)

    def append_grouped(self, symbols: Integers, indexes: Integers, tables: TableSet) -> None:
        """Queue symbols that each have their own table; see `grouped` for the order they are coded in.

        Args:
            symbols: (n,) integers, each within its table.
            indexes: (n,) integers in 0..len(tables) - 1.
            tables: the set that the indexes point into.

        Raises:
            RequestError: the arrays are not of that kind; nothing was queued.
        """
        if symbols.shape != indexes.shape:
            raise RequestError(
                f"{symbols.size} symbols with indexes of shape {indexes.shape}: pass one for each symbol"
            )
        grouping = group(indexes, len(tables))
        entries = tables.entries(symbols, indexes)[grouping.order]
        for index, start, stop in grouping.runs():
            self._append_entries(entries[start:stop], tables[index])

    def _append_entries(self, entries: npt.NDArray[np.int32], table: FrequencyTable) -> None:
        if entries.size:
            self._queue.append((entries, table))

    def finish(self) -> bytes:
        """Return the encoded bytes: empty, or starting with a byte that is not zero."""
        chosen = engine()
        coder = chosen.open_coder(np.empty(0, np.uint32))
        for entries, table in reversed(self._queue):
            coder.push(entries, table.model(chosen.NAME, chosen.model))
        return coder.words()[::-1].astype(">u4").tobytes().lstrip(b"\0")


class AnsDecoder:
    """Decodes what AnsEncoder encoded, by calls with the same tables and counts in the same order.

    Args:
        data: the encoded bytes, or the first part of them.
        total_size: number of bytes there should be, if `data` may be cut short. Symbols are then returned as long as
            it is certain that no missing byte has a part in them.
        limit: most symbols that one call may ask for.

    Raises:
        FormatError: the data cannot come from an encoder.
    """

    def __init__(self, data: bytes, total_size: int | None = None, limit: int = MAX_SYMBOLS) -> None:
        self._total = len(data) if total_size is None else total_size
        self._received = len(data)
        self._limit = limit
        if data[:1] == b"\0":
            raise FormatError("entropy-coded data starts with a zero byte: get an undamaged copy of the file")
        if self._received > self._total:
            raise FormatError(
                f"{self._received} bytes where {self._total} are declared: get an undamaged copy of the file"
            )
        padded = b"\0" * (-self._total % 4) + data
        words = np.frombuffer(padded[: len(padded) & ~3], ">u4")[::-1].astype(np.uint32)
        self._engine = engine()
        self._coder = self._engine.open_coder(words)

    @property
    def words_left(self) -> int:
        """Number of 32-bit words that have not entered the coder's state yet."""
        return self._coder.position()[0]

    @property
    def is_truncated(self) -> bool:
        """Whether part of the data is missing."""
        return self._received < self._total

    def take(self, table: FrequencyTable, count: int) -> npt.NDArray[np.int32]:
        """Decode the next `count` symbols, all under one table.

        Returns:
            (count,) int32 in table.minimum..table.maximum.

        Raises:
            LimitError: more symbols than the limit.
            TruncatedError: the symbols may depend on missing data; no later symbol can be decoded either.
            RequestError: the count is negative.
        """
        self._check_count(count)
        symbols = self._pop(table, count)
        self._check_certain()
        return symbols

    def take_grouped(self, indexes: Integers, tables: TableSet) -> npt.NDArray[np.int32]:
        """Decode the next symbols, each under the table of its index.

        Args:
            indexes: (n,) integers in 0..len(tables) - 1.
            tables: the set that the indexes point into.

        Returns:
            (n,) int32, each within its table, in the order of the indexes.

        Raises:
            LimitError: more symbols than the limit.
            TruncatedError: some symbol may depend on missing data; no later symbol can be decoded either.
            RequestError: the indexes are not of that kind.
        """
        self._check_count(indexes.size)
        grouping = group(indexes, len(tables))
        coded = np.empty(indexes.size, np.int32)
        pop, name, model = self._coder.pop, self._engine.NAME, self._engine.model
        for index, start, stop in grouping.runs():
            coded[start:stop] = pop(stop - start, tables[index].model(name, model))
        self._check_certain()
        symbols = np.empty_like(coded)
        symbols[grouping.order] = coded
        symbols += tables.minima[indexes]
        return symbols

    def finish(self) -> None:
        """Check that exactly everything was decoded.

        Raises:
            FormatError: something is left over: the data, the tables or the counts are not those of the encoder.
            TruncatedError: part of the data is missing.
        """
        if self.is_truncated:
            raise self._truncated()
        if self._coder.position() != (0, 0):
            raise FormatError(
                "entropy-coded data is left over after the last symbol: get an undamaged copy of the file"
            )

    def _pop(self, table: FrequencyTable, count: int) -> npt.NDArray[np.int32]:
        if count == 0:
            return np.empty(0, np.int32)
        entries = self._coder.pop(count, table.model(self._engine.NAME, self._engine.model))
        entries += np.int32(table.minimum)
        return entries

    def _check_count(self, count: int) -> None:
        if count < 0:
            raise RequestError(f"{count} symbols asked for: pass a count of at least 0")
        if count > self._limit:
            raise LimitError(f"{count} symbols in one piece: raise the limit of {self._limit} if the file is trusted")

    def _check_certain(self) -> None:
        # A state below 2^32 with no word left missed a refill, and popping never raises it above 2^32 again.
        words_left, state = self._coder.position()
        if self.is_truncated and words_left == 0 and state < 1 << 32:
            raise self._truncated()

    def _truncated(self) -> TruncatedError:
        return TruncatedError(
            f"entropy-coded data ends after {self._received} of {self._total} bytes: get the whole file, or decode a part of it"
        )
