"""The context profile: round trips, the normative formulae, exactness, and damage."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.ans import AnsDecoder, AnsEncoder
from nicodec.bitstream.context import ContextModel, Walk, decode, encode, ideal_bits, phase_positions
from nicodec.errors import FormatError

ModelMaker = Callable[..., ContextModel]
Planes = npt.NDArray[np.int32]

CODEBOOKS = [(-15, 16), (0, 1), (-1, 0), (-3, 9), (-200, 100), (2, 5), (-7, -3)]


def random_latents(model: ContextModel, height: int, width: int, seed: int = 0) -> Planes:
    shape = (model.channels, height, width)
    return np.random.default_rng(seed).integers(model.minimum, model.maximum + 1, shape, np.int32)


def coded(model: ContextModel, latents: Planes) -> bytes:
    encoder = AnsEncoder()
    encode(model, latents, encoder)
    return encoder.finish()


def restored(model: ContextModel, data: bytes, height: int, width: int) -> Planes:
    decoder = AnsDecoder(data)
    latents = decode(model, height, width, decoder)
    decoder.finish()
    return latents


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.sampled_from(CODEBOOKS))
def test_round_trip(
    context_model: ModelMaker, seed: int, channels: int, height: int, width: int, codebook: tuple[int, int]
) -> None:
    model = context_model(seed, channels, codebook)
    latents = random_latents(model, height, width, seed)
    result = restored(model, coded(model, latents), height, width)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, latents)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 401), (401, 1), (2, 2), (33, 47)])
def test_round_trip_of_odd_shapes(context_model: ModelMaker, shape: tuple[int, int]) -> None:
    model = context_model(1, channels=4)
    latents = random_latents(model, *shape)
    np.testing.assert_array_equal(restored(model, coded(model, latents), *shape), latents)


@given(st.integers(1, 12), st.integers(1, 12))
def test_phases_hold_every_position_once(height: int, width: int) -> None:
    positions = np.concatenate(phase_positions(height, width))
    assert sorted(positions.tolist()) == list(range(height * width))


def test_size_is_the_ideal_one(context_model: ModelMaker) -> None:
    model = context_model(2, channels=4)
    latents = random_latents(model, 24, 31)
    size, ideal = 8 * len(coded(model, latents)), ideal_bits(model, latents)
    assert ideal - 1 <= size <= 1.01 * ideal + 64


def test_better_tables_make_smaller_files(context_model: ModelMaker) -> None:
    """The tables in use are those that the model names: counts of what they really code must pay off."""
    model = context_model(3, channels=3)
    latents = np.clip(random_latents(model, 40, 40), -2, 2)
    counts = np.ones_like(model.tables.frequencies)
    for values, bases, indexes in walked(model, latents):
        np.add.at(counts, (indexes.ravel(), (values - bases).ravel() - model.tables.minimum), 1000)
    better = replace(model, tables=type(model.tables).from_counts(counts, model.tables.minimum))
    assert len(coded(better, latents)) < 0.7 * len(coded(model, latents))


def walked(model: ContextModel, latents: Planes) -> Iterator[tuple[Planes, Planes, npt.NDArray[np.int64]]]:
    """Values, predictions and table indexes of every step."""
    walk = Walk(model, latents.shape[1], latents.shape[2])
    for step in walk.steps():
        values = latents[walk.channels_of(step)].reshape(len(step.ranks), -1)[:, step.positions]
        yield values, *step.contexts()
        walk.learn(step, values)


def symbols(model: ContextModel, latents: Planes) -> list[tuple[int, int]]:
    """The symbol and the table of every latent, in coding order."""
    return [
        pair
        for values, bases, indexes in walked(model, latents)
        for pair in zip((values - bases).ravel().tolist(), indexes.ravel().tolist(), strict=True)
    ]


class Reference:
    """FORMAT.md §7 word for word, in Python integers, one latent at a time."""

    def __init__(self, model: ContextModel, latents: Planes) -> None:
        self._model = model
        self._latents = latents.tolist()
        self._height, self._width = latents.shape[1:]

    def symbols(self) -> list[tuple[int, int]]:
        """The symbol and the table of every latent, in coding order."""
        model, found = self._model, []
        for group, (start, stop) in enumerate(model.groups()):
            for phase in range(3):
                for rank in range(start, stop):
                    for row in range(self._height):
                        for column in range(self._width):
                            if self._phase(row, column) == phase:
                                found.append(self._symbol(3 * group + phase, (start, stop), rank, row, column))
        return found

    @staticmethod
    def _phase(row: int, column: int) -> int:
        return {(0, 0): 0, (1, 1): 1}.get((row % 2, column % 2), 2)

    def _symbol(self, step: int, group: tuple[int, int], rank: int, row: int, column: int) -> tuple[int, int]:
        model = self._model
        features = self._features(group, self._phase(row, column), row, column)
        matrices = (model.mean_weights[step], model.spread_weights[step])
        m, s = (
            sum(int(w) * f for w, f in zip(matrix[:, rank - group[0]], features, strict=True)) for matrix in matrices
        )
        q = min(max((4 * m) >> 16, 4 * model.minimum), 4 * model.maximum)
        b = (q + 2) // 4
        k = sum(threshold <= s >> 12 for threshold in model.thresholds.tolist())
        return self._value(rank, row, column) - b, 4 * k + q + 2 - 4 * b

    def _features(self, group: tuple[int, int], phase: int, row: int, column: int) -> list[int]:
        features = [16]
        for start, stop in self._model.groups():
            if start < group[0]:
                ranks = range(start, stop)
                features += [self._value(rank, row, column) for rank in ranks]
                features += [self._activity(rank, row, column) for rank in ranks]
                features += [
                    2 * self._sum(self._activity, rank, row, column, False)
                    + self._sum(self._activity, rank, row, column, True)
                    for rank in ranks
                ]
        if phase:
            for plane in (self._value, self._activity):
                features += [self._sum(plane, rank, row, column, phase == 1) for rank in range(*group)]
        return features

    def _value(self, rank: int, row: int, column: int) -> int:
        value: int = self._latents[self._model.order[rank]][row][column]
        return value

    def _activity(self, rank: int, row: int, column: int) -> int:
        return int(self._model.activity[abs(self._value(rank, row, column))])

    def _sum(self, plane: Callable[[int, int, int], int], rank: int, row: int, column: int, diagonal: bool) -> int:
        offsets = [(-1, -1), (-1, 1), (1, -1), (1, 1)] if diagonal else [(-1, 0), (1, 0), (0, -1), (0, 1)]
        around = [(row + dy, column + dx) for dy, dx in offsets]
        inside = [(y, x) for y, x in around if 0 <= y < self._height and 0 <= x < self._width]
        return sum(plane(rank, y, x) for y, x in inside)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5))
def test_contexts_are_those_of_the_format_document(
    context_model: ModelMaker, seed: int, channels: int, height: int, width: int
) -> None:
    model = context_model(seed, channels)
    latents = random_latents(model, height, width, seed)
    assert symbols(model, latents) == Reference(model, latents).symbols()


def test_survives_its_arrays(context_model: ModelMaker) -> None:
    model = context_model(4, channels=5, codebook=(-3, 9))
    copy = ContextModel.from_arrays(model.to_arrays())
    latents = random_latents(model, 9, 10)
    assert coded(copy, latents) == coded(model, latents)
    assert {name: array.tolist() for name, array in copy.to_arrays().items()} == {
        name: array.tolist() for name, array in model.to_arrays().items()
    }


@pytest.mark.parametrize("name", ["codebook", "order", "bounds", "activity", "mean_weights", "thresholds", "tables"])
def test_refuses_arrays_that_are_missing_or_cut(context_model: ModelMaker, name: str) -> None:
    arrays = context_model(5, channels=4).to_arrays()
    key = name if name == "codebook" else f"context_{name}"
    for broken in ({k: v for k, v in arrays.items() if k != key}, {**arrays, key: arrays[key][:-1]}):
        with pytest.raises(FormatError, match="reinstall the model"):
            ContextModel.from_arrays(broken)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context_order": np.array([0, 1, 1, 3])}, "channel order"),
        ({"context_bounds": np.array([1, 4])}, "weight count"),
        ({"context_thresholds": np.array([3, 2, 5, 9])}, "thresholds"),
        ({"context_activity": np.full(17, 4096)}, "activity"),
        ({"codebook": np.array([-14, 16])}, "table range"),
        ({"codebook": np.array([16, -15])}, "context tables are damaged"),
    ],
)
def test_refuses_arrays_that_contradict_each_other(
    context_model: ModelMaker, change: dict[str, npt.NDArray[Any]], message: str
) -> None:
    arrays = context_model(5, channels=4).to_arrays()
    with pytest.raises(FormatError, match=message):
        ContextModel.from_arrays({**arrays, **change})


def test_refuses_weights_that_are_no_integers(context_model: ModelMaker) -> None:
    arrays = context_model(5).to_arrays()
    halves = arrays["context_mean_weights"] + 0.5
    with pytest.raises(FormatError, match="weight type"):
        ContextModel.from_arrays({**arrays, "context_mean_weights": halves})


def test_sums_stay_exact_up_to_the_limit_and_no_further(context_model: ModelMaker) -> None:
    """One constant feature of 16 in a model of one channel: the bound of its sum is 12 * 16 times the weight."""
    model = replace(context_model(6, channels=1), activity=np.zeros(17, np.int64))
    largest = 2**52 // (12 * 16)
    for weights in ("mean_weights", "spread_weights"):
        shapes = [matrix.shape for matrix in getattr(model, weights)]
        allowed: dict[str, Any] = {weights: tuple(np.full(shape, float(largest // shape[0])) for shape in shapes)}
        exact = replace(model, **allowed)
        latents = random_latents(model, 6, 7)
        assert symbols(exact, latents) == Reference(exact, latents).symbols()
        for value in (largest + 1, np.nan):
            refused: dict[str, Any] = {weights: tuple(np.full(shape, float(value)) for shape in shapes)}
            with pytest.raises(FormatError, match="weight range"):
                replace(model, **refused)


@settings(deadline=None, max_examples=80)
@given(st.binary(max_size=60), st.integers(1, 6), st.integers(1, 6))
def test_any_bytes_give_latents_of_the_codebook_or_a_format_error(
    context_model: ModelMaker, data: bytes, height: int, width: int
) -> None:
    model = context_model(7, channels=3)
    try:
        latents = restored(model, data, height, width)
    except FormatError:
        return
    assert latents.shape == (3, height, width)
    assert latents.min() >= model.minimum
    assert latents.max() <= model.maximum
    assert coded(model, latents) == data


def test_damage_is_found_or_stays_in_the_codebook(context_model: ModelMaker) -> None:
    model = context_model(8, channels=3)
    data = coded(model, random_latents(model, 8, 9))
    found = 0
    for position in range(len(data)):
        damaged = data[:position] + bytes([data[position] ^ 0x55]) + data[position + 1 :]
        try:
            latents = restored(model, damaged, 8, 9)
        except FormatError:
            found += 1
        else:
            assert model.minimum <= latents.min()
            assert latents.max() <= model.maximum
    assert found > 0.9 * len(data)
