"""ONNX Runtime, the default backend: float32 on the processor."""

import os
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from ..runtime import FloatNetwork, Network, Part, converted
from ..zoo import Model

_TYPES = {"tensor(float)": np.float32, "tensor(int8)": np.int8, "tensor(uint8)": np.uint8}

# Only fatal messages are printed: every error is raised as well, and the user should read it once.
_SEVERITY = 4


def load(model: Model, part: Part, threads: int | None) -> Network:
    """Loads `<part>.onnx`.

    Args:
        model: from the zoo.
        part: which part of the model.
        threads: size of the thread pool; None for as many as there are processors for this process.
    """
    session = _session(model, part, threads)
    (source,) = session.get_inputs()
    dtype = _TYPES[source.type]

    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        (output,) = session.run(None, {source.name: converted(array, dtype)})
        return np.asarray(output)

    return run


def load_float(model: Model, part: Part, threads: int | None) -> FloatNetwork:
    """Loads `<part>.onnx` as a `FloatNetwork`; arguments as for `load`."""
    session = _session(model, part, threads)
    names = [source.name for source in session.get_inputs()]

    def run(*arrays: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        return tuple(session.run(None, dict(zip(names, arrays, strict=True))))

    return run


def _session(model: Model, part: Part, threads: int | None) -> Any:
    options = ort.SessionOptions()
    options.log_severity_level = _SEVERITY
    options.inter_op_num_threads = 1
    options.intra_op_num_threads = threads or _processors()
    # Idle threads sleep, so that they take nothing from the entropy coder or from other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return ort.InferenceSession(model.path(f"{part}.onnx"), options, providers=["CPUExecutionProvider"])


def _processors() -> int:
    """Processors of this process. ONNX Runtime's own count ignores the affinity mask, then fails to pin its threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
