"""The compact form of a frequency table in a file: weights on a logarithmic scale, predicted and Rice-coded.

Normative description: FORMAT.md §6. A representation yields non-negative integer weights; the table is
`tables.normalise(weights)`. In the rounded modes a weight is `2^(level / steps)` in whole numbers, and the levels are
coded as prediction errors; in the exact mode the weights are the frequencies minus 1, which `normalise` maps to
themselves.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..errors import FormatError

# floor(2^(8 + i/8)): one octave in eighths.
_OCTAVE = (256, 279, 304, 332, 362, 395, 431, 470)
_OCTAVES = 16
_EXACT_MODE = 0
# Level distance in eighths of an octave, for modes 1 to 4.
_STEPS = {1: 8, 2: 4, 3: 2, 4: 1}
_RICE_PARAMETERS = range(5)
_HEADER_GOLOMB = 3
_MAX_ALPHABET = 4096
_FREQUENCY_TOTAL = 1 << 16


class _BitWriter:
    """Bits, most significant first, padded with zeros to whole bytes."""

    def __init__(self) -> None:
        self._value = 0
        self._size = 0

    def bits(self, value: int, size: int) -> None:
        self._value = self._value << size | value
        self._size += size

    def rice(self, value: int, parameter: int) -> None:
        """Write a quotient as that many ones and a zero, then `parameter` low bits."""
        quotient = value >> parameter
        self.bits((1 << quotient + 1) - 2, quotient + 1)
        self.bits(value & (1 << parameter) - 1, parameter)

    def golomb(self, value: int, parameter: int = 0) -> None:
        """Write an exp-Golomb code of the order `parameter`."""
        shifted = value + (1 << parameter)
        self.bits(shifted, 2 * shifted.bit_length() - 1 - parameter)

    def to_bytes(self) -> bytes:
        padding = -self._size % 8
        return (self._value << padding).to_bytes((self._size + padding) // 8, "big")


class _BitReader:
    """The mirror of _BitWriter; every method raises FormatError where the data ends."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    def bits(self, size: int) -> int:
        value = 0
        for _ in range(size):
            if self._position >= 8 * len(self._data):
                raise FormatError("frequency table ends too early: get an undamaged copy of the file")
            bit = self._data[self._position >> 3] >> (7 - (self._position & 7)) & 1
            value = value << 1 | bit
            self._position += 1
        return value

    def _run(self, bit: int, limit: int) -> int:
        """Count equal bits up to the first that differs, and consume that one as well."""
        length = 0
        while self.bits(1) == bit:
            length += 1
            if length > limit:
                raise FormatError("frequency table has an overlong code: get an undamaged copy of the file")
        return length

    def rice(self, parameter: int, limit: int) -> int:
        quotient = self._run(1, limit >> parameter)
        return quotient << parameter | self.bits(parameter)

    def golomb(self, parameter: int, limit: int) -> int:
        size = self._run(0, limit.bit_length()) + parameter
        return (1 << size | self.bits(size)) - (1 << parameter)

    def finish(self) -> int:
        """Consume the padding and return the number of bytes read."""
        if self.bits(-self._position % 8):
            raise FormatError("frequency table is not padded with zeros: get an undamaged copy of the file")
        return self._position // 8


def write_exact(frequencies: npt.NDArray[np.int32], minimum: int) -> bytes:
    """Encode (n,) frequencies with the sum 65536 as they are; the last one is implied."""
    writer = _BitWriter()
    writer.bits(_EXACT_MODE, 3)
    _write_range(writer, minimum, frequencies.size)
    for frequency in frequencies[:-1].tolist():
        writer.golomb(frequency - 1)
    return writer.to_bytes()


def write_rounded(weights: npt.NDArray[np.int64], minimum: int) -> Iterator[bytes]:
    """Yield, for each step of the logarithmic scale, the shortest encoding of (n,) non-negative weights."""
    for mode, step in _STEPS.items():
        levels = _levels(weights, step)
        if not any(levels):
            levels = [1] * len(levels)
        errors = [[_fold(error) for error in _prediction_errors(levels, order)] for order in (0, 1)]
        order, parameter = min(
            ((order, parameter) for order in (0, 1) for parameter in _RICE_PARAMETERS),
            key=lambda choice: sum((error >> choice[1]) + 1 + choice[1] for error in errors[choice[0]]),
        )
        writer = _BitWriter()
        writer.bits(mode, 3)
        _write_range(writer, minimum, weights.size)
        writer.bits(order, 1)
        writer.bits(parameter, 3)
        for error in errors[order]:
            writer.rice(error, parameter)
        yield writer.to_bytes()


def read(data: bytes) -> tuple[int, npt.NDArray[np.int64], int]:
    """Decode the representation at the start of `data`.

    Returns:
        The symbol of entry 0 (in -65536..65535), the (n,) weights (n in 2..4096), and the number of bytes read.

    Raises:
        FormatError: the data does not start with a table.
    """
    reader = _BitReader(data)
    mode = reader.bits(3)
    minimum = _unfold(reader.golomb(_HEADER_GOLOMB, _FREQUENCY_TOTAL))
    alphabet = 2 + reader.golomb(_HEADER_GOLOMB, _MAX_ALPHABET)
    if alphabet > _MAX_ALPHABET:
        raise FormatError(f"frequency table declares {alphabet} entries: the format allows {_MAX_ALPHABET}")
    if mode == _EXACT_MODE:
        weights = _read_exact(reader, alphabet)
    elif mode in _STEPS:
        weights = _read_rounded(reader, alphabet, _STEPS[mode])
    else:
        raise FormatError(
            f"frequency table has the unknown mode {mode}: install a newer version or get an undamaged copy"
        )
    return minimum, np.array(weights, np.int64), reader.finish()


def _write_range(writer: _BitWriter, minimum: int, alphabet: int) -> None:
    writer.golomb(_fold(minimum), _HEADER_GOLOMB)
    writer.golomb(alphabet - 2, _HEADER_GOLOMB)


def _read_exact(reader: _BitReader, alphabet: int) -> list[int]:
    weights = [reader.golomb(0, _FREQUENCY_TOTAL) for _ in range(alphabet - 1)]
    last = _FREQUENCY_TOTAL - alphabet - sum(weights)
    if last < 0:
        raise FormatError(f"frequency table sums to more than {_FREQUENCY_TOTAL}: get an undamaged copy of the file")
    return [*weights, last]


def _read_rounded(reader: _BitReader, alphabet: int, step: int) -> list[int]:
    order, parameter = reader.bits(1), reader.bits(3)
    highest = _highest_level(step)
    levels: list[int] = []
    for _ in range(alphabet):
        level = _prediction(levels, order) + _unfold(reader.rice(parameter, 4 * highest))
        if not 0 <= level <= highest:
            raise FormatError(f"frequency table has a level outside 0..{highest}: get an undamaged copy of the file")
        levels.append(level)
    if not any(levels):
        raise FormatError("frequency table has no symbol: get an undamaged copy of the file")
    return [_weight(level, step) for level in levels]


def _highest_level(step: int) -> int:
    return 1 + 8 * _OCTAVES // step


def _weight(level: int, step: int) -> int:
    if level == 0:
        return 0
    octaves, eighths = divmod((level - 1) * step, 8)
    return _OCTAVE[eighths] << octaves


def _levels(weights: npt.NDArray[np.int64], step: int) -> list[int]:
    """Round weights to levels, with level 1 at the smallest positive weight or 16 octaves below the largest."""
    positive = weights > 0
    if not positive.any():
        return [0] * weights.size
    logarithms = np.log2(np.where(positive, weights, 1).astype(np.float64))
    lowest = max(float(logarithms[positive].min()), float(logarithms.max()) - _OCTAVES)
    levels = 1 + np.rint(np.maximum(logarithms - lowest, 0) * (8 / step)).astype(np.int64)
    rounded: list[int] = np.where(positive, np.minimum(levels, _highest_level(step)), 0).tolist()
    return rounded


def _prediction(previous: list[int], order: int) -> int:
    """Predict a level by the one before (order 0), or by the line through the two before, at least 0 (order 1)."""
    if not previous:
        return 0
    if order == 0 or len(previous) == 1:
        return previous[-1]
    return max(0, 2 * previous[-1] - previous[-2])


def _prediction_errors(levels: list[int], order: int) -> list[int]:
    return [level - _prediction(levels[max(0, i - 2) : i], order) for i, level in enumerate(levels)]


def _fold(value: int) -> int:
    """Map 0, -1, 1, -2, 2 ... to 0, 1, 2, 3, 4 ..."""
    return 2 * value if value >= 0 else -2 * value - 1


def _unfold(folded: int) -> int:
    return folded >> 1 if folded & 1 == 0 else -(folded >> 1) - 1
