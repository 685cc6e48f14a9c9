"""Training of the hyperprior codecs: it starts as a transform codec, depends on its step alone, and resumes exactly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")

from nicodec.bitstream.hyper_context import MEAN_STEPS, HyperContext, Prior
from nicodec.bitstream.lattice import PHASE_OF
from nicodec.bitstream.linear_forms import ONE
from nicodec.bitstream.tables import TableSet
from nicodec.bitstream.walk import Walk
from nicodec.errors import RequestError
from nicodec.models import shallow_start
from nicodec.models.keras_ops import ops
from nicodec.models.shallow import Architecture
from nicodec.training import data, hyperprior_family
from nicodec.training.config import HyperpriorConfig, config_from_json, config_names, load_config
from nicodec.training.hyper_rate import Anchored, HyperContextRate
from nicodec.training.hyperprior import build_codec
from nicodec.training.run_folder import compiled_codec

if TYPE_CHECKING:
    from nicodec.training.data import Pixels

SMALL = Architecture(latents=96, hyper_latents=8, analysis_width=8)
CONFIG = HyperpriorConfig(
    model="shallow-two-layer",
    architecture=SMALL,
    lambdas=(0.002, 0.02, 0.2),
    steps=4,
    batch=2,
    crop=64,
    warmup=1,
    validate_every=2,
    validation_pictures=1,
    learning_rate=1e-3,
)


@pytest.fixture(scope="module")
def packed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> "Pixels":
    return data.pack_crops(pictures, tmp_path_factory.mktemp("packed") / "crops.npy", 128)


def started(config: HyperpriorConfig, packed: "Pixels") -> Any:
    codec = build_codec(config)
    hyperprior_family.start(codec, config, packed, None)
    return codec


@pytest.mark.parametrize(
    "architecture",
    [
        SMALL,
        replace(SMALL, residual=False, hidden=24),
        replace(SMALL, synthesis="one_layer"),
        replace(SMALL, analysis="cnn"),
    ],
    ids=["two-layer", "without-residual", "one-layer", "cnn"],
)
def test_the_start_is_a_transform_codec(architecture: Architecture, packed: "Pixels") -> None:
    """The pixels come back as well as a KLT of so many components can, and finer quality is finer."""
    codec = started(replace(CONFIG, architecture=architecture), packed)
    blocks = data.blocks_of(packed, 16, 5000).reshape(-1, 768) / 255.0 - 0.5
    basis, deviations = shallow_start.klt(data.blocks_of(packed, 16, 5000), architecture.latents)
    assert np.all(np.diff(deviations) <= 1e-9)
    lost = np.mean(np.square(blocks - blocks @ basis @ basis.T))
    pixels = packed[:4].astype(np.float32) / 255.0
    position = np.full(4, 2.0, np.float32)
    latents = codec.latents(pixels, position)
    restored = ops.convert_to_numpy(codec.restore(latents, position))
    assert np.mean(np.square(restored - pixels)) < 2.0 * lost + 1e-4
    measured = hyperprior_family.measure(codec, CONFIG, [packed[0]])
    assert measured["psnr_2"] > measured["psnr_0"] + 3
    assert measured["bpp_2"] > measured["bpp_0"] > 0
    assert measured["bpp_0"] == pytest.approx(measured["fast_0"], rel=1e-3)  # the context has nothing to say yet


def test_positions_depend_on_the_step_alone_and_cover_the_scale() -> None:
    config = replace(CONFIG, batch=8)
    first = hyperprior_family.positions_of(config, 3)
    np.testing.assert_array_equal(first, hyperprior_family.positions_of(config, 3))
    assert not np.array_equal(first, hyperprior_family.positions_of(config, 4))
    assert np.diff(np.sort(first)) == pytest.approx(np.full(7, 2 / 8))
    assert first.min() >= 0
    assert first.max() <= 2


def test_training_counts_the_bits_of_what_is_rounded(packed: "Pixels") -> None:
    codec = started(CONFIG, packed)
    crops = data.sample_batch(packed, step=0, batch=2, size=64, seed=1)
    (pixels, position, noise), _ = hyperprior_family.inputs(CONFIG, 3, crops)
    assert noise.shape == (2, 4, 4, SMALL.latents)
    *_, fast, full = codec((pixels, position, noise))
    rounded = codec.code(codec.latents(pixels.astype(np.float32) / 255.0, position), position)
    for bits, expected in ((fast, rounded[2]), (full, rounded[3])):
        np.testing.assert_allclose(ops.convert_to_numpy(bits), ops.convert_to_numpy(expected), rtol=1e-5)


def test_noise_reaches_the_slope_of_the_latents(
    packed: "Pixels", differentiate: Callable[..., tuple[float, list[Any]]]
) -> None:
    codec = started(CONFIG, packed)
    position = np.full(2, 1.0, np.float32)
    latents = ops.convert_to_numpy(codec.latents(packed[:2, :64, :64].astype(np.float32) / 255.0, position))
    noise = np.random.default_rng(6).uniform(-0.5, 0.5, latents.shape).astype(np.float32)
    with_noise, without = (
        differentiate(lambda v, n=n: ops.sum(codec.code(v, position, n)[3]), latents) for n in (noise, None)
    )
    assert with_noise[0] == pytest.approx(without[0], rel=1e-5)
    assert np.mean(np.abs(with_noise[1][0] - without[1][0])) > 0.1 * np.mean(np.abs(without[1][0]))


def test_gradients_are_clipped_where_the_configuration_says() -> None:
    for clip in (0.5, 20.0):
        assert compiled_codec(replace(CONFIG, clip=clip)).optimizer.global_clipnorm == clip


def test_vectors_are_interpolated_between_anchors() -> None:
    layer = Anchored(3, 2)
    layer.build((None,))
    layer.table.assign([[0.0, 10.0], [1.0, 20.0], [4.0, 0.0]])
    values = ops.convert_to_numpy(layer(np.array([0.0, 0.25, 1.5, 2.0], np.float32)))[:, 0, 0]
    np.testing.assert_allclose(values, np.array([[0, 10], [0.25, 12.5], [2.5, 10], [4, 0]]), rtol=1e-6)


def random_rate(channels: int) -> HyperContextRate:
    rng = np.random.default_rng(0)
    rate = HyperContextRate(channels, 2)
    rate.build((None, 8, 8, channels))
    for weight in (rate.own, rate.mates, rate.constant, rate.earlier):
        weight.assign(rng.normal(0, 0.05, weight.shape))
    rate.trust.assign(rng.uniform(0.5, 1.5, rate.trust.shape))
    return rate


def test_a_prior_learns_from_integers_and_a_latent_from_what_is_measured(
    differentiate: Callable[..., tuple[float, list[Any]]],
) -> None:
    """The bits are those of the integers; only their slope by the latents is the measured values'."""
    rng = np.random.default_rng(4)
    rate = HyperContextRate(5, 2)
    rate.build((None, 4, 4, 5))
    rate.start(np.ones((2, 5)))
    integers = rng.integers(-3, 4, (1, 4, 4, 5)).astype(np.float32)
    measured = integers + rng.uniform(-0.5, 0.5, integers.shape).astype(np.float32)
    prior = rng.normal(size=(1, 4, 4, 10)).astype(np.float32)
    position = np.array([0.5], np.float32)

    def bits(values: Any, predicted: Any, *, instead: Any = None) -> Any:
        shifted = values if instead is None else values + (instead - integers)
        return ops.sum(rate(values, shifted, predicted, position)[0])

    value, (by_latents, by_prior) = differentiate(lambda v, p: bits(v, p, instead=measured), integers, prior)
    rounded, (_, by_prior_rounded) = differentiate(bits, integers, prior)
    _, (by_measured, _) = differentiate(bits, measured, prior)
    assert value == pytest.approx(rounded, rel=1e-6)
    np.testing.assert_allclose(by_prior, by_prior_rounded, atol=1e-5)
    np.testing.assert_allclose(by_latents, by_measured, atol=1e-4)


def test_the_context_has_the_slopes_it_should(differentiate: Callable[..., tuple[float, list[Any]]]) -> None:
    """Against finite differences: the sums of neighbours bring their own gradient."""
    rate = random_rate(3)
    rng = np.random.default_rng(5)
    latents = rng.uniform(0.2, 3.0, (1, 6, 7, 3)).astype(np.float32)  # away from zero, where activities have no slope
    prior = np.zeros((1, 6, 7, 6), np.float32)
    weights = rng.normal(size=(1, 6, 7, 6)).astype(np.float32)

    def weighted(values: Any) -> Any:
        return ops.sum(rate.context(values, prior) * weights)

    _, (slopes,) = differentiate(weighted, latents)
    for place in [(0, 0, 0, 0), (0, 2, 3, 1), (0, 5, 6, 2), (0, 3, 0, 1)]:
        step = np.zeros_like(latents)
        step[place] = 0.05
        difference = float(weighted(latents + step) - weighted(latents - step)) / 0.1
        assert slopes[place] == pytest.approx(difference, rel=0.02, abs=2e-3)


@pytest.mark.parametrize("place", [(0, 0), (2, 2), (2, 4), (3, 5), (3, 4)])
def test_the_context_looks_only_at_what_is_decoded(place: tuple[int, int]) -> None:
    """A latent changes the predictions of later phases of its group, and of later groups around it."""
    rate = random_rate(7)
    rng = np.random.default_rng(1)
    latents = rng.integers(-4, 5, (1, 8, 8, 7)).astype(np.float32)
    prior = rng.normal(size=(1, 8, 8, 14)).astype(np.float32)
    before = ops.convert_to_numpy(rate.context(latents, prior))
    channel = 5  # of the group 4..5
    latents[0, place[0], place[1], channel] += 3
    changed = np.abs(ops.convert_to_numpy(rate.context(latents, prior)) - before)[0] > 1e-6
    changed = changed[..., :7] | changed[..., 7:]
    assert not changed[..., :4].any()
    phases = np.array(PHASE_OF)[np.arange(8)[:, None] % 4, np.arange(8) % 4]
    within = changed[..., 4:6].any(axis=-1)
    assert (phases[within] > phases[place]).all()
    assert within.any() == (phases[place] < phases.max())
    assert changed[place[0], place[1], 6:].all()


def test_the_integer_forms_predict_what_was_trained() -> None:
    rate = random_rate(13)
    rng = np.random.default_rng(2)
    latents = np.rint(rng.laplace(scale=2.0, size=(13, 6, 9))).astype(np.int32)
    features = rng.integers(-60, 60, (26, 6, 9)).astype(np.int32)
    prior = Prior.of_planes(features, np.zeros(26, np.int32))
    floats = features.transpose(1, 2, 0)[None] / ONE
    planes = latents.transpose(1, 2, 0)[None].astype(np.float32)
    expected = ops.convert_to_numpy(rate.context(planes, floats.astype(np.float32)))[0].transpose(2, 0, 1)
    blank = TableSet.from_counts(np.ones((MEAN_STEPS, 4), np.int64), -1)
    model = HyperContext(
        bounds=np.array(rate.bounds),
        activity=np.rint(ONE * np.log1p(np.arange(99))).astype(np.int64),
        forms=rate.integer_forms(),
        thresholds=np.empty(0, np.int64),
        tables=blank,
        offsets=np.zeros((MEAN_STEPS, 5), np.int64),
    )
    walk = Walk(model, prior)
    found, sites = np.zeros((2, 54, 13)), prior.lattice.sites(latents)
    for step in walk.steps(range(len(model.groups()))):
        found[:, *step.place] = step.mean, step.spread
        walk.learn(step, sites[step.place])
    error = np.concatenate([prior.lattice.planes(f) for f in found]) / ONE - expected
    assert np.abs(error).max() < 3 / ONE
    assert np.abs(error.mean()) < 0.1 / ONE


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(24, analysis="bls", analysis_width=8, linear=False, synthesis="bls", hidden=8, hyper="none"),
        Architecture(24, 8, analysis="mbt", analysis_width=8, linear=False, synthesis="mbt", hidden=8, hyper="full"),
    ],
    ids=["factorized", "mean-scale"],
)
def test_the_lower_rungs_train_without_context(architecture: Architecture, packed: "Pixels") -> None:
    config = replace(CONFIG, architecture=architecture, lambdas=(0.01,), klt=False, context=False)
    codec = compiled_codec(config)
    hyperprior_family.start(codec, config, packed, None)
    before = [np.array(w) for w in codec.get_weights()]
    crops = data.sample_batch(packed, step=0, batch=2, size=64, seed=1)
    values = codec.train_on_batch(*hyperprior_family.inputs(config, 0, crops), return_dict=True)
    assert np.isfinite(float(values["score"]))
    assert float(values["bpp"]) == pytest.approx(float(values["fast_bpp"]))
    assert (float(values["hyper_bpp"]) > 0) == (architecture.hyper != "none")
    moved = [bool((a != b).any()) for a, b in zip(before, codec.get_weights(), strict=True)]
    assert sum(moved) >= len(moved) - 5  # all but the context's five


@pytest.mark.parametrize("name", config_names())
def test_a_configuration_survives_its_json(name: str) -> None:
    config = load_config(name)
    assert config_from_json(config.to_json()) == config


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(RequestError, match="does not fit this version"):
        config_from_json({**CONFIG.to_json(), "colour": "blue"})
    with pytest.raises(RequestError, match="unknown family 'jpeg'"):
        config_from_json({**CONFIG.to_json(), "family": "jpeg"})


def test_an_interrupted_run_ends_like_a_whole_one(
    pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nicodec.training.loop import train
    from nicodec.training.run_folder import load_average

    whole = train(CONFIG, pictures, tmp_path / "whole", validation=pictures)
    sample = data.sample_batch

    def interrupted(*args: Any, step: int, **kwargs: Any) -> Any:
        if step == 3:
            raise KeyboardInterrupt
        return sample(*args, step=step, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(data, "sample_batch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            train(CONFIG, pictures, tmp_path / "halves", validation=pictures)
    continued = train(CONFIG, pictures, tmp_path / "halves", validation=pictures)
    for a, b in zip(whole.average, continued.average, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    codec, config, state = load_average(tmp_path / "whole")
    assert config == CONFIG
    assert state.step == 4
    assert codec.count_params() > 10_000
    rows = (tmp_path / "whole" / "log.csv").read_text().splitlines()
    assert rows[0].startswith("step,kind,bpp,hyper_bpp,fast_bpp,mse,score,bpp_0,fast_0,psnr_0,bpp_2")
    assert sum(",valid," in row for row in rows) == 3


def test_a_run_starts_from_another_of_its_kind_only(pictures: Path, packed: "Pixels", tmp_path: Path) -> None:
    from nicodec.training.loop import train

    train(replace(CONFIG, steps=2), pictures, tmp_path / "first")
    second = build_codec(CONFIG)
    hyperprior_family.start(second, CONFIG, packed, tmp_path / "first")
    other = replace(CONFIG, architecture=replace(SMALL, hidden=16))
    with pytest.raises(RequestError, match="another architecture"):
        hyperprior_family.start(build_codec(other), other, packed, tmp_path / "first")


def test_a_synthesis_of_one_layer_starts_as_the_linear_part_of_two(
    pictures: Path, packed: "Pixels", tmp_path: Path
) -> None:
    """All else is copied, and from the same latents come nearly the same pixels."""
    from nicodec.training.loop import train
    from nicodec.training.run_folder import load_average

    train(CONFIG, pictures, tmp_path / "first")
    trained = load_average(tmp_path / "first")[0]
    config = replace(CONFIG, architecture=replace(SMALL, synthesis="one_layer", kernel=30))
    codec = build_codec(config)
    hyperprior_family.start(codec, config, packed, tmp_path / "first")
    pixels, position = packed[:2].astype(np.float32) / 255.0, np.array([1.0, 2.0], np.float32)
    expected = ops.convert_to_numpy(trained.latents(pixels, position))
    np.testing.assert_array_equal(ops.convert_to_numpy(codec.latents(pixels, position)), expected)
    wanted, found = (ops.convert_to_numpy(c.restore(expected, position)) for c in (trained, codec))
    assert np.mean(np.square(wanted - 0.5)) > 0.01
    assert np.mean(np.square(found - wanted)) < 1e-4
