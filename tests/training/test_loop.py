"""The training loop: it trains, logs, steers, and an interruption leaves no trace in the result."""

# pyright: reportPrivateUsage=false

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import RequestError

if TYPE_CHECKING:
    from nicodec.training.config import L3icConfig

pytestmark = pytest.mark.train
Train = Callable[..., Any]


@pytest.fixture
def train() -> Train:
    pytest.importorskip("keras")
    from nicodec.training.loop import train

    return train


def checkpoint_of(run: Path) -> dict[str, npt.NDArray[Any]]:
    with np.load(run / "checkpoint.npz") as arrays:
        return {name: arrays[name] for name in arrays.files if name != "progress"}


def log_of(run: Path) -> list[dict[str, str]]:
    with open(run / "log.csv", newline="") as stream:
        return list(csv.DictReader(stream))


def test_three_steps_change_every_kernel(train: Train, config: "L3icConfig", pictures: Path, tmp_path: Path) -> None:
    state = train(replace(config, steps=3, warmup=1), pictures, tmp_path / "short")
    assert state.step == 3
    arrays = checkpoint_of(tmp_path / "short")
    assert all(np.isfinite(array).all() for array in arrays.values())
    weights, start = (
        [array for name, array in arrays.items() if name.startswith(group) and array.ndim == 4]
        for group in ("weight", "average")  # the average has not moved yet
    )
    for before, after in zip(start, weights, strict=True):
        assert (before != after).any()


def test_a_run_leaves_its_log_and_configuration(finished_run: Path, config: "L3icConfig") -> None:
    assert json.loads((finished_run / "config.json").read_text()) == config.to_json()
    rows = log_of(finished_run)
    assert [(row["step"], row["kind"]) for row in rows] == [(step, "valid") for step in ("0", "4", "8", "12")]
    for row in rows:
        assert 0 < float(row["bpp"]) < 8
        assert 0 < float(row["file_bpp"]) < 8
        assert float(row["psnr"]) > 15
        assert 0.3 < float(row["msssim"]) < 1


def test_progress_is_recorded(finished_run: Path) -> None:
    from nicodec.training.run_folder import load_average

    codec, config, state = load_average(finished_run)
    assert state.step == config.steps
    assert state.seconds > 0
    assert state.cpu_seconds > 0
    to_numpy = pytest.importorskip("keras").ops.convert_to_numpy
    for variable, mean in zip(codec.trainable_variables, state.average, strict=True):
        np.testing.assert_array_equal(to_numpy(variable), mean)


def test_the_average_follows_the_weights_slowly() -> None:
    keras = pytest.importorskip("keras")
    from nicodec.training.checkpoint import RunState
    from nicodec.training.run_folder import update_average

    state = RunState(average=[np.array([0.0, 8.0], np.float32)])
    codec = SimpleNamespace(trainable_variables=[keras.Variable([2.0, 4.0])])
    update_average(codec, state, 0.75)
    np.testing.assert_allclose(state.average[0], [0.5, 7.0])


@pytest.mark.parametrize(("target", "direction"), [(0.5, -1), (1.0, 0), (1.1, 1), (1e-6, -1), (1e6, 1), (None, 0)])
def test_the_rate_is_steered_to_its_target(config: "L3icConfig", target: float | None, direction: int) -> None:
    """Towards more weight on the distortion if the files are smaller than they may be; never far at once."""
    keras = pytest.importorskip("keras")
    from nicodec.training import l3ic_family

    codec = SimpleNamespace(balance=keras.Variable(1.0, trainable=False))
    l3ic_family.steer(codec, replace(config, target_bpp=target), {"file_bpp": 1.0})
    assert np.sign(float(codec.balance) - 1.0) == direction
    assert 0.5 < float(codec.balance) < 2.0


def test_interruption_does_not_change_the_result(
    train: Train,
    config: "L3icConfig",
    pictures: Path,
    finished_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from nicodec.training import data, loop

    monkeypatch.setattr(loop, "_LOG_EVERY", 1)
    sample = data.sample_batch

    def interrupted(*args: Any, step: int, **kwargs: Any) -> data.Pixels:
        if step == 6:
            raise KeyboardInterrupt
        return sample(*args, step=step, **kwargs)

    run = tmp_path / "interrupted"
    monkeypatch.setattr(data, "sample_batch", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(config, pictures, run, validation=pictures)
    assert log_of(run)[-1]["step"] == "6"
    steps: list[int] = []

    def recorded(*args: Any, step: int, **kwargs: Any) -> data.Pixels:
        steps.append(step)
        return sample(*args, step=step, **kwargs)

    monkeypatch.setattr(data, "sample_batch", recorded)
    train(config, pictures, run, validation=pictures)

    assert steps == list(range(4, 12))
    expected = checkpoint_of(finished_run)
    found = checkpoint_of(run)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    rows = log_of(run)
    assert [row for row in rows if row["kind"] == "valid"] == log_of(finished_run)
    assert [row["step"] for row in rows if row["kind"] == "train"] == [str(step) for step in range(1, 13)]


def test_a_finished_run_is_left_as_it_is(
    train: Train, config: "L3icConfig", pictures: Path, finished_run: Path
) -> None:
    before = checkpoint_of(finished_run)
    train(config, pictures, finished_run)
    for name, array in checkpoint_of(finished_run).items():
        np.testing.assert_array_equal(array, before[name])


def test_starts_from_a_wider_run(
    train: Train, config: "L3icConfig", pictures: Path, finished_run: Path, tmp_path: Path
) -> None:
    train(replace(config, channels=6, steps=1, warmup=0), pictures, tmp_path / "narrow", start=finished_run)
    wide, narrow = (
        [array for name, array in checkpoint_of(run).items() if name.startswith("average") and array.ndim == 4]
        for run in (finished_run, tmp_path / "narrow")
    )
    copied = [kernel for kernel in narrow if any(np.array_equal(kernel, other) for other in wide)]
    assert sum(kernel.shape == (3, 3, 128, 128) for kernel in copied) == 12


def test_pictures_too_small_to_train_on_are_an_error(train: Train, config: "L3icConfig", tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no images found"):
        train(config, tmp_path / "absent", tmp_path / "run")
