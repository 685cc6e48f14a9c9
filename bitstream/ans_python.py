"""The normative ANS coder, in plain Python: test oracle, and fallback where constriction has no wheel.

Invariants, with a 64-bit state and a stack of 32-bit words below it:
- the state is at least 2^32 whenever the stack holds a word, so symbols always see 32 bits of state or more;
- pushing an entry of probability p grows the state by the factor 1/p; a word moves to the stack before the state
  would exceed 64 bits, and popping takes it back at exactly the same point;
- popping undoes pushing bit by bit: last pushed, first popped.
"""

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

NAME = "python"

_QUANTILE_BITS = 24
_TABLE_SHIFT = 8  # from the 16 bits of a table to the quantiles
_WORD_BITS = 32
_WORD_MASK = (1 << _WORD_BITS) - 1


@dataclass(frozen=True)
class Model:
    """Quantile intervals of the entries of a table: entry i covers lefts[i] <= quantile < lefts[i] + sizes[i]."""

    lefts: list[int]
    sizes: list[int]


def model(frequencies: npt.NDArray[np.int32]) -> Model:
    """Scale (alphabet,) frequencies with the sum 2^16 to quantile intervals."""
    sizes = frequencies.astype(np.int64) << _TABLE_SHIFT
    return Model((np.cumsum(sizes) - sizes).tolist(), sizes.tolist())


class PythonCoder:
    """One stream. Start from its words, as `words` gives them."""

    def __init__(self, words: npt.NDArray[np.uint32]) -> None:
        self._words: list[int] = words.tolist()
        self._state = 0
        for _ in range(min(2, len(self._words))):
            self._state = self._state << _WORD_BITS | self._words.pop()

    def push(self, entries: npt.NDArray[np.int32], model: Model) -> None:
        """Encode (n,) table entries so that `pop` returns them in this order."""
        state = self._state
        for entry in reversed(entries.tolist()):
            left, size = model.lefts[entry], model.sizes[entry]
            if state >= size << 40:
                self._words.append(state & _WORD_MASK)
                state >>= _WORD_BITS
            quotient, remainder = divmod(state, size)
            state = quotient << _QUANTILE_BITS | left + remainder
        self._state = state

    def pop(self, count: int, model: Model) -> npt.NDArray[np.int32]:
        """Decode `count` table entries; past the end of the stream they are those of quantile 0."""
        state = self._state
        entries = [0] * count
        for position in range(count):
            quantile = state & ((1 << _QUANTILE_BITS) - 1)
            entry = bisect_right(model.lefts, quantile) - 1
            state = (state >> _QUANTILE_BITS) * model.sizes[entry] + quantile - model.lefts[entry]
            if state < 1 << _WORD_BITS and self._words:
                state = state << _WORD_BITS | self._words.pop()
            entries[position] = entry
        self._state = state
        return np.array(entries, np.int32)

    def position(self) -> tuple[int, int]:
        """Return the number of words on the stack and the state."""
        return len(self._words), self._state

    def words(self) -> npt.NDArray[np.uint32]:
        """Return the stream: the stack, then the state, low word first, without its leading zero words."""
        state: list[int] = []
        rest = self._state
        while rest:
            state.append(rest & _WORD_MASK)
            rest >>= _WORD_BITS
        return np.array([*self._words, *state], np.uint32)


def open_coder(words: npt.NDArray[np.uint32]) -> PythonCoder:
    """Open a stream, or start one from no words; the last word, if any, is not zero."""
    return PythonCoder(words)
