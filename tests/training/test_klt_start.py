"""The KLT start: the networks compute the transform that linear algebra says, with staggered first channels."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

pytestmark = pytest.mark.train
Floats = npt.NDArray[np.float64]

keras: Any = pytest.importorskip("keras")

from nicodec.models import klt_start, l3ic

to_numpy = keras.ops.convert_to_numpy

CHANNELS, STAGGERED, STEP = 10, 3, 24.0


class Start:
    """Two initialised networks and the statistics that they were made from."""

    def __init__(self, photo: npt.NDArray[np.uint8]) -> None:
        self.photo = photo
        self.mean, self.covariance = klt_start.block_statistics(blocks_of(photo))
        self.analysis, self.synthesis = l3ic.analysis(CHANNELS), l3ic.synthesis(CHANNELS)
        self.deviations = klt_start.initialise(
            self.analysis, self.synthesis, self.mean, self.covariance, step=STEP, staggered=STAGGERED
        )
        self.latents: Floats = to_numpy(self.analysis(photo[None] / np.float32(255)))[0].astype(np.float64)


def blocks_of(photo: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The 8x8 blocks of a picture in raster order, (n, 8, 8, 3)."""
    height, width = photo.shape[:2]
    split = photo.reshape(height // 8, 8, width // 8, 8, 3)
    return split.transpose(0, 2, 1, 3, 4).reshape(-1, 8, 8, 3)


@pytest.fixture(scope="module")
def exact(samples: "Samples") -> Iterator[Start]:
    """A start whose unused parts are switched off altogether instead of being close to zero."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(klt_start, "_QUIET", 0.0)
        yield Start(samples.photo(160, 192))


@pytest.fixture(scope="module")
def real(samples: "Samples") -> Start:
    return Start(samples.photo(160, 192))


def coefficients(start: Start) -> tuple[Floats, Floats]:
    """Projections of all blocks on the principal axes, (n, channels), and those axes, (192, channels)."""
    _, axes = np.linalg.eigh(start.covariance)
    chosen = [0] * (STAGGERED - 1) + list(range(CHANNELS - STAGGERED + 1))
    axes = axes[:, ::-1][:, chosen]
    centred = blocks_of(start.photo).reshape(-1, 192) / 127.5 - 1.0 - start.mean
    return centred @ axes, axes


def test_statistics_are_those_of_the_blocks(samples: "Samples") -> None:
    blocks = samples.noise(300, 8, 8, 3)
    mean, covariance = klt_start.block_statistics(blocks)
    scaled = blocks.reshape(300, 192) / 127.5 - 1.0
    np.testing.assert_allclose(mean, scaled.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(covariance, (scaled - mean).T @ (scaled - mean) / 299, atol=1e-12)


def test_analysis_is_the_block_klt(exact: Start) -> None:
    """Every latent is a multiple of its coefficient plus an offset; without the noise of float32, exactly."""
    expected, _ = coefficients(exact)
    found = exact.latents.reshape(-1, CHANNELS)
    for channel in range(CHANNELS):
        slope, offset = np.polyfit(expected[:, channel], found[:, channel], 1)
        np.testing.assert_allclose(found[:, channel], slope * expected[:, channel] + offset, atol=2e-3)
        assert 0 < slope <= 127.5 / STEP + 1e-3


def test_first_channels_are_staggered_by_fractions_of_a_step(exact: Start) -> None:
    first = exact.latents[..., :STAGGERED]
    np.testing.assert_allclose(np.diff(first, axis=-1), 1.0 / STAGGERED, atol=2e-3)
    other = np.diff(exact.latents[..., STAGGERED - 1 :], axis=-1)
    assert (other.std(axis=(0, 1)) > 0.1).all()


def test_synthesis_restores_the_projection(exact: Start) -> None:
    """Without rounding the result is the picture without the axes that have no channel."""
    expected, axes = coefficients(exact)
    used = slice(STAGGERED - 1, None)
    blocks = (expected[:, used] @ axes[:, used].T + exact.mean).reshape(-1, 8, 8, 3)
    restored = to_numpy(exact.synthesis(exact.latents[None].astype(np.float32)))[0]
    height, width = exact.photo.shape[:2]
    picture = blocks.reshape(height // 8, width // 8, 8, 8, 3).transpose(0, 2, 1, 3, 4).reshape(height, width, 3)
    np.testing.assert_allclose(restored, picture / 2 + 0.5, atol=2e-4)


def test_deviations_are_those_of_the_latents(exact: Start) -> None:
    np.testing.assert_allclose(exact.deviations, exact.latents.std(axis=(0, 1)), rtol=0.01)


def test_latents_stay_in_the_codebook(exact: Start) -> None:
    """The first component always, though the photo is dark and so its mean is far from the middle; the others mostly."""
    assert np.abs(exact.mean).mean() > 0.5
    assert np.abs(exact.latents[..., :STAGGERED]).max() < 15.5 + 0.5
    assert (np.abs(exact.latents) > 16.0).mean() < 0.005


def test_staggered_channels_resolve_the_mean_more_finely_than_one(exact: Start) -> None:
    """Rounded, three channels of the same component restore it about three times as well as one of them."""
    first = exact.latents[..., :STAGGERED]
    offsets = (np.arange(STAGGERED) - (STAGGERED - 1) / 2) / STAGGERED
    value = (first - offsets).mean(axis=-1)
    together = (np.rint(first) - offsets).mean(axis=-1) - value
    alone = np.rint(first[..., 1]) - value
    assert together.std() < 0.5 * alone.std()


def test_the_real_start_is_close_to_the_exact_one(exact: Start, real: Start) -> None:
    assert np.abs(real.latents - exact.latents).mean() < 0.2
    restored = to_numpy(real.synthesis(np.rint(real.latents)[None].astype(np.float32)))[0]
    error: Any = np.clip(restored, 0, 1) - real.photo / 255.0
    assert -10 * np.log10(np.mean(error**2)) > 20.0
