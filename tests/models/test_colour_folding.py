"""Colour in a gray picture: what is folded in comes out again."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")

from scipy.fft import dctn

from nicodec.models import colour_folding
from nicodec.models.colour_folding import PLACES, SIDE
from nicodec.models.keras_ops import ops

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

LUMA = np.array([0.299, 0.587, 0.114])


def run(layers: Any, pixels: Any) -> Any:
    source = keras.Input((None, None, pixels.shape[-1]))
    network = keras.Model(source, layers(source, "fold"))
    return ops.convert_to_numpy(network(pixels[None].astype(np.float32)))[0]


def gray_of(pixels: Any) -> Any:
    return (pixels @ LUMA)[..., None] + run(colour_folding.folded, pixels)


def test_smooth_colour_survives() -> None:
    """Colours that change no faster than one half-wave in sixteen pixels come back as they were, whatever the luma."""
    ramp = np.cos(np.pi * (np.arange(SIDE) + 0.5) / SIDE)
    one = np.ones((SIDE, SIDE))
    pixels = np.stack([0.3 + 0.1 * ramp[:, None] * one, 0.1 * one, -0.2 * ramp * one], axis=-1)
    gray = gray_of(pixels)
    restored = gray + run(colour_folding.unfolded, gray)
    np.testing.assert_allclose(restored, pixels, atol=2e-3)


def test_only_some_places_of_the_blocks_change(samples: "Samples") -> None:
    pixels = samples.photo(96, 96) / 255.0 - 0.5
    added = run(colour_folding.folded, pixels)[..., 0]
    blocks = added.reshape(12, 8, 12, 8).transpose(0, 2, 1, 3)
    spectrum = np.abs(np.asarray(dctn(blocks, axes=(2, 3), norm="ortho")))
    for place in PLACES:
        assert spectrum[:, :, *place].max() > 0.01
        spectrum[:, :, *place] = 0.0
    assert spectrum.max() < 1e-5


@pytest.mark.parametrize("colour", [(180, 60, 60), (60, 180, 60), (60, 60, 180), (200, 200, 40), (230, 60, 40)])
def test_strong_colours_fit_into_bytes(colour: tuple[int, int, int]) -> None:
    """What is clipped and rounded on the way costs no more than a few grey levels."""
    pixels = np.broadcast_to(np.array(colour) / 255.0 - 0.5, (SIDE, SIDE, 3))
    gray = np.clip(np.rint(255.0 * gray_of(pixels) + 127.5), 0, 255) / 255.0 - 0.5
    restored = gray + run(colour_folding.unfolded, gray)
    assert np.abs(restored.mean(axis=(0, 1)) - pixels[0, 0]).max() < 4 / 255
