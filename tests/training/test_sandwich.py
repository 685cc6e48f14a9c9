"""Sandwiches train through the stand-in of a codec, and are measured with the codec itself."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")

from nicodec.errors import RequestError
from nicodec.models.keras_ops import ops
from nicodec.models.sandwich import SandwichArchitecture
from nicodec.models.unet import UNetArchitecture
from nicodec.training import sandwich_family
from nicodec.training.config import SandwichConfig, config_from_json, config_names, load_config
from nicodec.training.loop import train
from nicodec.training.run_folder import compiled_codec
from nicodec.training.sandwich import SandwichCodec, build_codec, steps_between

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

SMALL = UNetArchitecture(down=(4, 6), up=(8, 6, 4), stride=2)
CONFIG = SandwichConfig(
    model="sandwich-rgb",
    architecture=SandwichArchitecture(pre=SMALL, post=SMALL),
    steps=4,
    batch=2,
    crop=32,
    warmup=1,
    validate_every=2,
    validation_pictures=1,
    learning_rate=3e-3,
)
GRAY = replace(CONFIG, architecture=replace(CONFIG.architecture, bottleneck=1), subsampled=False)
HALF = replace(CONFIG, architecture=replace(CONFIG.architecture, downsampling=2))


@pytest.mark.parametrize("config", [CONFIG, GRAY, HALF])
def test_it_starts_as_the_codec_itself(config: SandwichConfig, samples: "Samples") -> None:
    """A colour JPEG, a gray one of the luma, or one of a picture of half the size."""
    picture = samples.photo(64, 96)
    bpp, decibel, similarity = sandwich_family.measure_one(build_codec(config), config, picture, 10)
    assert 0.3 < bpp < 5.0
    assert decibel > (22.0 if config is GRAY else 24.0 if config is HALF else 30.0)
    assert similarity > 0.9


@pytest.mark.parametrize("config", [CONFIG, GRAY, HALF])
def test_the_post_processor_learns(config: SandwichConfig, samples: "Samples") -> None:
    """Eighty steps on one batch take a tenth off the loss. (What the pre-processor changes makes new noise every time.)"""
    photo = samples.photo(300, 280)
    crops = np.stack([photo[100:132, 100:132], photo[200:232, 50:82]])
    alone = replace(config.architecture, pre=None)
    codec = compiled_codec(replace(config, architecture=alone, steps=200, warmup=2, learning_rate=1e-3))
    inputs, _ = sandwich_family.inputs(config, 1, crops)
    losses = [float(codec.train_on_batch(inputs, None, return_dict=True)["score"]) for _ in range(80)]
    assert losses[-1] < 0.9 * losses[0]


def test_the_pre_processor_learns(samples: "Samples") -> None:
    """It gets a gradient through the codec, and moves."""
    codec = compiled_codec(replace(CONFIG, steps=200, warmup=2, learning_rate=1e-3))
    inputs, _ = sandwich_family.inputs(CONFIG, 1, samples.photo(64, 32).reshape(2, 32, 32, 3))
    before = codec.pre.get_weights()
    for _ in range(3):
        codec.train_on_batch(inputs, None)
    changes = [float(np.abs(new - old).max()) for new, old in zip(codec.pre.get_weights(), before, strict=True)]
    assert sum(change > 1e-4 for change in changes) > 0.8 * len(changes)
    assert all(np.isfinite(change) for change in changes)


def test_closed_gates_leave_single_pixels_alone(samples: "Samples") -> None:
    """With a closed gate a result depends on its own pixel only, and no U-Net is trained."""
    codec = build_codec(CONFIG)
    for network in (codec.pre, codec.post):
        last = network.get_layer(f"{network.name}_exit")
        last.set_weights([np.ones_like(weight) for weight in last.get_weights()])
    steps = np.array([20.0], np.float32)
    pixels = samples.photo(32, 32)[None].astype(np.float32) / 255.0 - 0.5
    other = pixels.copy()
    other[:, 5, 7] = 0.3
    for gate, expected in ((0.0, 1), (1.0, 100)):
        first, second = (ops.convert_to_numpy(codec.bottleneck(p, steps, gate)) for p in (pixels, other))
        changed = int(np.count_nonzero(np.abs(first - second).max(axis=-1) > 1e-3))
        assert changed == 1 if gate == 0.0 else changed > expected


def test_stages_open_the_gates_one_after_the_other() -> None:
    staged = replace(CONFIG, steps=100, stages=(0.1, 0.3))
    assert [staged.gates_at(step).tolist() for step in (0, 10, 29, 30)] == [[0, 0], [0, 1], [0, 1], [1, 1]]
    assert CONFIG.gates_at(0).tolist() == [1, 1]


def test_steps_of_a_batch_are_spread_over_the_range() -> None:
    config = replace(CONFIG, batch=64)
    crops = np.zeros((64, 32, 32, 3), np.uint8)
    (_, steps, _), _ = sandwich_family.inputs(config, 3, crops)
    assert np.array_equal(steps, np.rint(steps))
    assert steps.min() < 1.2 * config.qsteps[0]
    assert steps.max() > config.qsteps[1] / 1.2
    np.testing.assert_array_equal(steps, sandwich_family.inputs(config, 3, crops)[0][1])
    assert steps_between(4.0, 64.0, np.array([0.0, 0.5, 1.0])).tolist() == [4.0, 16.0, 64.0]


def test_deep_pictures_are_means_of_four(samples: "Samples") -> None:
    """Crops of 8 bits at half the resolution are what models of more bits are trained and measured with."""
    deep = replace(CONFIG, depth=12, qsteps=(2.0, 100.0))
    crops = samples.photo(128, 64).reshape(2, 64, 64, 3)
    (pixels, _, _), _ = sandwich_family.inputs(deep, 1, crops)
    assert (pixels.dtype, pixels.shape) == (np.uint16, (2, 32, 32, 3))
    assert pixels[0, 3, 5, 1] == round(crops[0, 6:8, 10:12, 1].mean() * 4095 / 255)
    codec = build_codec(deep)
    assert float(ops.convert_to_numpy(ops.max(codec.centred(np.full((1, 1, 1, 3), 4095, np.uint16))))) == 0.5
    measured = sandwich_family.measure(codec, deep, [samples.photo(64, 64)])
    assert list(measured) == list(sandwich_family.columns(deep)[5:])
    assert 30.0 < measured["psnr_4"] < 60.0


def test_gray_is_compared_with_folded_gray(samples: "Samples") -> None:
    """Before anything is learnt, all terms are as large as without U-Nets: their ratios are one."""
    crops = samples.photo(64, 32).reshape(2, 32, 32, 3)
    for config in (CONFIG, GRAY, HALF):
        codec = compiled_codec(config)
        inputs, _ = sandwich_family.inputs(config, 1, crops)
        values = codec.train_on_batch(inputs, None, return_dict=True)
        assert float(values["error"]) == pytest.approx(1.0, abs=0.02)
        assert float(values["rate"]) == pytest.approx(1.0, abs=0.02)


def test_a_run_resumes_and_starts_another(pictures: Path, finished_run: Path, tmp_path: Path) -> None:
    straight = train(CONFIG, pictures, tmp_path / "straight", validation=pictures)
    train(replace(CONFIG, steps=2), pictures, tmp_path / "halved", validation=pictures)
    log = (tmp_path / "straight" / "log.csv").read_text().splitlines()
    assert log[0].split(",")[2:] == list(sandwich_family.columns(CONFIG))
    assert straight.step == 4
    blank = np.zeros((1, 64, 64, 3), np.uint8)
    codec = build_codec(replace(CONFIG, seed=2))
    sandwich_family.start(codec, CONFIG, blank, tmp_path / "straight")
    for weight, average in zip(codec.trainable_variables, straight.average, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(weight), average)
    wider = replace(CONFIG, architecture=SandwichArchitecture())
    with pytest.raises(RequestError, match="other networks"):
        sandwich_family.start(SandwichCodec(wider), wider, blank, tmp_path / "straight")
    with pytest.raises(RequestError, match="of its own kind"):
        sandwich_family.start(codec, CONFIG, blank, finished_run)


def test_configurations_survive_json() -> None:
    names = [name for name in config_names() if name.startswith("sandwich")]
    assert names
    for name in names:
        config = load_config(name)
        assert isinstance(config, SandwichConfig)
        assert config_from_json(config.to_json()) == config
