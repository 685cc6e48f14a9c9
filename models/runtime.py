"""Runs the networks of a model: chooses the inference runtime, loads each network once, turns failures into errors.

The contract of the arrays is the same for every backend:

    encoder         uint8 pixels (1, h, w, 3), RGB, h and w multiples of the stride
                    -> float32 latents (1, channels, h/stride, w/stride) in the model's units, neither rounded nor clipped
    hyper_encoder   float32 latents (1, channels, h, w) in quantisation steps, h and w multiples of 4
                    -> float32 hyper-latents (1, hyper channels, h/4, w/4), to be rounded
    decoder         float32 latents (1, channels, h, w) in the model's units
                    -> uint8 pixels (1, stride h, stride w, 3), RGB

A recurrent model has an encoder and a decoder that do one iteration each. They take float32 data and states
(1, channels, h, w), and return a result and the states after it; see `residual_gru`.

The units are the model's quantisation steps where its codec has no gains. Only codecs with a hyperprior have a
hyper-encoder; decoding never runs it, for the hyper-synthesis is an integer network (see `integer_net`).

Old models declare int8 latents: their encoder rounds and clips by itself, and their decoder takes integers alone. A
backend converts what it is given to the type that the graph declares, and fails where that would change a value.

Backends agree but for float32 rounding: a latent may differ by that and so, at a tie, be quantised to another integer; a
pixel may differ by one. What is entropy-coded is the integers, so every backend decodes every file to the same latents.

A backend's package is imported when its first network is loaded, never before.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import BackendError, NicodecError, RequestError
from .zoo import Model

Part = Literal["encoder", "hyper_encoder", "decoder"]
"""The networks of a model, each in the file `<part>.onnx`."""


class Network(Protocol):
    """One part of a model, ready to run."""

    def __call__(self, array: npt.NDArray[Any], /) -> npt.NDArray[Any]:
        """Runs the network on one array (see the module for shapes and types).

        Raises:
            BackendError: the inference runtime failed, for instance for want of memory.
        """
        ...


class RecurrentNetwork(Protocol):
    """One iteration of a recurrent part of a model, ready to run."""

    def __call__(self, *arrays: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        """Runs the network on data and states; returns a result and states.

        Raises:
            BackendError: the inference runtime failed, for instance for want of memory.
        """
        ...


class _Backend(NamedTuple):
    module: str
    loader: str
    install: str


_BACKENDS = {
    "onnxruntime": _Backend("onnx_runtime", "load", "pip install onnxruntime"),
    "openvino": _Backend("openvino_runtime", "load", "pip install nicodec[openvino]"),
    "openvino-bf16": _Backend("openvino_runtime", "load_bf16", "pip install nicodec[openvino]"),
    "tensorflow": _Backend("keras_tensorflow", "load", "pip install nicodec[train]"),
}

BACKENDS = tuple(_BACKENDS)
"""Names of the backends, the default first."""

_networks: dict[tuple[Path, str, int | None], Any] = {}


def load_network(model: Model, part: Part, *, backend: str = BACKENDS[0], threads: int | None = None) -> Network:
    """Loads one part of a model, or returns it if this process has loaded it before.

    The first load of a network checks the model's files against the hash on its card.

    Args:
        model: from the zoo.
        part: which one.
        backend: one of `BACKENDS`. `openvino-bf16` computes in bfloat16 where the processor can: about twice as fast,
            less exact.
        threads: threads within one run of the network; None leaves it to the backend: all processors.

    Raises:
        RequestError: no backend of that name, or fewer than one thread.
        ModelMissingError: the model lacks a file.
        ModelMismatchError: the model's files are damaged.
        BackendError: the backend's package is not installed or cannot load the network.
    """
    network: Network = _loaded(model, part, backend, threads, "")
    return network


def load_recurrent(
    model: Model, part: Part, *, backend: str = BACKENDS[0], threads: int | None = None
) -> RecurrentNetwork:
    """Loads one iteration of a part of a recurrent model; arguments and errors as for `load_network`."""
    network: RecurrentNetwork = _loaded(model, part, backend, threads, "_recurrent")
    return network


def _loaded(model: Model, part: Part, backend: str, threads: int | None, kind: str) -> Any:
    """What the loader of a kind makes of a part, made once."""
    if backend not in _BACKENDS:
        raise RequestError(f"no backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    if threads is not None and threads < 1:
        raise RequestError(f"{threads} threads cannot run a network: give 1 or more, or none for all processors")
    key = (model.path(f"{part}.onnx"), backend, threads)
    if key not in _networks:
        model.verify()
        _networks[key] = _Guarded(_load(model, part, backend, threads, kind), backend, f"the {part} of {model.id}")
    return _networks[key]


def converted(array: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """The array in the type that a graph's input declares; for backends.

    Raises:
        ValueError: a value has no equal in that type: fractions for a graph of integers.
    """
    if np.can_cast(array.dtype, dtype):
        return array.astype(dtype, copy=False)
    with np.errstate(invalid="ignore"):
        result = array.astype(dtype)
    if not np.array_equal(result, array):
        raise ValueError(f"the graph takes {result.dtype} values, and some of the array's are none")
    return result


class _Guarded:
    """A network whose runtime's exceptions arrive as `BackendError`."""

    def __init__(self, network: Any, backend: str, subject: str) -> None:
        self._network = network
        self._backend = backend
        self._subject = subject

    def __call__(self, *arrays: npt.NDArray[Any]) -> Any:
        try:
            return self._network(*arrays)
        except Exception as error:
            task = f"run {self._subject} on an array {arrays[0].dtype}{list(arrays[0].shape)}"
            raise _failure(self._backend, task, error) from error


def _load(model: Model, part: Part, backend: str, threads: int | None, kind: str) -> Any:
    module, loader, install = _BACKENDS[backend]
    try:
        implementation = import_module(f".backends.{module}", __package__)
    except ImportError as error:
        raise BackendError(f"backend {backend} cannot be imported ({_one_line(error)}): {install}") from error
    try:
        network = getattr(implementation, loader + kind)(model, part, threads)
    except NicodecError:
        raise
    except Exception as error:
        task = f"load the {part} of {model.id} from {model.folder}"
        raise _failure(backend, task, error, "reinstall the model or try another backend") from error
    return network


def _failure(backend: str, task: str, error: Exception, advice: str = "try another backend") -> BackendError:
    others = ", ".join(name for name in BACKENDS if name != backend)
    return BackendError(f"backend {backend} failed to {task}: {_one_line(error)}; {advice} ({others})")


def _one_line(error: Exception) -> str:
    """The first line of a runtime's message, which may be pages long."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
