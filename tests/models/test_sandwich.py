"""The networks around a standard codec: what they cost, what they see, and that they do nothing at first."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")
pytest.importorskip("onnx")

from nicodec.codecs.sandwich_networks import condition
from nicodec.models import onnx_graph, sandwich
from nicodec.models.block_path import BlockArchitecture
from nicodec.models.complexity import macs_per_pixel
from nicodec.models.keras_ops import ops
from nicodec.models.keras_weights import round_to_half
from nicodec.models.sandwich import SandwichArchitecture
from nicodec.models.unet import UNetArchitecture, unet

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

SMALL = UNetArchitecture(down=(4, 6), up=(8, 6, 4), stride=2)
BLOCKS = replace(SMALL, blocks=BlockArchitecture(width=8, stages=1, features=2))


def network_of(architecture: UNetArchitecture, channels: int = 2) -> Any:
    keras.utils.set_random_seed(1)
    source = keras.Input((None, None, channels))
    network = keras.Model(source, unet(source, architecture, 3, "net"), name="net")
    return randomised(network)


def randomised(network: Any, spread: float = 0.1) -> Any:
    """The network with layers that count, where they start at zero."""
    rng = np.random.default_rng(1)
    exits = [layer for layer in network.layers if layer.name.endswith("_exit")]
    for layer in exits:
        layer.set_weights([rng.normal(0, spread, weight.shape) for weight in layer.get_weights()])
    return network


def conditioned(pixels: Any, step: int = 20) -> Any:
    samples = pixels[None].astype(np.float32) / 255.0 - 0.5
    return np.concatenate([samples, np.full_like(samples[..., :1], condition(step))], axis=-1)


def test_the_published_u_net_has_the_published_cost() -> None:
    """223 thousand multiplications per pixel and network; the slim ones keep below 25 thousand."""
    assert macs_per_pixel(network_of(UNetArchitecture(), 3), 1) == pytest.approx(223e3, rel=0.03)
    for bottleneck in (1, 3):
        slim = SandwichArchitecture(bottleneck=bottleneck)
        assert macs_per_pixel(sandwich.preprocessor(slim), 1) < 25e3
        assert macs_per_pixel(sandwich.postprocessor(slim), 1) < 25e3


def test_the_width_multiplies_filters() -> None:
    half = UNetArchitecture(width=0.5)
    assert macs_per_pixel(network_of(half), 1) == pytest.approx(223e3 / 4, rel=0.05)


@pytest.mark.parametrize(
    "architecture", [SMALL, BLOCKS, UNetArchitecture((4,), (6, 4)), UNetArchitecture((4, 4), (4, 4, 4, 4))]
)
def test_what_is_beyond_the_halo_is_not_seen(architecture: UNetArchitecture) -> None:
    """A stretch changes with what is within half of the halo, and not with what is beyond it."""
    network, halo, side = network_of(architecture), architecture.halo, architecture.alignment
    assert halo % side == 0
    start, stop = 2 * halo, 2 * halo + side
    rng = np.random.default_rng(1)
    images, other = rng.standard_normal((2, 1, stop + 2 * halo, stop + 2 * halo, 2)).astype(np.float32)

    def around(distance: int) -> Any:
        kept, seen = other.copy(), slice(start - distance, stop + distance)
        kept[:, seen, seen] = images[:, seen, seen]
        return ops.convert_to_numpy(network(kept))[:, start:stop, start:stop]

    whole = ops.convert_to_numpy(network(images))[:, start:stop, start:stop]
    np.testing.assert_allclose(around(halo), whole, atol=1e-6)
    assert np.abs(around(halo // 2 // side * side) - whole).max() > 1e-4


@pytest.mark.parametrize("architecture", [SandwichArchitecture(bottleneck=1, folds=False), SandwichArchitecture()])
def test_a_sandwich_does_nothing_at_first(architecture: SandwichArchitecture, samples: "Samples") -> None:
    """The codec gets the picture, or its luma, and its result comes back, within a thousandth, in half precision too."""
    pixels = samples.photo(48, 64)
    coded, restored = through(replace(architecture, pre=SMALL, post=BLOCKS), pixels)
    expected = pixels / 255.0 - 0.5
    if architecture.bottleneck == 1:
        expected = (expected @ (0.299, 0.587, 0.114))[..., None].repeat(3, axis=-1)
    np.testing.assert_allclose(restored, expected, atol=1e-3)
    assert coded.shape[-1] == architecture.bottleneck


def test_colour_is_folded_into_gray_from_the_start(samples: "Samples") -> None:
    """The gray picture looks like the luma, and colour comes back from it that luma does not tell."""
    pixels = samples.photo(304, 288)
    samples_of = pixels / 255.0 - 0.5
    gray = SandwichArchitecture(bottleneck=1, pre=SMALL, post=SMALL)
    coded, restored = through(gray, pixels)
    luma = samples_of @ (0.299, 0.587, 0.114)
    assert np.std(coded[..., 0] - luma) < 0.5 * np.std(luma)
    lost, without = (np.mean(np.square(found - samples_of)) for found in (restored, luma[..., None]))
    assert lost < 0.2 * without


def through(architecture: SandwichArchitecture, pixels: Any) -> tuple[Any, Any]:
    """What is coded of pixels, and what comes back if the codec changes nothing, in half precision."""
    pre, post = sandwich.preprocessor(architecture), sandwich.postprocessor(architecture)
    for network in (pre, post):
        round_to_half(network)
    coded = ops.convert_to_numpy(pre(conditioned(pixels)))
    restored = ops.convert_to_numpy(post(np.concatenate([coded, conditioned(pixels)[..., -1:]], axis=-1)))
    return coded[0], restored[0]


def test_a_pre_processor_may_be_nothing_but_the_start(samples: "Samples") -> None:
    plain = SandwichArchitecture(bottleneck=1, pre=None, folds=False)
    coded = ops.convert_to_numpy(sandwich.preprocessor(plain)(conditioned(samples.photo(7, 9))))
    assert coded.shape == (1, 7, 9, 1)
    assert macs_per_pixel(sandwich.preprocessor(plain), 1) < 100


@pytest.mark.parametrize("bottleneck", [1, 3])
def test_the_onnx_form_computes_the_same(bottleneck: int, samples: "Samples") -> None:
    ort: Any = pytest.importorskip("onnxruntime")
    architecture = SandwichArchitecture(bottleneck=bottleneck, pre=BLOCKS, post=SMALL)
    network = randomised(sandwich.preprocessor(architecture), 1.0)
    round_to_half(network)
    images = conditioned(samples.photo(48, 64))
    session = ort.InferenceSession(onnx_graph.float_graph(network), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: images.transpose(0, 3, 1, 2)})
    expected = ops.convert_to_numpy(network(images)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_a_network_survives_its_keras_file(tmp_path: Path) -> None:
    network = randomised(sandwich.postprocessor(SandwichArchitecture(post=BLOCKS)))
    network.save(tmp_path / "net.keras")
    again = keras.saving.load_model(tmp_path / "net.keras")
    images = np.random.default_rng(1).standard_normal((1, 16, 32, 4)).astype(np.float32)
    np.testing.assert_array_equal(network(images), again(images))


def test_an_architecture_survives_json() -> None:
    for architecture in (
        SandwichArchitecture(),
        SandwichArchitecture(bottleneck=1, downsampling=2, pre=None, post=SMALL, folds=False),
    ):
        assert SandwichArchitecture.from_json(architecture.to_json()) == architecture
