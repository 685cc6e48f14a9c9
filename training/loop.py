"""The training loop: resumable, logged, validated, steered to a target rate."""

import csv
import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from . import checkpoint, data
from .checkpoint import RunState
from .config import TrainingConfig
from .narrowing import start_from_wider
from .trainer import build_codec, start_from_klt
from .validation import Measurement, measure

CHECKPOINT = "checkpoint.npz"
CONFIG = "config.json"
LOG = "log.csv"
_PACK_SIZE = 256
_AVERAGE_EVERY = 10
_LOG_EVERY = 50
_STEER_LIMIT = 1.5
_STEER_POWER = 2.0  # the rate moves with about the cube root of the balance: this goes two thirds of the way


def train(
    config: TrainingConfig, folder: Path, run: Path, *, validation: Path | None = None, start: Path | None = None
) -> RunState:
    """Trains until `config.steps`, continuing a run that was interrupted.

    Args:
        config: the settings.
        folder: training pictures, searched recursively.
        run: output folder: checkpoint.npz, config.json, log.csv, TensorBoard event files.
        validation: validation pictures; without it, nothing is measured and the rate is not steered.
        start: run folder of a model with at least as many channels whose transforms to start from, instead of the KLT.

    Returns:
        The final state.
    """
    run.mkdir(parents=True, exist_ok=True)
    (run / CONFIG).write_text(json.dumps(config.to_json(), indent=2) + "\n")
    packed = data.pack_crops(folder, folder_cache(folder, run), _PACK_SIZE)
    codec = compiled_codec(config)
    state = _starting_state(codec, config, run, packed, start)
    pictures = data.load_validation(validation, config.validation_pictures, 64) if validation else []
    _run(codec, config, state, packed, pictures, run)
    return state


def compiled_codec(config: TrainingConfig) -> Any:
    """A fresh codec with its optimiser built, ready for a checkpoint."""
    codec: Any = build_codec(config)
    codec.compile(optimizer=_optimiser(config), jit_compile=False)
    codec.optimizer.build(codec.trainable_variables)
    return codec


def folder_cache(folder: Path, run: Path) -> Path:
    """Where the packed crops of a picture folder are kept: beside the runs, so that runs share them."""
    return run.parent / f"{folder.resolve().name}-{_PACK_SIZE}.npy"


def load_average(run: Path) -> tuple[Any, TrainingConfig, RunState]:
    """The codec of a run folder with its averaged weights, its configuration and its progress."""
    config = TrainingConfig(**json.loads((run / CONFIG).read_text()))
    codec = compiled_codec(config)
    state = checkpoint.restore(run / CHECKPOINT, codec)
    _assign(codec.trainable_variables, state.average)
    return codec, config, state


@contextmanager
def averaged(codec: Any, state: RunState) -> Generator[None]:
    """Puts the averaged weights in place of the current ones for the duration of a block."""
    current = _arrays(codec.trainable_variables)
    _assign(codec.trainable_variables, state.average)
    try:
        yield
    finally:
        _assign(codec.trainable_variables, current)


def _optimiser(config: TrainingConfig) -> Any:
    schedule: Any = keras.optimizers.schedules.CosineDecay(
        config.learning_rate * 0.01,
        config.steps - config.warmup,
        alpha=0.01,
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup,
    )
    return keras.optimizers.Adam(schedule, global_clipnorm=1.0)


def _starting_state(codec: Any, config: TrainingConfig, run: Path, packed: data.Pixels, start: Path | None) -> RunState:
    path = run / CHECKPOINT
    if path.exists():
        return checkpoint.restore(path, codec)
    if start is None:
        blocks = data.blocks_of(packed, 8, 200_000)
        start_from_klt(codec, blocks, step=config.klt_step, staggered=config.staggered)
    else:
        wide, wide_config, _ = load_average(start)
        start_from_wider(codec, wide, wide_config.klt_step / config.klt_step, packed[:: max(1, len(packed) // 64)])
    return RunState(average=_arrays(codec.trainable_variables))


def _run(
    codec: Any,
    config: TrainingConfig,
    state: RunState,
    packed: data.Pixels,
    pictures: list[data.Pixels],
    run: Path,
) -> None:
    clock = _Clock(state)
    log = _Log(run)
    if state.step == 0 and pictures:
        log.validation(state, measure(codec, pictures, config.dead_zone))
    bar = tqdm(range(state.step, config.steps), config.model, disable=None, initial=state.step, total=config.steps)
    for step in bar:
        batch = data.sample_batch(packed, step=step, batch=config.batch, size=config.crop, seed=config.seed)
        values = codec.train_on_batch(batch, return_dict=True)
        state.step = step + 1
        if state.step % _AVERAGE_EVERY == 0:
            _update_average(codec, state, config.ema**_AVERAGE_EVERY)
        if state.step % _LOG_EVERY == 0:
            log.training(state, values)
            bar.set_postfix({k: f"{float(values[k]):.4g}" for k in ("bpp", "mse", "msssim")})
            codec.reset_metrics()
        if state.step % config.validate_every == 0 or state.step == config.steps:
            if pictures:
                with averaged(codec, state):
                    measured = measure(codec, pictures, config.dead_zone)
                log.validation(state, measured)
                _steer(codec, config, measured)
            clock.update()
            checkpoint.save(run / CHECKPOINT, codec, state)


def _steer(codec: Any, config: TrainingConfig, measured: Measurement) -> None:
    """Moves the balance of rate and distortion towards the target rate, most of the way in a few validations."""
    if config.target_bpp is None:
        return
    factor = (config.target_bpp / measured.file_bpp) ** _STEER_POWER
    codec.balance.assign(codec.balance * float(np.clip(factor, 1.0 / _STEER_LIMIT, _STEER_LIMIT)))


def _update_average(codec: Any, state: RunState, decay: float) -> None:
    for mean, value in zip(state.average, _arrays(codec.trainable_variables), strict=True):
        mean += (1.0 - decay) * (value - mean)


def _arrays(variables: list[Any]) -> list[npt.NDArray[Any]]:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[Any], values: list[npt.NDArray[Any]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


class _Clock:
    """Adds the wall and processor time since the last update to the state."""

    def __init__(self, state: RunState) -> None:
        self._state = state
        self._wall, self._cpu = time.monotonic(), time.process_time()

    def update(self) -> None:
        wall, cpu = time.monotonic(), time.process_time()
        self._state.seconds += wall - self._wall
        self._state.cpu_seconds += cpu - self._cpu
        self._wall, self._cpu = wall, cpu


class _Log:
    """log.csv with one row per event, and the same scalars as TensorBoard events where TensorBoard is installed."""

    _COLUMNS = ("step", "kind", "bpp", "file_bpp", "mse", "psnr", "msssim")

    def __init__(self, run: Path) -> None:
        self._path = run / LOG
        self._board = _board_writer(run)
        if not self._path.exists():
            self._append(self._COLUMNS)

    def training(self, state: RunState, values: dict[str, Any]) -> None:
        numbers = {k: float(values[k]) for k in ("bpp", "mse", "msssim")}
        self._record(state, "train", numbers)

    def validation(self, state: RunState, measured: Measurement) -> None:
        self._record(
            state,
            "valid",
            {
                "bpp": measured.context_bpp,
                "file_bpp": measured.file_bpp,
                "psnr": measured.psnr,
                "msssim": measured.msssim,
            },
        )

    def _record(self, state: RunState, kind: str, numbers: dict[str, float]) -> None:
        row = [str(state.step), kind, *(f"{numbers[c]:.6g}" if c in numbers else "" for c in self._COLUMNS[2:])]
        self._append(row)
        if self._board is not None:
            for name, value in numbers.items():
                self._board.add_scalar(f"{kind}/{name}", value, state.step)

    def _append(self, row: Any) -> None:
        with open(self._path, "a", newline="") as stream:
            csv.writer(stream).writerow(row)


def _board_writer(run: Path) -> Any:
    """A TensorBoard writer, or None where the package is missing."""
    try:
        from tensorboard.summary import Writer
    except ImportError:
        return None
    return Writer(str(run))
