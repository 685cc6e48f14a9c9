"""Tiles: that they cover the picture, and that the result is that of one piece."""

# pyright: reportPrivateUsage=false

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.codecs import tiling
from nicodec.codecs.base import no_progress
from nicodec.errors import ModelError
from nicodec.models.runtime import load_network
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

STRIDE, HALO = 8, 6


@given(st.integers(1, 3000), st.integers(0, 9))
def test_spans_follow_each_other_and_have_their_halo(length: int, halo: int) -> None:
    spans = tiling._spans(length, halo, STRIDE, tiling.TILE_PIXELS)
    assert [position for span in spans for position in range(span.start, span.stop)] == list(range(length))
    for span in spans:
        assert (span.stop - span.start) * STRIDE <= tiling.TILE_PIXELS
        assert span.outer_start == max(0, span.start - halo)
        assert span.outer_stop == min(length, span.stop + halo)
        outer = list(range(span.outer_start, span.outer_stop))
        assert outer[span.inner()] == list(range(span.start, span.stop))
        assert list(range(2 * length))[span.core(2)] == list(range(2 * length))[span.outer(2)][span.inner(2)]


def test_small_pictures_run_in_one_piece() -> None:
    side = int(tiling.WHOLE_PIXELS**0.5) // STRIDE
    assert len(list(tiling.tiles(side, side, HALO, STRIDE))) == 1
    assert len(list(tiling.tiles(side, side + 1, HALO, STRIDE))) > 1


def blur(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Stands for an analysis with a reach of one position: sums over 3x3 blocks of 8x8 pixels, modulo 100."""
    sums = pixels[0].reshape(pixels.shape[1] // 8, 8, pixels.shape[2] // 8, 8, 3).sum(axis=(1, 3), dtype=np.int64)
    padded = np.pad(sums, ((1, 1), (1, 1), (0, 0)))
    height, width = sums.shape[:2]
    around = sum(padded[y : y + height, x : x + width] for y in range(3) for x in range(3))
    return (np.asarray(around) % 100).astype(np.float32).transpose(2, 0, 1)[None] / 4


def rounded(latents: npt.NDArray[Any]) -> npt.NDArray[np.int8]:
    symbols: npt.NDArray[np.int8] = np.rint(latents).astype(np.int8)
    return symbols


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 1)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 88)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("shape", [(8, 400), (264, 8), (176, 272)])
def test_a_halo_as_wide_as_the_reach_is_enough(samples: "Samples", shape: tuple[int, int]) -> None:
    pixels = samples.noise(*shape, 3)
    whole = blur(pixels[None])[0]
    latents = tiling.analyse(blur, pixels, 3, STRIDE, 1, no_progress)
    assert latents.dtype == np.float32
    np.testing.assert_array_equal(latents, whole)
    symbols = tiling.analyse_to_symbols(blur, pixels, 3, STRIDE, 1, no_progress, rounded)
    assert symbols.dtype == np.int8
    np.testing.assert_array_equal(symbols, np.rint(whole))
    assert (tiling.analyse(blur, pixels, 3, STRIDE, 0, no_progress) != whole).any()


@pytest.mark.usefixtures("small_tiles")
def test_progress_counts_the_tiles(samples: "Samples") -> None:
    seen: list[tuple[int, int]] = []
    tiling.analyse(blur, samples.noise(160, 96, 3), 3, STRIDE, 1, lambda done, total: seen.append((done, total)))
    assert seen == [(done, 4) for done in (1, 2, 3, 4)]


def test_refuses_an_encoder_of_another_model(samples: "Samples") -> None:
    pixels = samples.noise(16, 16, 3)
    with pytest.raises(ModelError, match="3 channels, not 16"):
        tiling.analyse(blur, pixels, 16, STRIDE, HALO, no_progress)
    with pytest.raises(ModelError, match="3 channels, not 16"):
        tiling.analyse_to_symbols(blur, pixels, 16, STRIDE, HALO, no_progress, rounded)


@pytest.mark.usefixtures("small_tiles")
@pytest.mark.parametrize("step", [1.0, 0.75])
def test_synthesis_gets_symbols_times_the_step(step: float) -> None:
    symbols = np.random.default_rng(0).integers(-15, 17, (3, 13, 12), dtype=np.int8)

    def enlarge(latents: npt.NDArray[Any]) -> npt.NDArray[Any]:
        assert latents.dtype == np.float32
        assert latents.flags.c_contiguous
        return np.repeat(np.repeat((latents * 4 + 64).astype(np.uint8), 8, axis=2), 8, axis=3).transpose(0, 2, 3, 1)

    pixels = tiling.synthesise(enlarge, symbols, step, STRIDE, HALO, no_progress)
    expected = (symbols * step * 4 + 64).astype(np.uint8).transpose(1, 2, 0)
    np.testing.assert_array_equal(pixels[::8, ::8], expected)


def test_tiled_networks_give_the_result_of_one_piece(
    model: Model, samples: "Samples", monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real photo, latents and pixels alike, bit for bit."""
    photo = samples.photo(320, 456)
    encoder, decoder = load_network(model, "encoder"), load_network(model, "decoder")
    channels = model.card["architecture"]["channels"]
    latents = tiling.analyse(encoder, photo, channels, STRIDE, HALO, no_progress)
    symbols = rounded(latents)
    pixels = tiling.synthesise(decoder, symbols, 1.0, STRIDE, HALO, no_progress)
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 1)
    for tile in (13, 25):
        monkeypatch.setattr(tiling, "TILE_PIXELS", STRIDE * tile)
        tiled = tiling.analyse(encoder, photo, channels, STRIDE, HALO, no_progress)
        np.testing.assert_array_equal(tiled, latents)
        np.testing.assert_array_equal(tiling.synthesise(decoder, symbols, 1.0, STRIDE, HALO, no_progress), pixels)
