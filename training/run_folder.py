"""The folder of a run: its configuration, its checkpoint, and the codec that they describe."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from . import checkpoint
from .checkpoint import CHECKPOINT, RunState
from .config import Config, config_from_json
from .families import family_of

CONFIG = "config.json"


def save_config(run: Path, config: Config) -> None:
    """Writes config.json."""
    (run / CONFIG).write_text(json.dumps(config.to_json(), indent=2) + "\n")


def compiled_codec(config: Config) -> Any:
    """A fresh codec with its optimiser built, ready for a checkpoint."""
    codec: Any = family_of(config).build(config)
    # Compiled, JAX takes a quarter of the time, TensorFlow on a CPU twice as much; PyTorch compiles again and again.
    codec.compile(optimizer=_optimiser(config), jit_compile=keras.backend.backend() == "jax")
    codec.optimizer.build(codec.trainable_variables)
    return codec


def load_average(run: Path) -> tuple[Any, Config, RunState]:
    """The codec of a run folder with its averaged weights, its configuration and its progress.

    Raises:
        RequestError: the configuration or the checkpoint does not fit this version, or is damaged.
    """
    config = config_from_json(json.loads((run / CONFIG).read_text()))
    codec = compiled_codec(config)
    state = checkpoint.restore(run / CHECKPOINT, codec)
    _assign(codec.trainable_variables, state.average)
    return codec, config, state


def fresh_state(codec: Any) -> RunState:
    """The state of a run that begins with the codec's weights."""
    return RunState(average=_arrays(codec.trainable_variables))


@contextmanager
def averaged(codec: Any, state: RunState) -> Generator[None]:
    """Puts the averaged weights in place of the current ones for the duration of a block."""
    current = _arrays(codec.trainable_variables)
    _assign(codec.trainable_variables, state.average)
    try:
        yield
    finally:
        _assign(codec.trainable_variables, current)


def update_average(codec: Any, state: RunState, decay: float) -> None:
    """Moves the weight average towards the current weights."""
    for mean, value in zip(state.average, _arrays(codec.trainable_variables), strict=True):
        mean += (1.0 - decay) * (value - mean)


def _optimiser(config: Config) -> Any:
    schedule: Any = keras.optimizers.schedules.CosineDecay(
        config.learning_rate * 0.01,
        config.steps - config.warmup,
        alpha=0.01,
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup,
    )
    return keras.optimizers.Adam(schedule, global_clipnorm=config.clip)


def _arrays(variables: list[Any]) -> list[npt.NDArray[Any]]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[Any], values: list[npt.NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
