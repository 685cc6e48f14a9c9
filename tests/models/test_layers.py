"""Layers of our own compute what the layers do that they stand for."""

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")

from nicodec.models.complexity import macs_per_pixel
from nicodec.models.keras_ops import ops
from nicodec.models.layers import ChannelSplit, PatchConv2D
from nicodec.models.residual_gru import GruArchitecture, decoder, decoder_states, encoder, encoder_states


@pytest.mark.parametrize("side", [2, 4, 8, 16])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (3, 2)])
def test_products_of_patches_are_convolutions(side: int, kernel: int, stride: int) -> None:
    """On tiny maps and on larger ones."""
    rng = np.random.default_rng(side)
    maps = ops.convert_to_tensor(rng.standard_normal((3, side, side, 5)).astype(np.float32))
    plain, patches = (
        kind(7, kernel, stride, use_bias=False, **extra)
        for kind, extra in ((keras.layers.Conv2D, {"padding": "same"}), (PatchConv2D, {}))
    )
    plain.build(maps.shape)
    patches.build(maps.shape)
    patches.set_weights(plain.get_weights())
    values = [ops.convert_to_numpy(layer(maps)) for layer in (plain, patches)]
    np.testing.assert_allclose(values[1], values[0], atol=1e-5)


def test_channels_are_split_in_order() -> None:
    maps = np.arange(2 * 3 * 3 * 6, dtype=np.float32).reshape(2, 3, 3, 6)
    parts = ChannelSplit((3, 1, 2))(maps)
    joined = np.concatenate([ops.convert_to_numpy(part) for part in parts], axis=-1)
    assert [part.shape[-1] for part in parts] == [3, 1, 2]
    np.testing.assert_array_equal(joined, maps)


def test_costs_of_the_published_residual_gru() -> None:
    """Published: 139 and 403 thousand per pixel and iteration, without the linear paths, which are a quarter of each cell's
    convolution of its input and a third of that of its state."""
    published = GruArchitecture()
    for build, states, first, thousands in (
        (encoder, encoder_states, 1, 139),
        (decoder, decoder_states, 16, 403),
    ):
        cost = macs_per_pixel(build(published), first, *(state.stride for state in states(published)))
        assert thousands < cost / 1000 < 4 / 3 * thousands
