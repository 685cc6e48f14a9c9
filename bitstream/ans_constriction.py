"""The ANS coder of the constriction library, fed so that it uses exactly our integer tables.

The library's non-perfect categorical model has the left cumulative `floor(sum_{j<i} w_j * scale) + i` with
`scale = (2^24 - n) / sum(w)`. The weights `(frequency << 8) - 1` sum to 2^24 - n, hence the scale is exactly 1, all
partial sums are exact integers, and entry i gets exactly `frequency << 8` of the 2^24 quantiles.
"""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError

NAME = "constriction"

# The library has no type information.
_stream: Any = import_module("constriction").stream


@contextmanager
def panics_as_errors() -> Generator[None]:
    """Turn a panic of the Rust library, which is no `Exception` and so escapes every handler, into a FormatError."""
    try:
        yield
    except BaseException as error:
        if not _is_panic(error):
            raise
        raise _failed(error) from None


def _is_panic(error: BaseException) -> bool:
    return type(error).__name__ == "PanicException"


def _failed(error: BaseException) -> FormatError:
    return FormatError(f"the entropy coder failed ({error}): get an undamaged copy of the file")


def model(frequencies: npt.NDArray[np.int32]) -> Any:
    """Build the library's model of (alphabet,) frequencies with the sum 2^16."""
    weights = (frequencies.astype(np.int64) << 8) - 1
    with panics_as_errors():
        # Without `perfect` the library prints a warning to the standard output.
        return _stream.model.Categorical(weights.astype(np.float64), perfect=False)


class ConstrictionCoder:
    """One stream. Start from its words, as `words` gives them."""

    def __init__(self, words: npt.NDArray[np.uint32]) -> None:
        with panics_as_errors():
            self._coder = _stream.stack.AnsCoder(np.ascontiguousarray(words, np.uint32))

    def push(self, entries: npt.NDArray[np.int32], model: Any) -> None:
        """Encode (n,) table entries so that `pop` returns them in this order."""
        with panics_as_errors():
            self._coder.encode_reverse(np.ascontiguousarray(entries, np.int32), model)

    def pop(self, count: int, model: Any) -> npt.NDArray[np.int32]:
        """Decode `count` table entries; past the end of the stream they are those of quantile 0."""
        try:  # as `panics_as_errors`, without its cost: a picture takes thousands of calls
            entries: npt.NDArray[np.int32] = self._coder.decode(model, count)
        except BaseException as error:
            if not _is_panic(error):
                raise
            raise _failed(error) from None
        return entries

    def position(self) -> tuple[int, int]:
        """Return the number of words on the stack and the state."""
        words_left, state = self._coder.pos()
        return int(words_left), int(state)

    def words(self) -> npt.NDArray[np.uint32]:
        """Return the stream: the stack, then the state, low word first, without its leading zero words."""
        words: npt.NDArray[np.uint32] = self._coder.get_compressed()
        return words


def open_coder(words: npt.NDArray[np.uint32]) -> ConstrictionCoder:
    """Open a stream, or start one from no words; the last word, if any, is not zero."""
    return ConstrictionCoder(words)


def is_exact() -> bool:
    """Tell whether this version of the library still treats tables and state as FORMAT.md says."""
    coder = open_coder(np.array([0x89ABCDEF, 0x01234567], np.uint32))
    coder.push(np.array([0, 1, 2, 1], np.int32), model(np.array([1, 65000, 535], np.int32)))
    words: list[int] = coder.words().tolist()
    return words == [0xA825B7EF, 0xC30000B3, 0x8DAE]
