"""Shared fixtures; makes a bare checkout importable as `nicodec` through a link."""

import os
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    import numpy.typing as npt

    from nicodec.models.zoo import Model
    from nicodec.tests.frozen_graphs import FrozenGraphs
    from nicodec.tests.samples import Samples

if find_spec("nicodec") is None:
    _link = Path(__file__).parents[1] / ".link"
    _link.mkdir(exist_ok=True)
    if not (_link / "nicodec").exists():
        (_link / "nicodec").symlink_to("..")
    sys.path.insert(0, str(_link))
    os.environ["PYTHONPATH"] = str(_link)


def _beside(name: str) -> "ModuleType":
    """A module in this folder, by its path: the tests are no package that it could be imported from."""
    spec = spec_from_file_location(f"nicodec_test_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def samples() -> "Samples":
    """Pictures for tests."""
    made: Samples = _beside("samples").Samples()
    return made


@pytest.fixture(scope="session")
def graphs() -> "FrozenGraphs":
    """Frozen graphs with the names of the original residual GRU."""
    pytest.importorskip("tensorflow")
    made: FrozenGraphs = _beside("frozen_graphs").FrozenGraphs()
    return made


@pytest.fixture(scope="session")
def graph_model(graphs: "FrozenGraphs", tmp_path_factory: pytest.TempPathFactory) -> "Model":
    """A frozen graph, imported into a folder for NICODEC_MODELS."""
    from nicodec.models import zoo
    from nicodec.training.graph_import import import_graph

    folder = tmp_path_factory.mktemp("graph")
    (folder / "residual_gru.pb").write_bytes(graphs.data())
    return zoo.open_folder(import_graph(folder / "residual_gru.pb", folder / "zoo", name="residual-gru-original"))


@pytest.fixture(scope="session")
def small_shallow(samples: "Samples", tmp_path_factory: pytest.TempPathFactory) -> "Model":
    """A shallow model in a folder for NICODEC_MODELS: 96 channels at the KLT start, its context hardly trained."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    pytest.importorskip("keras")
    import numpy as np
    from PIL import Image

    from nicodec.models import zoo
    from nicodec.models.shallow import Architecture
    from nicodec.training import data, export, hyperprior_family
    from nicodec.training.checkpoint import RunState
    from nicodec.training.config import HyperpriorConfig
    from nicodec.training.run_folder import compiled_codec

    folder = tmp_path_factory.mktemp("shallow")
    crops = [samples.photo(512, 512)[y : y + 256, x : x + 256] for y in (0, 128, 256) for x in (0, 128, 256)]
    paths = [folder / f"{k}.png" for k in range(len(crops))]
    for path, crop in zip(paths, crops, strict=True):
        Image.fromarray(crop).save(path)
    config = HyperpriorConfig(
        model="shallow-two-layer",
        architecture=Architecture(latents=96, hyper_latents=8, analysis_width=8),
        lambdas=(0.001, 0.01, 0.1),
        steps=60,
        warmup=1,
        crop=64,
        learning_rate=5e-3,
    )
    codec = compiled_codec(config)
    hyperprior_family.start(codec, config, np.stack(crops), None)
    for part in (codec.analysis, codec.synthesis, codec.log_gain, codec.log_inverse):
        part.trainable = False
    codec.optimizer.build(codec.trainable_variables)
    for step in range(config.steps):
        batch = data.sample_batch(np.stack(crops), step=step, batch=config.batch, size=config.crop, seed=config.seed)
        codec.train_on_batch(*hyperprior_family.inputs(config, step, batch))
    entry = folder / "zoo" / config.model / "1"
    entry.mkdir(parents=True)
    export.write_entry(codec, config, RunState(), entry, paths, len(paths))
    return zoo.open_folder(entry)


@pytest.fixture(scope="session")
def differentiate() -> "Callable[..., tuple[float, list[npt.NDArray[Any]]]]":
    """Calls a function of arrays; returns its scalar value and the gradient with respect to each array."""
    function: Callable[..., Any] = _beside("gradients").differentiate
    return function


@pytest.fixture(scope="session")
def small_sandwiches(tmp_path_factory: pytest.TempPathFactory) -> "Path":
    """A folder for NICODEC_MODELS with sandwich-rgb, -gray, -lowres and -hdr: small U-Nets that count for little."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    pytest.importorskip("keras")
    import numpy as np

    from nicodec.models.sandwich import SandwichArchitecture
    from nicodec.models.unet import UNetArchitecture
    from nicodec.training import export
    from nicodec.training.checkpoint import RunState
    from nicodec.training.config import SandwichConfig
    from nicodec.training.sandwich import build_codec

    small = UNetArchitecture(down=(4, 6), up=(8, 6, 4), stride=2)
    zoo = tmp_path_factory.mktemp("sandwiches")
    for name, bottleneck, downsampling in (("rgb", 3, 1), ("gray", 1, 1), ("lowres", 3, 2), ("hdr", 3, 1)):
        architecture = SandwichArchitecture(bottleneck=bottleneck, downsampling=downsampling, pre=small, post=small)
        config = SandwichConfig(
            model=f"sandwich-{name}",
            architecture=architecture,
            steps=200,
            subsampled=bottleneck == 3,
            depth=12 if name == "hdr" else 8,
        )
        codec = build_codec(config)
        rng = np.random.default_rng(1)
        for network in (codec.pre, codec.post):
            last = network.get_layer(f"{network.name}_exit")
            last.set_weights([rng.normal(0.0, 0.02, weight.shape) for weight in last.get_weights()])
        folder = zoo / config.model / "1"
        folder.mkdir(parents=True)
        export.write_entry(codec, config, RunState(), folder, [], 0)
    return zoo
