"""The entropy model of binary codes is fitted to what tells about them, and to nothing that is not known yet."""

import numpy as np
import numpy.typing as npt
import pytest

pytestmark = pytest.mark.train

from nicodec.bitstream.code_context import NOTHING, PHASES
from nicodec.bitstream.code_layers import CodeLayerCoder
from nicodec.training import code_entropy

Codes = npt.NDArray[np.uint8]

LAYERS, CHANNELS = 2, 4


def pictures(seed: int, count: int = 3) -> list[Codes]:
    """Codes with three ties: layer 1 repeats layer 0 mostly, channel 3 is like channel 0, the others are noise.

    Of sizes that differ, so that what lies between the pictures would be noticed.
    """
    rng = np.random.default_rng(seed)
    made: list[Codes] = []
    for index in range(count):
        codes = rng.integers(0, 2, (LAYERS, CHANNELS, 40 + 3 * index, 50 - index), np.uint8)
        alike = rng.random(codes.shape[2:]) < 0.9
        codes[0, 3] = np.where(alike, codes[0, 0], codes[0, 3])
        repeated = rng.random(codes.shape[1:]) < 0.9
        codes[1] = np.where(repeated, codes[0], codes[1])
        made.append(codes)
    return made


def bits(seen: list[Codes], coded: list[Codes]) -> npt.NDArray[np.float64]:
    """Bits per code of every layer of other pictures than the model was fitted to."""
    model = code_entropy.fit(seen)
    totals = np.zeros(LAYERS)
    for codes in coded:
        coder = CodeLayerCoder(model, *codes.shape[2:])
        totals += [8 * len(coder.encode(layer)) for layer in codes]
    shares: npt.NDArray[np.float64] = totals / sum(codes[0].size for codes in coded)
    return shares


def entropy(share: float) -> float:
    return float(-share * np.log2(share) - (1 - share) * np.log2(1 - share))


def test_ties_are_found_and_noise_costs_nothing_more() -> None:
    """Of layer 0 one channel in four is predicted at 95%, of layer 1 all are."""
    found = bits(pictures(1, 12), pictures(2))
    assert found[0] == pytest.approx(0.75 + 0.25 * entropy(0.95), abs=0.02)
    assert found[1] == pytest.approx(entropy(0.95), abs=0.02)


def test_the_best_code_to_look_at_comes_first() -> None:
    model = code_entropy.fit(pictures(3, 6))
    for phase in range(PHASES):
        assert model.seen[0, 3, phase, 0].tolist() == [0, 0, 0, 0]
        for channel in range(CHANNELS):
            assert model.seen[1, channel, phase, 0].tolist() == [1, channel, 0, 0]
    assert (model.seen[0, 0, 0, :, 0] == NOTHING).all()


def test_candidates_are_known_before() -> None:
    """Every candidate of every code is allowed by the check that readers make, whatever is chosen."""
    channels = 8
    bounds = np.arange(0, channels + 1, 2)
    for layer, channel, phase in np.ndindex(4, channels, PHASES):
        places = code_entropy.candidates(layer, channel, phase, bounds)
        assert len(set(places)) == len(places)
        group = channel // 2
        for back, other, down, right in places:
            earlier = other // 2 < group
            beside = other // 2 == group and phase == 1 and (down + right) % 2 == 1
            assert 0 < back <= layer or (back == 0 and (earlier or beside))


def test_columns_that_tell_nothing_are_left_out() -> None:
    """A code that is 1 where two others are: both are looked at, the rest is not."""
    rng = np.random.default_rng(5)
    columns = [rng.integers(0, 2, 20000, np.uint8) for _ in range(4)]
    codes = np.minimum(columns[1], columns[2])
    chosen = code_entropy.choose(codes, columns, 4)
    assert sorted(chosen[:2]) == [1, 2]
    assert len(chosen) == 2  # the others cost contexts and tell nothing
