"""Symbols outside a table: an escape in their place, their distance from the table afterwards.

The last entry of every table stands for "escaped". After all main symbols come, for the escaped ones in
their order, a class each, under one fixed table; then, class by class, the plain bits that complete the distance
(FORMAT.md, "Escapes"). Tables should be wide enough that fewer than 1% of the symbols escape, and no wider: every entry
takes at least 2^-16 from the others.
"""

from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from ..errors import FormatError, RequestError
from .ans import AnsDecoder, AnsEncoder
from .tables import (
    FREQUENCY_BITS,
    FREQUENCY_TOTAL,
    MAX_SYMBOL,
    MIN_SYMBOL,
    FrequencyTable,
    Integers,
    TableSet,
    entries_of,
)

# Part of the format: exp-Golomb classes of distances that fall off geometrically, with a heavy tail.
_CLASS_FREQUENCIES: Final = (
    *(14336, 14336, 12288, 9216, 6144, 4096, 2048, 1024),
    *(768, 512, 256, 128, 128, 64, 64, 64, 64),
)
CLASS_TABLE = FrequencyTable(_CLASS_FREQUENCIES, minimum=0)
_LOW_BITS = 8


def encode_with_escapes(encoder: AnsEncoder, symbols: Integers, indexes: Integers, tables: TableSet) -> None:
    """Queue symbols that may lie outside the tables.

    Args:
        encoder: receives the symbols.
        symbols: (n,) integers in -32768..32767.
        indexes: (n,) integers in 0..len(tables) - 1.
        tables: their last entry is the escape and stands for no symbol.

    Raises:
        RequestError: the arrays are not of that kind; nothing was queued.
    """
    wide = entries_of(symbols, MIN_SYMBOL, MAX_SYMBOL).astype(np.int64) + MIN_SYMBOL
    if wide.shape != indexes.shape:
        raise RequestError(f"{wide.size} symbols with indexes of shape {indexes.shape}: pass one for each symbol")
    rows = entries_of(indexes, 0, len(tables) - 1, "table indexes")
    escapes = tables.maxima[rows]
    inside = (wide >= tables.minima[rows]) & (wide < escapes)
    encoder.append_grouped(np.where(inside, wide, escapes), rows, tables)
    values = 1 + _fold(wide[~inside], rows[~inside], tables)
    classes = _classes(values)
    encoder.append(classes, CLASS_TABLE)
    for size in np.unique(classes).tolist():
        _append_bits(encoder, values[classes == size] - (1 << size), size)


def decode_with_escapes(decoder: AnsDecoder, indexes: Integers, tables: TableSet) -> npt.NDArray[np.int32]:
    """Decode what `encode_with_escapes` queued.

    Args:
        decoder: supplies the symbols.
        indexes: (n,) integers in 0..len(tables) - 1.
        tables: those of the encoder.

    Returns:
        (n,) int32 in -32768..32767, in the order of the indexes.

    Raises:
        FormatError: an escaped symbol lies outside that range.
        TruncatedError, LimitError, RequestError: as in `AnsDecoder.take_grouped`.
    """
    symbols = decoder.take_grouped(indexes, tables)
    escaped = np.flatnonzero(symbols == tables.maxima[indexes])
    classes = decoder.take(CLASS_TABLE, escaped.size)
    values = np.empty(escaped.size, np.int64)
    for size in np.unique(classes).tolist():
        members = classes == size
        values[members] = (1 << size) + _take_bits(decoder, int(members.sum()), size)
    outside = _unfold(values - 1, indexes[escaped], tables)
    if outside.size and (int(outside.min()) < MIN_SYMBOL or int(outside.max()) > MAX_SYMBOL):
        raise FormatError(
            f"an escaped symbol lies outside {MIN_SYMBOL}..{MAX_SYMBOL}: get an undamaged copy of the file"
        )
    symbols[escaped] = outside
    return symbols


def code_lengths(tables: TableSet, reach: int) -> npt.NDArray[np.float32]:
    """Bits of every symbol -reach..reach under every table, escapes included.

    Returns:
        float32 (tables, 2 * reach + 1).
    """
    rows, columns = np.indices((len(tables), 2 * reach + 1))
    symbols = columns - reach
    inside = (symbols >= tables.minima[rows]) & (symbols < tables.maxima[rows])
    coded = np.where(inside, symbols, tables.maxima[rows]) - tables.minimum
    bits = FREQUENCY_BITS - np.log2(tables.frequencies[rows, coded])
    classes = _classes(1 + _fold(symbols[~inside], rows[~inside], tables))
    bits[~inside] += classes + FREQUENCY_BITS - np.log2(np.array(_CLASS_FREQUENCIES))[classes]
    lengths: npt.NDArray[np.float32] = bits.astype(np.float32)
    return lengths


def _classes(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Number of plain bits that complete each value, of at least 1."""
    classes: npt.NDArray[np.int64] = np.searchsorted(1 << np.arange(1, len(_CLASS_FREQUENCIES)), values, side="right")
    return classes


def _fold(symbols: npt.NDArray[np.int64], rows: Integers, tables: TableSet) -> npt.NDArray[np.int64]:
    """Map symbols above their table to 0, 2, 4 ... by distance, those below to 1, 3, 5 ..."""
    above = symbols - tables.maxima[rows]
    below = tables.minima[rows] - 1 - symbols
    folded: npt.NDArray[np.int64] = np.where(above >= 0, 2 * above, 2 * below + 1)
    return folded


def _unfold(folded: npt.NDArray[np.int64], rows: Integers, tables: TableSet) -> npt.NDArray[np.int64]:
    distance = folded >> 1
    symbols: npt.NDArray[np.int64] = np.where(
        folded & 1 == 0, tables.maxima[rows] + distance, tables.minima[rows] - 1 - distance
    )
    return symbols


@cache
def _uniform(size: int) -> FrequencyTable:
    return FrequencyTable(np.full(1 << size, FREQUENCY_TOTAL >> size), minimum=0)


def _append_bits(encoder: AnsEncoder, values: npt.NDArray[np.int64], size: int) -> None:
    """Queue `size` plain bits of each value: the high part of all, then the low 8 bits of all."""
    low = min(size, _LOW_BITS)
    if size > low:
        encoder.append(values >> low, _uniform(size - low))
    if low:
        encoder.append(values & (1 << low) - 1, _uniform(low))


def _take_bits(decoder: AnsDecoder, count: int, size: int) -> npt.NDArray[np.int64]:
    low = min(size, _LOW_BITS)
    values = np.zeros(count, np.int64)
    if size > low:
        values |= decoder.take(_uniform(size - low), count).astype(np.int64) << low
    if low:
        values |= decoder.take(_uniform(low), count)
    return values
