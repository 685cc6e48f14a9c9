"""Layers of binary codes: what goes in comes out, as FORMAT.md says, and nothing looks at what is not known yet."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.ans import AnsDecoder
from nicodec.bitstream.code_context import NOTHING, PHASES, CodeContext
from nicodec.bitstream.code_layers import CodeLayerCoder
from nicodec.bitstream.layer_coder import UNKNOWN
from nicodec.errors import FormatError

Codes = npt.NDArray[np.uint8]

LAYERS, CHANNELS, SEEN = 5, 6, 4
BOUNDS = np.array([0, 2, 6])


def any_place(rng: np.random.Generator, layer: int, channel: int, phase: int) -> tuple[int, int, int, int]:
    """A place that the format allows, or nothing."""
    start = int(BOUNDS[np.searchsorted(BOUNDS[1:], channel, side="right")])
    down, right = (int(v) for v in rng.integers(-2, 3, 2))
    back, other = int(rng.integers(0, min(layer, 3) + 1)), int(rng.integers(CHANNELS))
    if back == 0 and other >= start:
        if phase == 0 and start == 0:
            return (NOTHING, 0, 0, 0)
        if phase == 0:
            return (0, int(rng.integers(start)), down, right)
        return (0, min(other, BOUNDS[1] - 1) if start == 0 else other, 1, 0)
    return (back, other, down, right)


def any_context(seed: int) -> CodeContext:
    """A model whose contexts are drawn, but allowed."""
    rng = np.random.default_rng(seed)
    seen = np.zeros((LAYERS, CHANNELS, PHASES, SEEN, 4), np.int16)
    for layer, channel, phase, bit in np.ndindex(*seen.shape[:-1]):
        seen[layer, channel, phase, bit] = any_place(rng, layer, channel, phase)
    contexts = rng.integers(0, 7, (LAYERS, CHANNELS, PHASES, 1 << SEEN)).astype(np.uint8)
    model = CodeContext(BOUNDS, seen, contexts, np.array([1, 900, 9000, 32768, 40000, 65000, 65535], np.int32))
    model.check()
    return model


def any_codes(seed: int, height: int, width: int, layers: int = LAYERS) -> Codes:
    """Codes of which neighbours are alike."""
    rng = np.random.default_rng(seed)
    smooth = rng.standard_normal((layers, CHANNELS, height, width)).cumsum(axis=3)
    ones: Codes = (smooth > 0).astype(np.uint8)
    return ones


def coded(model: CodeContext, codes: Codes) -> list[bytes]:
    coder = CodeLayerCoder(model, *codes.shape[2:])
    return [coder.encode(layer) for layer in codes]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 9), width=st.integers(1, 9), layers=st.integers(1, LAYERS))
def test_what_goes_in_comes_out(seed: int, height: int, width: int, layers: int) -> None:
    model, codes = any_context(seed), any_codes(seed + 1, height, width, layers)
    coder = CodeLayerCoder(model, height, width)
    assert np.array_equal(np.stack([coder.decode(data) for data in coded(model, codes)]), codes)


def table_by_the_format(model: CodeContext, codes: Codes, at: tuple[int, int, int, int]) -> int:
    """The table of one code, in the words of FORMAT.md."""
    layer, channel, row, column = at
    context = 0
    for bit, (back, other, down, right) in enumerate(model.seen[layer, channel, (row + column) % 2].tolist()):
        y, x = row + down, column + right
        inside = 0 <= y < codes.shape[2] and 0 <= x < codes.shape[3]
        context |= int(codes[layer - back, other, y, x]) << bit if back >= 0 and inside else 0
    return int(model.contexts[layer, channel, (row + column) % 2, context])


def test_order_and_contexts_are_those_of_the_format() -> None:
    """Decodes with the coder alone, tables and order straight from the text."""
    model, codes = any_context(3), any_codes(4, 5, 7)
    for layer, data in enumerate(coded(model, codes)):
        decoder = AnsDecoder(data)
        for start, stop in ((0, 2), (2, 6)):
            for phase in range(PHASES):
                step = [
                    (layer, channel, row, column)
                    for row, column in np.ndindex(5, 7)
                    if (row + column) % 2 == phase
                    for channel in range(start, stop)
                ]
                tables = np.array([table_by_the_format(model, codes, at) for at in step])
                expected = [int(codes[at]) for at in step]
                assert decoder.take_grouped(tables, model.tables).tolist() == expected
        decoder.finish()


def test_likely_codes_cost_less() -> None:
    """A code that repeats its left neighbour costs under a third of a bit if the model knows."""
    model = any_context(0)
    seen = np.zeros_like(model.seen)
    seen[..., 0] = NOTHING
    seen[:, :, 1, 0] = [[(0, channel, 0, -1) for channel in range(CHANNELS)]] * LAYERS
    contexts = np.full_like(model.contexts, 3)
    contexts[:, :, 1, 0::2], contexts[:, :, 1, 1::2] = 1, 5
    knowing = replace(model, seen=seen, contexts=contexts)
    codes = np.repeat(any_codes(1, 40, 20), 2, axis=3)
    codes = np.where(np.arange(40)[:, None] % 2 == 0, codes, np.roll(codes, 1, axis=3))
    blind = replace(model, seen=np.where(np.arange(4) == 0, NOTHING, seen), contexts=np.full_like(model.contexts, 3))
    sizes = [sum(map(len, coded(m, codes))) for m in (knowing, blind)]
    assert sizes[1] == pytest.approx(codes.size / 8, rel=0.01)
    assert sizes[0] < 0.9 * sizes[1]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_a_prefix_gives_what_is_certain(seed: int, share: float) -> None:
    model, codes = any_context(seed), any_codes(seed + 1, 12, 16, 2)
    first, second = coded(model, codes)
    coder = CodeLayerCoder(model, 12, 16)
    coder.decode(first)
    found = coder.decode_prefix(second[: int(share * len(second))], len(second))
    known = found != UNKNOWN
    assert np.array_equal(found[known], codes[1][known])
    assert known.all() == (int(share * len(second)) == len(second))


def test_a_longer_prefix_gives_more() -> None:
    model, codes = any_context(8), any_codes(9, 32, 32, 1)
    (data,) = coded(model, codes)
    cuts = range(0, len(data) + 1, 10)
    known = [int((CodeLayerCoder(model, 32, 32).decode_prefix(data[:cut], len(data)) != UNKNOWN).sum()) for cut in cuts]
    assert known == sorted(known)
    assert len(set(known)) == 2 * (len(BOUNDS) - 1)


def test_damaged_layers_are_refused() -> None:
    model, codes = any_context(5), any_codes(6, 8, 8, 1)
    (data,) = coded(model, codes)
    for wrong in (data + b"\1", b"\0" + data, data[:-1], data[1:]):
        with pytest.raises(FormatError):
            CodeLayerCoder(model, 8, 8).decode(wrong)
    with pytest.raises(FormatError):
        CodeLayerCoder(model, 8, 9).decode(data)


def test_models_survive_their_arrays() -> None:
    model = any_context(11)
    again = CodeContext.from_arrays(model.to_arrays())
    codes = any_codes(12, 6, 6)
    assert coded(again, codes) == coded(model, codes)
    for name in model.to_arrays():
        with pytest.raises(FormatError, match=name):
            CodeContext.from_arrays({key: array for key, array in model.to_arrays().items() if key != name})


def spoilt(name: str, index: Any, value: Any) -> dict[str, npt.NDArray[Any]]:
    arrays = any_context(2).to_arrays()
    arrays[name] = arrays[name].copy()
    arrays[name][index] = value
    return arrays


@pytest.mark.parametrize(
    ("name", "index", "value"),
    [
        ("seen", (1, 0, 0, 0), (0, 0, 0, 0)),  # itself
        ("seen", (1, 3, 0, 0), (0, 2, 0, 1)),  # its group in the first phase
        ("seen", (1, 3, 1, 0), (0, 2, 1, 1)),  # its own phase
        ("seen", (1, 0, 1, 0), (0, 4, 0, 1)),  # a later group
        ("seen", (1, 0, 0, 0), (2, 0, 0, 0)),  # before the first layer
        ("seen", (4, 0, 0, 0), (4, 0, 0, 0)),  # too many layers back
        ("seen", (4, 0, 0, 0), (-2, 0, 0, 0)),
        ("seen", (4, 0, 0, 0), (1, CHANNELS, 0, 0)),
        ("seen", (4, 0, 0, 0), (1, -1, 0, 0)),
        ("seen", (4, 0, 0, 0), (1, 0, 3, 0)),
        ("seen", (4, 0, 0, 0), (1, 0, 0, -3)),
        ("contexts", (0, 0, 0, 0), 7),
        ("ones", 0, 0),
        ("bounds", 1, 0),
        ("bounds", 2, 5),
    ],
)
def test_impossible_models_are_refused(name: str, index: Any, value: Any) -> None:
    with pytest.raises(FormatError, match="reinstall"):
        CodeContext.from_arrays(spoilt(name, index, value))


def test_arrays_of_other_shapes_are_refused() -> None:
    arrays = any_context(2).to_arrays()
    for name, array in (
        ("seen", arrays["seen"][:, :, :1]),
        ("seen", arrays["seen"][..., :3]),
        ("seen", arrays["seen"][0]),
        ("contexts", arrays["contexts"][..., :-1]),
        ("bounds", arrays["bounds"][None]),
        ("bounds", arrays["bounds"][:1]),
        ("ones", arrays["ones"][None]),
        ("ones", arrays["ones"][:0]),
    ):
        with pytest.raises(FormatError, match="reinstall"):
            CodeContext.from_arrays({**arrays, name: array})
