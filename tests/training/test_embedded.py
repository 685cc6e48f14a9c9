"""The embedded codec: it starts as a KLT, codes as it was trained, learns, and fits tables to what neighbours tell."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")

from nicodec.bitstream.code_trees import Cells, CodeTrees
from nicodec.bitstream.tree_layers import TreeLayerCoder
from nicodec.codecs import embedded_engine, embedded_model
from nicodec.codecs.cells import CellTables
from nicodec.codecs.embedded_engine import EmbeddedEngine
from nicodec.codecs.embedded_model import EmbeddedModel
from nicodec.errors import FormatError, ModelError, RequestError
from nicodec.metrics.psnr import psnr
from nicodec.models import embedded, onnx_graph, zoo
from nicodec.models.embedded import EmbeddedArchitecture
from nicodec.models.keras_ops import ops
from nicodec.models.zoo import Model
from nicodec.training import data, embedded_family, export, tree_entropy
from nicodec.training.config import EmbeddedConfig, config_from_json, load_config
from nicodec.training.embedded import EmbeddedCodec, build_codec, levels_in_turn
from nicodec.training.loop import train
from nicodec.training.progressive import to_bytes
from nicodec.training.run_folder import compiled_codec, load_average

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

SMALL = EmbeddedArchitecture(24, deep_width=16, deep_blocks=1, features=4, fine_width=8, fine_blocks=1)
CONFIG = EmbeddedConfig(
    model="embedded",
    architecture=SMALL,
    first_price=700.0,
    last_price=1.0,
    levels=16,
    codes=8,
    steps=4,
    batch=4,
    crop=64,
    warmup=1,
    validate_every=2,
    validation_pictures=1,
    learning_rate=1e-3,
)


@pytest.fixture(scope="module")
def packed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> data.Pixels:
    return data.pack_crops(pictures, tmp_path_factory.mktemp("packed") / "crops.npy", 64)


@pytest.fixture(scope="module")
def codec(packed: data.Pixels) -> EmbeddedCodec:
    """At its start, not to be changed."""
    made = build_codec(CONFIG)
    made.begin(packed)
    return made


@pytest.fixture(scope="module")
def model(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """What a run of four steps ships."""
    folder = tmp_path_factory.mktemp("embedded")
    train(CONFIG, pictures, folder / "run")
    return zoo.open_folder(export.export(folder / "run", folder / "zoo", pictures=pictures, samples=2))


def test_the_basis_is_orthogonal_and_coefficients_have_unit_variance(codec: EmbeddedCodec, packed: data.Pixels) -> None:
    there, back = (
        part.get_layer("basis").get_weights()[0].reshape(shape)
        for part, shape in ((codec.analysis, (768, 24)), (codec.synthesis, (24, 768)))
    )
    np.testing.assert_allclose(back @ there, np.eye(24), atol=1e-4)
    values = ops.convert_to_numpy(codec.analysis(packed.astype(np.float32) / 255.0 - 0.5))
    assert values.reshape(-1, 24)[:, 1:].std(axis=0) == pytest.approx(np.ones(23), abs=0.35)


def test_it_starts_as_a_linear_transform(codec: EmbeddedCodec, packed: data.Pixels) -> None:
    """What is restored at first is the basis times the means of the cells."""
    cells = ops.convert_to_numpy(codec.cells(packed[:1], np.array([7])))
    means = np.moveaxis(codec.tables.means_of(np.moveaxis(cells[0], -1, 0).astype(np.uint8)), 0, -1)
    flat = (means @ codec.synthesis.get_layer("basis").get_weights()[0][0, 0]).reshape(4, 4, 16, 16, 3)
    expected = flat.transpose(0, 2, 1, 3, 4).reshape(64, 64, 3)
    np.testing.assert_allclose(ops.convert_to_numpy(codec.restore(packed[:1], np.array([7])))[0], expected, atol=1e-5)


def test_levels_get_better(codec: EmbeddedCodec, packed: data.Pixels) -> None:
    restored = [to_bytes(codec.restore(packed[:1], np.array([level])))[0] for level in range(16)]
    assert (np.diff([psnr(packed[0], picture) for picture in restored]) > 0).all()


def test_cells_are_those_of_the_tables(codec: EmbeddedCodec, packed: data.Pixels) -> None:
    """Training and coding find the same cells, those of the last level and earlier ones."""
    values = ops.convert_to_numpy(codec.analysis(packed[:2].astype(np.float32) / 255.0 - 0.5))
    tables = codec.tables
    final = tables.find(np.moveaxis(values, -1, 0))
    cells = tables.trees.roots(*final.shape[1:])
    for level in range(16):
        tables.trees.advance(cells, level, tables.trees.codes(final, level))
        found = ops.convert_to_numpy(codec.cells(packed[:2], np.array([level, level])))
        assert np.array_equal(np.moveaxis(found, -1, 0), cells), level


def test_a_model_codes_as_it_was_trained(model: Model, pictures: Path, samples: "Samples") -> None:
    engine = EmbeddedEngine(model, "onnxruntime", 1)
    pixels = samples.photo(64, 96)
    codes = engine.analyse(pixels, 16)
    assert codes.shape == (16, 8, 4, 6)
    trained, _, _ = load_average(model.folder.parents[2] / "run")
    for level, picture in zip((2, 9, 15), engine.synthesise(list(codes), [2, 9, 15]), strict=True):
        expected = to_bytes(trained.restore(pixels[None], np.array([level])))[0].astype(int)
        # Weights are in half precision: a coefficient near a threshold may be in another cell.
        assert np.mean(np.abs(picture - expected) <= 2) > 0.98


def loud(network: Any) -> Any:
    """Gives a synthesis weights that let everything through."""
    rng = np.random.default_rng(1)
    for layer in network.layers:
        layer.set_weights([0.2 * rng.standard_normal(weight.shape) for weight in layer.get_weights()])
    return network


def test_tiles_give_the_same_pixels(
    model: Model, samples: "Samples", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the model's halo, and not with one that is narrower by one."""
    shutil.copytree(model.folder, tmp_path / "model")
    (tmp_path / "model" / "decoder.onnx").write_bytes(onnx_graph.float_graph(loud(embedded.synthesis(SMALL))))
    folder = tmp_path / "model"
    its_model = replace(model, folder=folder, hash=zoo.model_hash(folder))
    engine = EmbeddedEngine(its_model, "onnxruntime", 1)
    pixels = samples.photo(64, 512)
    codes = engine.analyse(pixels, 16)
    expected = engine.synthesise(list(codes), [3, 15])
    halo = embedded_model.load(model).halo
    assert halo == SMALL.halo
    monkeypatch.setattr(embedded_engine, "WHOLE_PIXELS", 64 * 64)
    monkeypatch.setattr(embedded_engine, "OUTER_PIXELS", 64 + 2 * 16 * halo)
    assert np.array_equal(engine.analyse(pixels, 16), codes)
    seen: list[tuple[int, int]] = []
    found = engine.synthesise(list(codes), [3, 15], lambda done, total: seen.append((done, total)))
    assert seen == [(done + 1, 16) for done in range(16)]
    assert all(np.abs(a.astype(int) - b).max() <= 1 for a, b in zip(found, expected, strict=True))
    other = replace(embedded_model.load(model), halo=halo - 1)
    monkeypatch.setattr(embedded_model, "load", lambda _: other)
    (narrower,) = EmbeddedEngine(its_model, "onnxruntime", 1).synthesise(list(codes), [15])
    assert np.abs(narrower.astype(int) - expected[1]).max() > 10


def giving(*results: npt.NDArray[np.float32]) -> Callable[[str], Callable[..., object]]:
    """Loads networks that always give the same."""
    return lambda part: lambda *arrays: results


@pytest.mark.parametrize("part", ["encoder", "decoder"])
def test_networks_that_do_not_fit_are_refused(model: Model, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = EmbeddedEngine(model, "onnxruntime", 1)
    pixels = np.zeros((32, 32, 3), np.uint8)
    codes = list(engine.analyse(pixels, 2))
    runs: dict[str, Callable[[], object]] = {
        "encoder": lambda: engine.analyse(pixels, 2),
        "decoder": lambda: engine.synthesise(codes, [1]),
    }
    wrong = np.zeros((1, 23, 2, 3), np.float32)
    for results in ((wrong,), (wrong, wrong), ()):
        monkeypatch.setattr(engine, "_network", giving(*results))
        with pytest.raises(ModelError, match="reinstall"):
            runs[part]()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("halo", np.array(17, np.uint8)),
        ("halo", np.array(np.inf)),
        ("halo", np.array([5], np.uint8)),
        ("means", np.full((24, 256), np.nan, np.float16)),
        ("means", np.zeros((23, 256), np.float16)),
        ("deviations", np.zeros((24, 256), np.float32)),
        ("thresholds", np.zeros((24, 256), "u1,u1")),
        ("plan", np.arange(24, dtype=np.uint16)[:, None]),
    ],
)
def test_damaged_models_are_refused(model: Model, name: str, value: npt.NDArray[Any]) -> None:
    with np.load(model.path("entropy.npz")) as stored:
        arrays = dict(stored)
    EmbeddedModel.from_arrays(arrays)
    with pytest.raises(FormatError, match="reinstall"):
        EmbeddedModel.from_arrays({**arrays, name: value})
    with pytest.raises(FormatError, match=name):
        EmbeddedModel.from_arrays({key: array for key, array in arrays.items() if key != name})


def test_the_halo_is_how_far_a_cell_is_felt() -> None:
    """With weights that let everything through, no pixel changes beyond it, and one does at it."""
    keras.utils.set_random_seed(3)
    network, rng = loud(embedded.synthesis(SMALL)), np.random.default_rng(1)
    size = 2 * SMALL.halo + 5
    inputs = rng.standard_normal((2, 1, size, size, 24)).astype(np.float32)
    changed = inputs.copy()
    changed[:, :, size // 2, size // 2] += 1.0
    before, after = (ops.convert_to_numpy(network(list(pair)))[0] for pair in (inputs, changed))
    blocks = np.abs(after - before).max(axis=2).reshape(size, 16, size, 16).max(axis=(1, 3)) > 1e-6
    rows = np.flatnonzero(blocks.any(axis=1))
    assert SMALL.halo - 1 <= size // 2 - rows[0] <= SMALL.halo
    assert SMALL.halo - 1 <= rows[-1] - size // 2 <= SMALL.halo


def test_filters_begin_by_seeing_differences() -> None:
    """Where all blocks are alike, the entry of the deep half sees nothing of the means, that of the fine half of the picture."""
    network = embedded.synthesis(SMALL)
    deep = network.get_layer("deep_entry").get_weights()[0]
    assert np.abs(deep[:, :, :24].sum(axis=(0, 1))).max() < 1e-4 < np.abs(deep[:, :, 24:].sum(axis=(0, 1))).max()
    fine = network.get_layer("fine_entry").get_weights()[0][:, :, :48].reshape(3, 3, 16, 3, -1)
    assert np.abs(fine.sum(axis=(0, 1, 2))).max() < 1e-4


def test_it_learns(codec: EmbeddedCodec, packed: data.Pixels) -> None:
    """Eighty steps on one batch lower its error; the basis and the trees stay."""
    learning = compiled_codec(replace(CONFIG, steps=200, warmup=5))
    learning.set_weights(codec.get_weights())
    crops = data.sample_batch(packed, step=0, batch=4, size=64, seed=1)
    inputs, _ = embedded_family.inputs(CONFIG, 0, crops)
    values = [learning.train_on_batch(inputs, return_dict=True) for _ in range(80)]
    assert float(values[-1]["score"]) < 0.9 * float(values[0]["score"])
    for part in ("analysis", "synthesis"):
        kernels = [getattr(it, part).get_layer("basis").get_weights()[0] for it in (codec, learning)]
        assert np.array_equal(*kernels)
    assert np.array_equal(learning.tables.thresholds, codec.tables.thresholds)


def test_a_run_resumes_and_starts_another(pictures: Path, tmp_path: Path) -> None:
    train(replace(CONFIG, steps=2), pictures, tmp_path / "run", validation=pictures)
    state = train(replace(CONFIG, steps=4), pictures, tmp_path / "run", validation=pictures)
    assert state.step == 4
    log = (tmp_path / "run" / "log.csv").read_text().splitlines()
    assert log[0].split(",")[2:] == list(embedded_family.columns(CONFIG))
    other = build_codec(CONFIG)
    embedded_family.start(other, CONFIG, np.zeros((1, 64, 64, 3), np.uint8), tmp_path / "run")
    for weight, average in zip(other.trainable_variables, state.average, strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(weight), average)
    wider = replace(CONFIG, architecture=replace(SMALL, fine_width=12))
    with pytest.raises(RequestError, match="same architecture"):
        embedded_family.start(build_codec(wider), wider, np.zeros((1, 64, 64, 3), np.uint8), tmp_path / "run")


def test_all_levels_take_turns() -> None:
    seen = [level for step in range(16) for level in levels_in_turn(step, 4, 16)]
    assert [seen.count(level) for level in range(16)] == [4] * 16
    assert sorted(np.diff(sorted(levels_in_turn(3, 4, 16)))) == [4, 4, 4]


def test_the_configuration_survives_json() -> None:
    config = load_config("embedded")
    assert isinstance(config, EmbeddedConfig)
    assert config_from_json(config.to_json()) == config


def sizes(alike: float, seed: int = 1) -> tuple[float, float]:
    """Bits per code of cells that are as their neighbours say to some degree, and what they would cost one by one."""
    rng = np.random.default_rng(seed)
    trees = CodeTrees(2, np.array([[0, 1], [0, 1], [0, 1]]))
    numbers = np.arange(256, dtype=np.float32) % 16 / 16.0
    tables = CellTables(trees, np.zeros((2, 256), np.float32), np.stack([numbers] * 2), np.stack([numbers] * 2))
    coded = [_patches(rng, alike) for _ in range(9)]
    model = tree_entropy.fit(tables, coded[:6])
    bits = 0
    for cells in coded[6:]:
        coder = TreeLayerCoder(model, *cells.shape[1:])
        bits += sum(8 * len(coder.encode(trees.codes(cells, layer))) for layer in range(3))
    shares = np.bincount(np.concatenate([c.ravel() for c in coded]), minlength=16)[8:] / sum(c.size for c in coded)
    return bits / (3 * 2 * 3 * 48 * 48), float(-(shares * np.log2(shares)).sum() / 3)


def _patches(rng: np.random.Generator, alike: float) -> Cells:
    """Cells 8 to 15: patches of one cell, in which some positions are drawn anew."""
    patches = rng.integers(8, 16, (1, 12, 12)).repeat(4, axis=1).repeat(4, axis=2).repeat(2, axis=0)
    anew = rng.integers(8, 16, patches.shape)
    cells: npt.NDArray[np.uint8] = np.where(rng.random(patches.shape) < alike, patches, anew).astype(np.uint8)
    return cells


def test_neighbours_are_used_where_they_tell_something() -> None:
    bits, alone = sizes(0.95)
    assert alone == pytest.approx(1.0, abs=0.01)
    assert bits < 0.85
    bits, _ = sizes(0.0)
    assert bits < 1.01
