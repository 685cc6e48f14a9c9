"""The alpha segment: lossless, small for what alpha planes look like, and safe to decode."""

import tracemalloc
import zlib

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.codecs.alpha import decode_alpha, encode_alpha
from nicodec.errors import FormatError

Plane = npt.NDArray[np.uint8]


def ramp(height: int, width: int) -> Plane:
    return np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 256]))
def test_round_trip(height: int, width: int, seed: int, levels: int) -> None:
    alpha = np.random.default_rng(seed).integers(0, levels, (height, width), dtype=np.uint8)
    np.testing.assert_array_equal(decode_alpha(encode_alpha(alpha), height, width), alpha)


@pytest.mark.parametrize("mode", range(4))
def test_every_predictor_decodes_as_documented(mode: int) -> None:
    """Predicts sample by sample: 0 none, 1 left, 2 upper, 3 left + upper - upper left."""
    alpha = np.random.default_rng(mode).integers(0, 256, (5, 7), dtype=np.uint8)
    padded = np.pad(alpha.astype(int), ((1, 0), (1, 0)))
    left, upper, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    prediction = [np.zeros_like(left), left, upper, left + upper - corner][mode]
    residual = ((alpha - prediction) % 256).astype(np.uint8)
    payload = bytes([mode]) + zlib.compress(residual.tobytes())
    np.testing.assert_array_equal(decode_alpha(payload, 5, 7), alpha)


@pytest.mark.parametrize("alpha", [np.full((400, 600), 255, np.uint8), ramp(400, 600)], ids=["opaque", "ramp"])
def test_smooth_planes_cost_little(alpha: Plane) -> None:
    payload = encode_alpha(alpha)
    assert len(payload) < alpha.size / 100
    np.testing.assert_array_equal(decode_alpha(payload, *alpha.shape), alpha)


@pytest.mark.parametrize("shape", [(4, 6), (5, 5), (1, 26), (1, 1)])
def test_refuses_another_size(shape: tuple[int, int]) -> None:
    payload = encode_alpha(ramp(5, 6))
    with pytest.raises(FormatError, match="wrong size"):
        decode_alpha(payload, *shape)


@pytest.mark.parametrize("payload", [b"", b"\x04" + zlib.compress(bytes(30)), b"\xff", b"\0", b"\0no zlib stream"])
def test_refuses_what_is_no_plane(payload: bytes) -> None:
    with pytest.raises(FormatError, match="undamaged copy"):
        decode_alpha(payload, 5, 6)


def test_refuses_trailing_bytes() -> None:
    with pytest.raises(FormatError, match="wrong size"):
        decode_alpha(encode_alpha(ramp(5, 6)) + b"\0", 5, 6)


def test_refuses_every_truncation() -> None:
    payload = encode_alpha(ramp(5, 6))
    for size in range(len(payload)):
        with pytest.raises(FormatError):
            decode_alpha(payload[:size], 5, 6)


def test_refuses_every_flipped_bit_or_restores_the_plane() -> None:
    """The zlib stream ends in a checksum of its own; a flip in its header may leave the same data."""
    alpha = ramp(5, 6)
    payload = encode_alpha(alpha)
    for bit in range(8, 8 * len(payload)):
        damaged = bytearray(payload)
        damaged[bit // 8] ^= 1 << bit % 8
        try:
            restored = decode_alpha(bytes(damaged), 5, 6)
        except FormatError:
            continue
        np.testing.assert_array_equal(restored, alpha)


def test_bombs_are_refused_without_inflating_them() -> None:
    bomb = b"\0" + zlib.compress(bytes(1 << 26))
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="wrong size"):
            decode_alpha(bomb, 16, 16)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


@given(st.binary(max_size=40), st.integers(0, 3))
def test_any_bytes_give_a_plane_or_a_format_error(data: bytes, mode: int) -> None:
    for payload in (data, bytes([mode]) + zlib.compress(data)):
        try:
            assert decode_alpha(payload, 4, 5).shape == (4, 5)
        except FormatError:
            continue
