"""The training loop: resumable, logged, validated."""

import time
from pathlib import Path
from typing import Any

from tqdm import tqdm

from . import checkpoint, data
from .checkpoint import CHECKPOINT, RunState
from .config import Config
from .families import family_of
from .log import RunLog
from .run_folder import averaged, compiled_codec, fresh_state, save_config, update_average
from .zoo_start import find_start

_PACK_SIZE = 256
_AVERAGE_EVERY = 10
_LOG_EVERY = 50


def train(
    config: Config, folder: Path, run: Path, *, validation: Path | None = None, start: Path | str | None = None
) -> RunState:
    """Trains until `config.steps`, continuing a run that was interrupted.

    Args:
        config: the settings.
        folder: training pictures, searched recursively.
        run: output folder: checkpoint.npz, config.json, log.csv, TensorBoard event files.
        validation: validation pictures; without it, nothing is measured and the rate is not steered.
        start: what to take the transforms from instead of the KLT, with at least as many channels: the folder of a run
            or of a model, or the id of an installed model. Not looked at if the run continues.

    Returns:
        The final state.

    Raises:
        RequestError: `start` cannot be used, or the run's checkpoint is of another configuration.
        ModelError: the model to start from is damaged.
    """
    source = None if start is None or (run / CHECKPOINT).exists() else find_start(start)
    run.mkdir(parents=True, exist_ok=True)
    save_config(run, config)
    packed = data.pack_crops(folder, folder_cache(folder, run), _PACK_SIZE)
    codec = compiled_codec(config)
    if (run / CHECKPOINT).exists():
        state = checkpoint.restore(run / CHECKPOINT, codec)
    else:
        family_of(config).start(codec, config, packed, source)
        state = fresh_state(codec)
    pictures = data.load_validation(validation, config.validation_pictures, 64) if validation else []
    _run(codec, config, state, packed, pictures, run)
    return state


def folder_cache(folder: Path, run: Path) -> Path:
    """Where the packed crops of a picture folder are kept: beside the runs, so that runs share them."""
    return run.parent / f"{folder.resolve().name}-{_PACK_SIZE}.npy"


def _run(
    codec: Any,
    config: Config,
    state: RunState,
    packed: data.Pixels,
    pictures: list[data.Pixels],
    run: Path,
) -> None:
    clock = _Clock(state)
    family = family_of(config)
    log = RunLog(run, state.step, family.columns(config))
    if state.step == 0 and pictures:
        log.add(0, "valid", family.measure(codec, config, pictures))
    bar = tqdm(range(state.step, config.steps), config.model, disable=None, initial=state.step, total=config.steps)
    for step in bar:
        crops = data.sample_batch(packed, step=step, batch=config.drawn, size=config.crop, seed=config.seed)
        values = codec.train_on_batch(*family.inputs(config, step, crops), return_dict=True)
        state.step = step + 1
        if state.step % _AVERAGE_EVERY == 0:
            update_average(codec, state, config.ema**_AVERAGE_EVERY)
        if state.step % _LOG_EVERY == 0:
            numbers = {name: float(value) for name, value in values.items() if name != "loss"}
            log.add(state.step, "train", numbers)
            bar.set_postfix({name: f"{value:.4g}" for name, value in numbers.items()})
            codec.reset_metrics()
        if state.step % config.validate_every == 0 or state.step == config.steps:
            if pictures:
                with averaged(codec, state):
                    measured = family.measure(codec, config, pictures)
                log.add(state.step, "valid", measured)
                family.steer(codec, config, measured)
            clock.update()
            checkpoint.save(run / CHECKPOINT, codec, state)


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
