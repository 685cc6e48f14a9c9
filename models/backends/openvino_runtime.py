"""OpenVINO: the same ONNX files, in float32 or, about twice as fast on x86, in bfloat16."""

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ..runtime import FloatNetwork, Network, Part, converted
from ..zoo import Model


def load(model: Model, part: Part, threads: int | None) -> Network:
    """Loads `<part>.onnx` to compute in float32.

    Args:
        model: from the zoo.
        part: which part of the model.
        threads: threads of one inference; None leaves their number to OpenVINO.
    """
    return _load(model, part, threads, "f32")


def load_bf16(model: Model, part: Part, threads: int | None) -> Network:
    """Loads `<part>.onnx` to compute convolutions in bfloat16 where the processor can; arguments as for `load`."""
    return _load(model, part, threads, "bf16")


def load_float(model: Model, part: Part, threads: int | None) -> FloatNetwork:
    """Loads `<part>.onnx` as a `FloatNetwork` to compute in float32; arguments as for `load`."""
    return _load_float(model, part, threads, "f32")


def load_bf16_float(model: Model, part: Part, threads: int | None) -> FloatNetwork:
    """Loads `<part>.onnx` as a `FloatNetwork` to compute in bfloat16 where the processor can; arguments as for `load`."""
    return _load_float(model, part, threads, "bf16")


def _load(model: Model, part: Part, threads: int | None, precision: str) -> Network:
    compiled = _compiled(model, part, threads, precision)
    dtype = compiled.input(0).element_type.to_dtype()

    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        return np.asarray(compiled(np.ascontiguousarray(converted(array, dtype)))[0])

    return run


def _load_float(model: Model, part: Part, threads: int | None, precision: str) -> FloatNetwork:
    compiled = _compiled(model, part, threads, precision)
    count = len(compiled.outputs)

    def run(*arrays: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        results = compiled([np.ascontiguousarray(array) for array in arrays])
        return tuple(np.array(results[index]) for index in range(count))

    return run


def _compiled(model: Model, part: Part, threads: int | None, precision: str) -> Any:
    configuration: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        configuration["INFERENCE_NUM_THREADS"] = threads
    return ov.Core().compile_model(model.path(f"{part}.onnx"), "CPU", configuration)
