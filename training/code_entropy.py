"""Fits the entropy model of binary codes: for every layer, channel and phase, which known codes to look at, and how often
a 1 follows each of their combinations.

The codes to look at are chosen one after the other, each the one that leaves the fewest bits beside those before it.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..bitstream.code_context import MAX_BACK, NOTHING, PHASES, REACH, CodeContext, Codes
from .shares import frequencies, nearest

GROUPS = 16
SEEN = 8

# Candidates that agree with the code most, of which the best are chosen in turn.
_SHORT_LIST = 80
# Weight of the estimate from one code less, in observations, where a context is rare.
_PRIOR = 6.0
_CROSS = ((-1, 0), (0, -1), (0, 1), (1, 0))
_SQUARE = tuple((down, right) for down in (-1, 0, 1) for right in (-1, 0, 1))

Place = tuple[int, int, int, int]
"""Layers back, channel, rows down, columns to the right."""


def fit(pictures: Sequence[Codes]) -> CodeContext:
    """The entropy model that suits some pictures.

    Args:
        pictures: of each, uint8 (layers, channels, h, w), 0 or 1.
    """
    samples = _Samples(pictures)
    layers, channels = samples.known.shape[1:3]
    bounds = np.linspace(0, channels, min(GROUPS, channels) + 1).round().astype(np.int64)
    seen = np.zeros((layers, channels, PHASES, SEEN, 4), np.int16)
    seen[..., 0] = NOTHING
    contexts = np.zeros((layers, channels, PHASES, 1 << SEEN), np.uint8)
    cells = [
        (layer, channel, phase) for layer in range(layers) for channel in range(channels) for phase in range(PHASES)
    ]
    for layer, channel, phase in tqdm(cells, "contexts", disable=None):
        codes = samples.codes(layer, phase, (0, channel, 0, 0))
        places = candidates(layer, channel, phase, bounds)
        columns = [samples.codes(layer, phase, place) for place in places]
        chosen = choose(codes, columns, SEEN)
        for bit, index in enumerate(chosen):
            seen[layer, channel, phase, bit] = places[index]
        shares = _shares(codes, [columns[index] for index in chosen])
        contexts[layer, channel, phase] = nearest(shares)
    model = CodeContext(bounds, seen, contexts, frequencies())
    model.check()
    return model


class _Samples:
    """Codes of all pictures in planes of one size, zero around.

    Attributes:
        known: uint8 (pictures, layers, channels, padded height, padded width).
    """

    def __init__(self, pictures: Sequence[Codes]) -> None:
        layers, channels = pictures[0].shape[:2]
        height, width = (max(codes.shape[axis] for codes in pictures) + 2 * REACH for axis in (2, 3))
        self.known: Codes = np.zeros((len(pictures), layers, channels, height, width), np.uint8)
        inside = np.zeros((len(pictures), height, width), bool)
        for index, codes in enumerate(pictures):
            rows, columns = (slice(REACH, REACH + side) for side in codes.shape[2:])
            self.known[index, :, :, rows, columns] = codes
            inside[index, rows, columns] = True
        odd = np.indices((height, width)).sum(axis=0) % PHASES  # REACH is even: as if counted from the picture's corner
        self._inside = [inside & (odd == phase) for phase in range(PHASES)]

    def codes(self, layer: int, phase: int, place: Place) -> Codes:
        """What is at a place seen from every position of a phase, (n,)."""
        back, channel, down, right = place
        plane = self.known[:, layer - back, channel]
        found: Codes = np.roll(plane, (-down, -right), axis=(1, 2))[self._inside[phase]]
        return found


def candidates(layer: int, channel: int, phase: int, bounds: npt.NDArray[np.int64]) -> list[Place]:
    """Places of codes that are known before those of a channel and phase and may tell about them."""
    group = int(np.searchsorted(bounds[1:], channel, side="right"))
    start, stop, channels = int(bounds[group]), int(bounds[group + 1]), int(bounds[-1])
    found: list[Place] = [(0, other, *at) for other in range(start) for at in ((0, 0), *_CROSS)]
    if phase == 1:
        found += [(0, other, *at) for other in range(start, stop) for at in _CROSS]
    for back in range(1, min(layer, MAX_BACK) + 1):
        found += [(back, channel, *at) for at in _SQUARE]
        found += [(back, other, 0, 0) for other in range(channels) if other != channel]
    return found


def choose(codes: Codes, columns: Sequence[Codes], count: int) -> list[int]:
    """Which columns, each (n,) of 0 and 1, together tell most about the codes (n,); at most `count`, the best first."""
    short = _most_alike(codes, columns)
    context, chosen, bits = codes.astype(np.intp), list[int](), np.inf
    for size in range(min(count, len(short))):
        rest = [index for index in short if index not in chosen]
        # The code itself is the lowest bit of what is counted.
        prices = [_bits(context + (columns[index].astype(np.intp) << (size + 1)), size + 2) for index in rest]
        best = int(np.argmin(prices))
        if prices[best] >= bits:
            break
        bits = prices[best]
        chosen.append(rest[best])
        context += columns[rest[best]].astype(np.intp) << (size + 1)
    return chosen


def _most_alike(codes: Codes, columns: Sequence[Codes]) -> list[int]:
    if not columns:
        return []
    signs = np.stack(columns).astype(np.float32)
    signs -= signs.mean(axis=1, keepdims=True)
    centred = codes - codes.mean(dtype=np.float32)
    alike = np.abs(signs @ centred) / np.sqrt(np.square(signs).sum(axis=1) + 1.0)
    best: list[int] = np.argsort(-alike, kind="stable")[:_SHORT_LIST].tolist()
    return best


def _bits(events: npt.NDArray[np.intp], bits: int) -> float:
    """Code length of the lowest bits of some events given the others, with the cost of learning each context."""
    counts = np.bincount(events, minlength=1 << bits).reshape(-1, 2).astype(np.float64)
    shares = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 1.0)
    return float(-(counts * np.log2(shares)).sum() + 0.5 * np.log2(1.0 + counts.sum(axis=1)).sum())


def _shares(codes: Codes, columns: Sequence[Codes]) -> npt.NDArray[np.float64]:
    """Share of ones in every context, those of rare ones drawn towards that of the context of one code less."""
    shares = np.full(1, (codes.sum() + 0.5) / (codes.size + 1.0))
    context = np.zeros(codes.size, np.intp)
    for bit, column in enumerate(columns):
        context += column.astype(np.intp) << bit
        count = np.bincount(context, minlength=2 << bit)
        ones = np.bincount(context, weights=codes, minlength=2 << bit)
        shares = (ones + _PRIOR * np.tile(shares, 2)) / (count + _PRIOR)
    return np.tile(shares, (1 << SEEN) // len(shares))
