"""Everything a run needs to continue at the same step, in one file that is replaced atomically."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import keras
import numpy as np
import numpy.typing as npt

from ..errors import RequestError

CHECKPOINT = "checkpoint.npz"
"""Name of the file in a run folder."""

Arrays = list[npt.NDArray[Any]]


@dataclass
class RunState:
    """Progress of a run.

    Attributes:
        step: optimisation steps done.
        seconds: wall time spent, over all sessions.
        cpu_seconds: processor time spent, over all sessions.
        average: exponential moving average of the trainable weights.
    """

    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    average: Arrays = field(default_factory=list)


def save(path: Path, codec: Any, state: RunState) -> None:
    """Writes weights, optimiser slots, weight average and progress."""
    groups = {
        "weight": [keras.ops.convert_to_numpy(v) for v in codec.weights],
        "slot": [keras.ops.convert_to_numpy(v) for v in codec.optimizer.variables],
        "average": state.average,
    }
    arrays: dict[str, Any] = {f"{name}_{k:04d}": a for name, group in groups.items() for k, a in enumerate(group)}
    progress = {"step": state.step, "seconds": state.seconds, "cpu_seconds": state.cpu_seconds}
    arrays["progress"] = np.array(json.dumps(progress))
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as stream:
        np.savez(stream, **arrays)
    os.replace(partial, path)


def restore(path: Path, codec: Any) -> RunState:
    """Reads what `save` wrote back into a built codec with a built optimiser.

    Raises:
        RequestError: the checkpoint belongs to another architecture, or is damaged.
    """
    groups, progress = _read(path)
    targets = [*codec.weights, *codec.optimizer.variables]
    sources = [*groups["weight"], *groups["slot"]]
    if [tuple(t.shape) for t in targets] != [s.shape for s in sources]:
        raise RequestError(f"{path} was written for another configuration; choose another --out or remove it")
    for target, source in zip(targets, sources, strict=True):
        target.assign(source)
    return RunState(average=groups["average"], **progress)


def _read(path: Path) -> tuple[dict[str, Arrays], dict[str, Any]]:
    """The arrays of each group in their order, and the progress."""
    try:
        with open(path, "rb") as stream, np.load(stream) as arrays:
            groups = {
                name: [arrays[key] for key in sorted(arrays.files) if key.startswith(name + "_")]
                for name in ("weight", "slot", "average")
            }
            return groups, json.loads(str(arrays["progress"]))
    except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as error:
        raise RequestError(f"{path} is damaged ({error}); remove it to start again") from error
