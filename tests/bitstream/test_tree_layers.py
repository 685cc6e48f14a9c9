"""Layers of decisions: what goes in comes out, as FORMAT.md says, exactly, however sums are added up."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.ans import AnsDecoder
from nicodec.bitstream.code_context import PHASES
from nicodec.bitstream.code_trees import CELLS, MAX_DEPTH, CodeTrees
from nicodec.bitstream.layer_coder import UNKNOWN
from nicodec.bitstream.tree_context import TreeContext
from nicodec.bitstream.tree_layers import TreeLayerCoder, surroundings
from nicodec.errors import FormatError

Codes = npt.NDArray[np.uint8]

COEFFICIENTS, LAYERS, CHANNELS, CLASSES = 7, 4, 6, 5


def any_context(seed: int) -> TreeContext:
    """A model whose numbers are drawn, but allowed."""
    rng = np.random.default_rng(seed)
    pool = np.repeat(np.arange(COEFFICIENTS), MAX_DEPTH)
    trees = CodeTrees(COEFFICIENTS, rng.permutation(pool)[: LAYERS * CHANNELS].reshape(LAYERS, CHANNELS))
    shape = (LAYERS, PHASES, CHANNELS)
    weights = rng.integers(-128, 128, (*shape, 2, COEFFICIENTS)).astype(np.int8)
    weights[:, :, :, :, rng.random(COEFFICIENTS) < 0.3] = 0
    bounds = np.sort(rng.integers(-200_000, 200_000, (*shape, CLASSES - 1)), axis=-1)
    size = PHASES * int((CLASSES << trees.split_depths).sum())
    ones = np.array([1, 900, 9000, 32768, 40000, 65000, 65535], np.int32)
    contexts = rng.integers(0, len(ones), size).astype(np.uint8)
    magnitudes = rng.integers(0, 256, (COEFFICIENTS, CELLS)).astype(np.uint8)
    model = TreeContext(trees, magnitudes, weights, bounds, contexts, ones)
    model.check()
    return model


def any_codes(seed: int, height: int, width: int, layers: int = LAYERS) -> Codes:
    return np.random.default_rng(seed).integers(0, 2, (layers, CHANNELS, height, width)).astype(np.uint8)


def coded(model: TreeContext, codes: Codes) -> list[bytes]:
    coder = TreeLayerCoder(model, *codes.shape[2:])
    return [coder.encode(layer) for layer in codes]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 9), width=st.integers(1, 9), layers=st.integers(1, LAYERS))
def test_what_goes_in_comes_out(seed: int, height: int, width: int, layers: int) -> None:
    model, codes = any_context(seed), any_codes(seed + 1, height, width, layers)
    coder = TreeLayerCoder(model, height, width)
    assert np.array_equal(np.stack([coder.decode(data) for data in coded(model, codes)]), codes)


class ByTheFormat:
    """The tables of codes in the words of FORMAT.md, with Python's integers."""

    def __init__(self, model: TreeContext, height: int, width: int) -> None:
        self.model = model
        self.cells = [[[1] * width for _ in range(height)] for _ in range(COEFFICIENTS)]

    def magnitude(self, coefficient: int, row: int, column: int) -> int:
        """Zero outside of the picture."""
        if not (0 <= row < len(self.cells[0]) and 0 <= column < len(self.cells[0][0])):
            return 0
        return int(self.model.magnitudes[coefficient, self.cells[coefficient][row][column]])

    def class_of(self, layer: int, channel: int, row: int, column: int) -> int:
        phase = (row + column) % 2
        own, around = self.model.weights[layer, phase, channel].astype(int).tolist()
        total = 0
        for coefficient in range(COEFFICIENTS):
            total += own[coefficient] * self.magnitude(coefficient, row, column)
            for down in (-1, 0, 1):
                for right in (-1, 0, 1):
                    share = (0, 2, 1)[abs(down) + abs(right)]
                    total += around[coefficient] * share * self.magnitude(coefficient, row + down, column + right)
        return sum(total >= bound for bound in self.model.bounds[layer, phase, channel].tolist())

    def table(self, layer: int, channel: int, row: int, column: int, its_class: int) -> int:
        start = 0
        for other in np.ndindex(LAYERS, CHANNELS, PHASES):
            if other == (layer, channel, (row + column) % 2):
                break
            start += CLASSES << int(self.model.trees.split_depths[other[:2]])
        cell = self.cells[self.model.trees.plan[layer, channel]][row][column]
        first = 1 << (cell.bit_length() - 1)
        return int(self.model.contexts[start + (cell - first) * CLASSES + its_class])


def test_order_and_tables_are_those_of_the_format() -> None:
    """Decodes with the coder alone, tables and order straight from the text."""
    model, codes = any_context(3), any_codes(4, 5, 4)
    known = ByTheFormat(model, 5, 4)
    for layer, data in enumerate(coded(model, codes)):
        decoder = AnsDecoder(data)
        for phase in range(PHASES):
            places = [(row, column) for row, column in np.ndindex(5, 4) if (row + column) % 2 == phase]
            classes = {
                (channel, *at): known.class_of(layer, channel, *at) for channel in range(CHANNELS) for at in places
            }
            for channels in rounds(model.trees.plan[layer].tolist()):
                step = [(channel, *at) for at in places for channel in channels]
                tables = np.array([known.table(layer, *place, classes[place]) for place in step])
                expected = [int(codes[layer, *place]) for place in step]
                assert decoder.take_grouped(tables, model.tables).tolist() == expected
                for (channel, row, column), code in zip(step, expected, strict=True):
                    cells = known.cells[model.trees.plan[layer, channel]]
                    cells[row][column] = 2 * cells[row][column] + code
        decoder.finish()


def rounds(plan: list[int]) -> list[list[int]]:
    """Channels by how often their coefficient came before in the layer."""
    found: list[list[int]] = []
    for channel, coefficient in enumerate(plan):
        nth = plan[:channel].count(coefficient)
        found += [[]] * (nth == len(found))
        found[nth] = [*found[nth], channel]
    return found


def test_surroundings_count_edges_twice() -> None:
    planes = np.zeros((1, 4, 5), np.uint8)
    planes[0, 1, 2] = 255
    assert surroundings(planes)[0].tolist() == [
        [0, 255, 510, 255, 0],
        [0, 510, 0, 510, 0],
        [0, 255, 510, 255, 0],
        [0, 0, 0, 0, 0],
    ]
    assert int(surroundings(np.full((1, 3, 3), 255, np.uint8))[0, 1, 1]) == 12 * 255


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_a_prefix_gives_what_is_certain(seed: int, share: float) -> None:
    model, codes = any_context(seed), any_codes(seed + 1, 12, 16, 2)
    first, second = coded(model, codes)
    coder = TreeLayerCoder(model, 12, 16)
    coder.decode(first)
    found = coder.decode_prefix(second[: int(share * len(second))], len(second))
    known = found != UNKNOWN
    assert np.array_equal(found[known], codes[1][known])
    assert known.all() == (int(share * len(second)) == len(second))


def test_large_pictures_are_coded_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    model, codes = any_context(6), any_codes(7, 40, 3)
    expected = coded(model, codes)
    monkeypatch.setattr("nicodec.bitstream.tree_layers._BLOCK", 2 * 40 * 3)
    assert coded(model, codes) == expected


def test_damaged_layers_are_refused() -> None:
    model, codes = any_context(5), any_codes(6, 8, 8, 1)
    (data,) = coded(model, codes)
    for wrong in (data + b"\1", b"\0" + data, data[:-1], data[1:]):
        with pytest.raises(FormatError):
            TreeLayerCoder(model, 8, 8).decode(wrong)
    with pytest.raises(FormatError):
        TreeLayerCoder(model, 8, 9).decode(data)


def test_models_survive_their_arrays() -> None:
    model, codes = any_context(11), any_codes(12, 6, 6)
    arrays = model.to_arrays()
    assert coded(TreeContext.from_arrays(arrays), codes) == coded(model, codes)
    for name in arrays:
        with pytest.raises(FormatError, match=name):
            TreeContext.from_arrays({key: array for key, array in arrays.items() if key != name})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("plan", lambda a: a + COEFFICIENTS),
        ("plan", lambda a: np.zeros_like(a)),
        ("plan", lambda a: a[:, 1:]),
        ("magnitudes", lambda a: a[:, 1:]),
        ("magnitudes", lambda a: a[1:]),
        *((name, lambda a: a.astype(np.float32)) for name in ("plan", "magnitudes", "weights", "contexts", "ones")),
        *((name, lambda a: a.astype(np.int64)) for name in ("plan", "magnitudes", "weights", "bounds", "contexts")),
        ("plan", lambda a: a.astype("S4")),
        ("weights", lambda a: a[..., 1:]),
        ("bounds", lambda a: a[..., ::-1]),
        ("bounds", lambda a: a[1:]),
        ("bounds", lambda a: np.repeat(a, 64, axis=-1)),
        ("bounds", lambda a: a.astype(np.float64) * np.nan),
        ("contexts", lambda a: a[1:]),
        ("contexts", lambda a: a + 7),
        ("ones", lambda a: a[None]),
        ("ones", lambda a: a * 0),
    ],
)
def test_impossible_models_are_refused(name: str, change: Any) -> None:
    arrays = any_context(2).to_arrays()
    with pytest.raises(FormatError, match="reinstall"):
        TreeContext.from_arrays({**arrays, name: change(arrays[name])})
