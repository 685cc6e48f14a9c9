"""Starting a narrower model from a wider one."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples
    from nicodec.training.config import L3icConfig

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")

from nicodec.training.narrowing import start_from_wider
from nicodec.training.trainer import TransformCodec, build_codec

to_numpy = keras.ops.convert_to_numpy


@pytest.fixture(scope="module")
def wide(codec: Any) -> Any:
    """The KLT start with a rate layer that has learnt something."""
    copied: Any = TransformCodec(
        codec.analysis, codec.synthesis, type(codec.rate)(16), mse_weight=0.01, msssim_weight=10.0
    )
    copied.build((None, 32, 32, 3))
    rng = np.random.default_rng(1)
    copied.rate.set_weights([weight + rng.normal(0, 0.02, weight.shape) for weight in codec.rate.get_weights()])
    return copied


@pytest.fixture(scope="module")
def crops(samples: "Samples") -> npt.NDArray[np.uint8]:
    return samples.photo(256, 128).reshape(2, 128, 128, 3)


def fresh(config: "L3icConfig", channels: int) -> Any:
    return build_codec(replace(config, channels=channels))


def test_equal_width_is_the_identity(config: "L3icConfig", wide: Any, crops: npt.NDArray[np.uint8]) -> None:
    narrow = fresh(config, 16)
    start_from_wider(narrow, wide, 1.0, crops)
    for found, expected in zip(narrow.trainable_variables, wide.trainable_variables, strict=True):
        np.testing.assert_array_equal(to_numpy(found), to_numpy(expected))
    for found, expected in zip(narrow(crops), wide(crops), strict=True):
        np.testing.assert_allclose(to_numpy(found), to_numpy(expected), rtol=1e-5, atol=1e-5)


def test_keeps_the_channels_of_most_energy_in_their_order(
    config: "L3icConfig", wide: Any, crops: npt.NDArray[np.uint8]
) -> None:
    narrow = fresh(config, 6)
    start_from_wider(narrow, wide, 1.0, crops)
    whole, part = (to_numpy(codec.quantise(crops / np.float32(255))) for codec in (wide, narrow))
    kept = [int(np.abs(whole - part[..., k : k + 1]).sum(axis=(0, 1, 2)).argmin()) for k in range(6)]
    assert kept == sorted(set(kept))
    np.testing.assert_allclose(part, whole[..., kept], atol=1.0)
    assert (part == whole[..., kept]).mean() > 0.999
    for found, expected in zip(narrow.rate.get_weights(), wide.rate.get_weights(), strict=True):
        both = [*kept, *(16 + channel for channel in kept)]
        axes = {(2, 16, 16): np.ix_([0, 1], kept, kept), (32,): np.ix_(both)}
        np.testing.assert_array_equal(found, expected[axes.get(expected.shape, np.ix_(*map(range, (5, 5)), both, [0]))])
    dropped = [channel for channel in range(16) if channel not in kept]
    without = whole.copy()
    without[..., dropped] = 0
    restored = (to_numpy(wide.synthesis(without)), to_numpy(narrow.synthesis(part)))
    np.testing.assert_allclose(*restored, atol=0.02)


def test_a_coarser_step_shrinks_the_latents_but_not_the_picture(
    config: "L3icConfig", wide: Any, crops: npt.NDArray[np.uint8]
) -> None:
    narrow = fresh(config, 16)
    start_from_wider(narrow, wide, 0.5, crops)
    before, after = (to_numpy(codec.analysis(crops / np.float32(255))) for codec in (wide, narrow))
    factors = (after / before).reshape(-1, 16)
    small = to_numpy(wide.quantise(crops / np.float32(255))).std(axis=(0, 1, 2)) < 3.0
    assert small.any()
    assert not small.all()
    np.testing.assert_allclose(np.median(factors, axis=0), np.where(small, 0.5, 1.0), rtol=1e-4)
    restored = (to_numpy(wide.synthesis(before)), to_numpy(narrow.synthesis(after)))
    np.testing.assert_allclose(*restored, atol=1e-3)
