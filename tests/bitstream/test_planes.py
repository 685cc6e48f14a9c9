"""Segments of latent planes: stripes of the context profile, channels of the independent one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.ans import AnsEncoder
from nicodec.bitstream.context import ContextModel
from nicodec.bitstream.planes import (
    MIN_STRIPE_ROWS,
    OWN_TABLE,
    STRIPE_POSITIONS,
    LatentTables,
    decode_channel,
    decode_stripe,
    encode_channel,
    encode_stripe,
    read_channel_table,
    stripe_rows,
)
from nicodec.bitstream.tables import FrequencyTable, TableSet
from nicodec.errors import FormatError

ModelMaker = Callable[..., ContextModel]
Planes = npt.NDArray[np.int32]

LEVELS = np.arange(-15, 17)
SHARED = TableSet.from_counts(
    [np.rint(1e6 * np.exp(-np.abs(LEVELS) / scale)).astype(np.int64) for scale in (0.3, 1.0, 3.0, 30.0)], -15
)
"""Four tables from narrow to wide."""


def laplacian(scale: float, *shape: int, seed: int = 0) -> Planes:
    values = np.rint(np.random.default_rng(seed).laplace(0.0, scale, shape))
    return np.clip(values, -15, 16).astype(np.int32)


def with_table(values: Planes, table: FrequencyTable) -> bytes:
    encoder = AnsEncoder()
    encoder.append(values.ravel(), table)
    return encoder.finish()


@given(st.integers(1, 8192), st.integers(1, 8192))
def test_stripes_cover_all_rows_and_are_bounded(height: int, width: int) -> None:
    stripes = stripe_rows(height, width)
    assert [row for top, bottom in stripes for row in range(top, bottom)] == list(range(height))
    for top, bottom in stripes:
        assert bottom - top <= MIN_STRIPE_ROWS or (bottom - top) * width <= STRIPE_POSITIONS
    assert all(bottom - top >= MIN_STRIPE_ROWS for top, bottom in stripes[:-1])


@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (30, 1), (15, 17)])
def test_stripe_round_trip(context_model: ModelMaker, shape: tuple[int, int]) -> None:
    model = context_model(1, channels=4)
    latents = laplacian(2.0, 4, *shape)
    np.testing.assert_array_equal(decode_stripe(encode_stripe(latents, model), model, *shape), latents)


def test_stripe_of_another_size_is_found(context_model: ModelMaker) -> None:
    model = context_model(1, channels=4)
    payload = encode_stripe(laplacian(2.0, 4, 8, 9), model)
    for rows, width in [(7, 9), (8, 8), (1, 1)]:
        with pytest.raises(FormatError, match="undamaged copy"):
            decode_stripe(payload, model, rows, width)


@settings(deadline=None, max_examples=60)
@given(st.floats(0.01, 20), st.integers(1, 40), st.integers(1, 40), st.integers(-15, 16))
def test_channel_round_trip(scale: float, height: int, width: int, offset: int) -> None:
    plane = np.clip(laplacian(scale, height, width) + offset, -15, 16).astype(np.int32)
    result = decode_channel(encode_channel(plane, SHARED), SHARED, height, width)
    assert result.dtype == np.int32
    np.testing.assert_array_equal(result, plane)


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.6, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("offset", [0, 7])
@pytest.mark.parametrize("side", [3, 12, 64])
def test_channel_takes_the_smaller_table(scale: float, offset: int, side: int) -> None:
    plane = np.clip(laplacian(scale, side, side) + offset, -15, 16).astype(np.int32)
    payload = encode_channel(plane, SHARED)
    low, high = int(plane.min()), int(plane.max())
    own = FrequencyTable.fit(np.bincount(plane.ravel() - low, minlength=max(high - low + 1, 2)), low)
    own_size = 1 + len(own.to_bytes()) + len(with_table(plane, own))
    shared_size = 1 + min(len(with_table(plane, table)) for table in SHARED)
    assert len(payload) == min(own_size, shared_size)


def test_both_kinds_of_table_are_used() -> None:
    typical = read_channel_table(encode_channel(laplacian(1.0, 16, 16), SHARED))
    assert (typical.shared, typical.own, typical.start) == (1, None, 1)
    odd = read_channel_table(encode_channel((laplacian(1.0, 64, 64) + 8).clip(-15, 16), SHARED))
    assert odd.shared is None
    assert odd.own is not None
    assert odd.start == 1 + len(odd.own.to_bytes())


@pytest.mark.parametrize("value", [-15, 0, 3, 16])
def test_constant_channel_costs_next_to_nothing(value: int) -> None:
    plane = np.full((300, 400), value, np.int32)
    payload = encode_channel(plane, SHARED)
    assert len(payload) <= 8
    np.testing.assert_array_equal(decode_channel(payload, SHARED, 300, 400), plane)


@pytest.mark.parametrize("index", [len(SHARED), 254])
def test_refuses_a_shared_table_that_does_not_exist(index: int) -> None:
    payload = encode_channel(laplacian(1.0, 8, 8), SHARED)
    with pytest.raises(FormatError, match=f"shared table {index} does not exist"):
        decode_channel(bytes([index]) + payload[1:], SHARED, 8, 8)


def test_refuses_an_empty_segment() -> None:
    with pytest.raises(FormatError, match="empty"):
        decode_channel(b"", SHARED, 8, 8)


def test_refuses_values_outside_the_codebook() -> None:
    plane = np.array([[17, 16], [16, 17]], np.int32)
    table = FrequencyTable([30000, 35536], 16)
    payload = bytes([OWN_TABLE]) + table.to_bytes() + with_table(plane, table)
    with pytest.raises(FormatError, match="outside the codebook"):
        decode_channel(payload, SHARED, 2, 2)


def test_refuses_a_channel_of_another_size() -> None:
    payload = encode_channel(laplacian(3.0, 8, 9), SHARED)
    for shape in [(8, 8), (7, 9), (1, 1)]:
        with pytest.raises(FormatError, match="undamaged copy"):
            decode_channel(payload, SHARED, *shape)


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=40) | st.binary(max_size=40).map(lambda data: bytes([OWN_TABLE]) + data))
def test_any_bytes_give_a_plane_of_the_codebook_or_a_format_error(data: bytes) -> None:
    try:
        plane = decode_channel(data, SHARED, 4, 5)
    except FormatError:
        return
    assert plane.shape == (4, 5)
    assert plane.min() >= SHARED.minimum
    assert plane.max() <= SHARED.maximum


def arrays_of(model: ContextModel, shared: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    return {**model.to_arrays(), "shared_tables": shared.astype(np.uint16)}


def test_tables_survive_their_arrays(context_model: ModelMaker) -> None:
    tables = LatentTables.from_arrays(arrays_of(context_model(1), SHARED.frequencies))
    assert tables.context.channels == 3
    assert tables.shared.minimum == -15
    np.testing.assert_array_equal(tables.shared.frequencies, SHARED.frequencies)


@pytest.mark.parametrize(
    "frequencies", [SHARED.frequencies[:, 1:], np.repeat(SHARED.frequencies, 64, axis=0), SHARED.frequencies[0]]
)
def test_refuses_shared_tables_that_do_not_fit(context_model: ModelMaker, frequencies: npt.NDArray[Any]) -> None:
    uniform = frequencies.copy()
    uniform[..., 0] += 65536 - uniform.sum(axis=-1)
    with pytest.raises(FormatError, match=r"reinstall the model|undamaged copy"):
        LatentTables.from_arrays(arrays_of(context_model(1), uniform))


def test_refuses_arrays_without_shared_tables(context_model: ModelMaker) -> None:
    with pytest.raises(FormatError, match="shared_tables"):
        LatentTables.from_arrays(context_model(1).to_arrays())
