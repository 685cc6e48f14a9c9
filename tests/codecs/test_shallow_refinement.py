"""Refinement by gradients: the differentiable twin tells the coder's own bits, and what it guides gets better."""

import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
pytestmark = pytest.mark.train
pytest.importorskip("keras")

from nicodec.bitstream import container as nic
from nicodec.codecs import shallow, shallow_encoder, shallow_header, shallow_model, shallow_refinement
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.errors import BackendError
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.models.runtime import load_network
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

CODEC = shallow.Shallow()


@pytest.fixture(scope="module")
def photo(samples: "Samples") -> Picture:
    return from_array(samples.photo(120, 152))


@pytest.fixture
def few_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shallow_refinement, "ITERATIONS", {7: 8, 8: 8, 9: 30})


def cost(picture: Picture, model: Model, quality: float, effort: int, **settings: Any) -> float:
    """Bits of a file plus its weighted squared error."""
    coded = CODEC.encode(picture, model, EncodeSettings(quality=quality, effort=effort, **settings))
    restored = CODEC.decode(coded, model, DecodeRequest())
    weight = shallow_model.load(model).weight(shallow_header.quality_steps(quality))
    error = picture.pixels.size * 10.0 ** (-psnr(picture.pixels, restored.pixels) / 10.0)
    return float(8 * len(nic.write(coded)) + weight * error)


@pytest.mark.parametrize("quality", [0, 37.5, 75])
@pytest.mark.parametrize("fast", [False, True], ids=["context", "fast"])
def test_the_twin_tells_the_bits_of_the_coder(small_shallow: Model, photo: Picture, quality: float, fast: bool) -> None:
    from nicodec.codecs.shallow_twin import RateTwin

    settings = EncodeSettings(quality=quality, effort=1, fast_decode=fast)
    coded = CODEC.encode(photo, small_shallow, settings)
    tables = shallow_model.load(small_shallow)
    steps = shallow_header.quality_steps(quality)
    exact = shallow_encoder.analyse_picture(photo, small_shallow, settings) * tables.gain(steps)
    whole = np.pad(exact, ((0, 0), *((0, -side % 4) for side in exact.shape[1:])))
    hyper = load_network(small_shallow, "hyper_encoder")(whole[None])[0]
    twin = RateTwin(tables, shallow_header.node_of(steps), exact.shape[1:], not fast)
    bits, centroids = twin(*(np.rint(planes).transpose(1, 2, 0) for planes in (exact, hyper)))
    assert float(bits) == pytest.approx(8 * sum(s.size for s in coded.segments), rel=0.015, abs=200)
    assert np.abs(np.asarray(centroids)).max() <= 1.0


@pytest.mark.parametrize(("context", "correlation"), [(False, 0.999), (True, 0.8)])
def test_slopes_follow_finite_differences(
    small_shallow: Model, photo: Picture, context: bool, correlation: float
) -> None:
    """The gradient by one latent is what the next integer costs more, roughly so where it is part of a context too."""
    import tensorflow

    from nicodec.codecs.shallow_twin import RateTwin

    tf: Any = tensorflow
    tables = shallow_model.load(small_shallow)
    exact = shallow_encoder.analyse_picture(photo, small_shallow, EncodeSettings()) * tables.gain(500)
    latents = np.rint(exact[:, :8, :8]).transpose(1, 2, 0)
    twin = RateTwin(tables, 8, (8, 8), context)
    hyper = tf.zeros((2, 2, tables.net.inputs))
    with tf.GradientTape() as tape:
        point = tf.constant(latents)
        tape.watch(point)
        bits, _ = twin(point, hyper)
    slopes = tape.gradient(bits, point).numpy()
    differences, found = [], []
    for y, x, c in np.random.default_rng(3).integers((8, 8, 40), size=(40, 3)):
        moved = latents.copy()
        moved[y, x, c] += 1.0
        differences.append(float(twin(moved, hyper)[0]) - float(twin(latents, hyper)[0]))
        found.append(slopes[y, x, c])
    assert np.corrcoef(differences, found)[0, 1] > correlation


@pytest.mark.usefixtures("few_iterations")
@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("quality", [25, 75])
def test_refined_files_are_worth_their_time(small_shallow: Model, photo: Picture, quality: float, fast: bool) -> None:
    plain, weighed, refined = (cost(photo, small_shallow, quality, effort, fast_decode=fast) for effort in (1, 6, 9))
    assert weighed < plain
    assert refined < 0.95 * weighed


@pytest.mark.usefixtures("few_iterations")
def test_stripes_are_refined_one_by_one(small_shallow: Model, photo: Picture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shallow_header, "STRIPE_POSITIONS", 1)
    monkeypatch.setattr(shallow_header, "MIN_STRIPE_ROWS", 4)
    seen: list[tuple[int, int]] = []
    settings = EncodeSettings(quality=50, effort=7)
    coded = CODEC.encode(photo, small_shallow, settings, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (16, 16)
    assert [done for done, total in seen if total == 16] == list(range(1, 17))
    assert psnr(photo.pixels, CODEC.decode(coded, small_shallow, DecodeRequest()).pixels) > 20


def test_without_tensorflow_the_way_out_is_named(
    small_shallow: Model, photo: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, package: str | None = None) -> Any:
        raise ImportError("No module named 'tensorflow'")

    monkeypatch.setattr(shallow_refinement, "import_module", missing)
    with pytest.raises(BackendError, match=r"effort 7 needs TensorFlow.*nicodec\[train\].*effort up to 6"):
        CODEC.encode(photo, small_shallow, EncodeSettings(effort=7))


def test_soft_rounding_draws_towards_integers() -> None:
    from nicodec.codecs.shallow_gradients import softly_rounded

    values = np.array([-2.0, -0.5, 0.0, 0.25, 0.5, 0.75, 3.0], np.float32)
    rounded = np.asarray(softly_rounded(values))
    assert rounded[[0, 1, 2, 4, 6]] == pytest.approx([-2.0, -0.5, 0.0, 0.5, 3.0], abs=1e-6)
    assert 0.0 < rounded[3] < 0.05
    assert 0.95 < rounded[5] < 1.0


def test_noise_falls_off_and_needs_time() -> None:
    from nicodec.codecs.shallow_gradients import noise_at

    long = [noise_at(step / 120, 120) for step in range(120)]
    assert long == sorted(long, reverse=True)
    assert long[0] == pytest.approx(0.1)
    assert long[-1] < 0.011
    assert {noise_at(step / 20, 20) for step in range(20)} == {0.0}


def test_noise_does_no_harm_where_there_is_time(
    small_shallow: Model, photo: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The highest effort with its noise, on a small part: still better than weighing, and the same every time."""
    monkeypatch.setattr(shallow_refinement, "ITERATIONS", {9: 100})
    part = from_array(photo.pixels[:64, :64])
    weighed, refined, again = (cost(part, small_shallow, 50, effort) for effort in (6, 9, 9))
    assert refined < 0.96 * weighed
    assert refined == again
