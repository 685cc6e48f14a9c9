"""Checkpoints: a run continues as if nothing had happened, or says why it cannot."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nicodec.errors import RequestError

if TYPE_CHECKING:
    from nicodec.training.config import L3icConfig

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def _needs_keras() -> None:
    pytest.importorskip("keras")


def compiled(config: "L3icConfig") -> Any:
    from nicodec.training.run_folder import compiled_codec

    return compiled_codec(config)


def state_of(codec: Any) -> list[Any]:
    keras: Any = pytest.importorskip("keras")
    return [keras.ops.convert_to_numpy(variable) for variable in (*codec.weights, *codec.optimizer.variables)]


def test_everything_is_restored(config: "L3icConfig", tmp_path: Path) -> None:
    from nicodec.training import checkpoint

    first = compiled(config)
    rng = np.random.default_rng(1)
    first.train_on_batch(rng.integers(0, 256, (1, 32, 32, 3), np.uint8), np.array([1]))
    first.balance.assign(1.5)
    average = [rng.normal(size=variable.shape).astype(np.float32) for variable in first.trainable_variables]
    progress = checkpoint.RunState(7, 12.5, 20.25, average)
    checkpoint.save(tmp_path / "checkpoint.npz", first, progress)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint.npz"]

    second = compiled(replace(config, seed=99))
    restored = checkpoint.restore(tmp_path / "checkpoint.npz", second)
    assert (restored.step, restored.seconds, restored.cpu_seconds) == (7, 12.5, 20.25)
    for group in (zip(restored.average, average, strict=True), zip(state_of(second), state_of(first), strict=True)):
        for found, expected in group:
            np.testing.assert_array_equal(found, expected)
    assert float(second.balance) == 1.5
    assert int(second.optimizer.iterations) == 1


def test_refuses_another_architecture(config: "L3icConfig", finished_run: Path) -> None:
    from nicodec.training import checkpoint

    with pytest.raises(RequestError, match="another configuration"):
        checkpoint.restore(finished_run / "checkpoint.npz", compiled(replace(config, channels=8)))


@pytest.mark.parametrize("size", [0, 4, 100_000])
def test_refuses_a_damaged_file(config: "L3icConfig", finished_run: Path, size: int) -> None:
    from nicodec.training import checkpoint

    path = finished_run / "checkpoint.npz"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(RequestError, match="remove it to start again"):
        checkpoint.restore(path, compiled(config))


def test_an_interrupted_save_leaves_the_old_checkpoint(
    config: "L3icConfig", finished_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nicodec.training import checkpoint

    path = finished_run / "checkpoint.npz"
    before = path.read_bytes()

    def interrupted(stream: Any, **_: Any) -> None:
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, compiled(config), checkpoint.RunState())
    assert path.read_bytes() == before
