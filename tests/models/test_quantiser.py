"""The quantiser: the integers that the first models' graphs gave, at any step."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nicodec.errors import ModelError
from nicodec.models.quantiser import quantise

CODEBOOK = (-15, 16)
Floats = npt.NDArray[np.float32]


def random_latents() -> Floats:
    """Ties, integers and values beyond the codebook among them."""
    rng = np.random.default_rng(0)
    anything = rng.normal(0, 8, 20_000)
    return np.concatenate([anything, np.rint(4 * anything) / 4]).astype(np.float32)


def graph_of_revision_1(latents: Floats, dead_zone: float) -> npt.NDArray[np.int8]:
    """What the nodes Clip, Sign, Mul, Sub, Round and Cast computed."""
    clipped = np.minimum(np.maximum(latents, np.float32(CODEBOOK[0])), np.float32(CODEBOOK[1]))
    return np.round(clipped - np.sign(clipped) * np.float32(dead_zone)).astype(np.int8)


@pytest.mark.parametrize("dead_zone", [0.0, 0.07, 0.09, 0.25])
def test_gives_the_integers_of_the_first_graphs(dead_zone: float) -> None:
    latents = random_latents()
    symbols = quantise(latents, 1.0, dead_zone, CODEBOOK)
    assert symbols.dtype == np.int8
    assert (symbols.min(), symbols.max()) == CODEBOOK
    np.testing.assert_array_equal(symbols, graph_of_revision_1(latents, dead_zone))


def test_halves_go_to_even_numbers() -> None:
    halves = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5], np.float32)
    assert quantise(halves, 1.0, 0.0, CODEBOOK).tolist() == [-2, -2, 0, 0, 2, 2]


def test_a_dead_zone_rounds_towards_zero() -> None:
    latents = np.array([-1.75, -1.65, -0.65, 0.65, 0.75, 1.65, 1.75], np.float32)
    assert quantise(latents, 1.0, 0.2, CODEBOOK).tolist() == [-2, -1, 0, 0, 1, 1, 2]


@given(st.floats(0.25, 4.0), st.floats(0.0, 0.375))
def test_the_step_scales_the_latents(step: float, dead_zone: float) -> None:
    latents = random_latents()[:500]
    symbols = quantise(latents, step, dead_zone, CODEBOOK)
    inside = np.abs(latents / step) <= 15
    assert (np.abs(symbols - latents / step)[inside] <= 0.5 + dead_zone + 1e-4).all()
    assert (np.abs(symbols[~inside]) >= 15 - dead_zone).all()


@given(hnp.arrays(np.int8, (3, 4), elements=st.integers(*CODEBOOK)), st.floats(0.0, 0.49))
def test_integers_of_the_codebook_stay(symbols: npt.NDArray[np.int8], dead_zone: float) -> None:
    """So the encoders of the first models, which round by themselves, need no exception."""
    np.testing.assert_array_equal(quantise(symbols, 1.0, dead_zone, CODEBOOK), symbols)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite(value: float) -> None:
    latents = np.zeros((2, 3), np.float32)
    latents[1, 2] = value
    with pytest.raises(ModelError, match="not finite: reinstall the model"):
        quantise(latents, 1.0, 0.1, CODEBOOK)
