"""OpenVINO: the same ONNX files, in float32 or, about twice as fast on x86, in bfloat16."""

from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov

from ..runtime import Network, Part, converted
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


def _load(model: Model, part: Part, threads: int | None, precision: str) -> Network:
    configuration: dict[str, str | int] = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "LATENCY"}
    if threads is not None:
        configuration["INFERENCE_NUM_THREADS"] = threads
    compiled = ov.Core().compile_model(model.path(f"{part}.onnx"), "CPU", configuration)
    dtype = compiled.input(0).element_type.to_dtype()

    def run(array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        return np.asarray(compiled(np.ascontiguousarray(converted(array, dtype)))[0])

    return run
