"""Runs the networks of a model: chooses the inference runtime, loads each network once, turns failures into errors.

The contract of the arrays is the same for every backend:

    encoder         uint8 pixels (1, h, w, 3), RGB, h and w multiples of the stride
                    -> float32 latents (1, channels, h/stride, w/stride) in the model's units, neither rounded nor clipped
    hyper_encoder   float32 latents (1, channels, h, w) in quantisation steps, h and w multiples of 4
                    -> float32 hyper-latents (1, hyper channels, h/4, w/4), to be rounded
    decoder         float32 latents (1, channels, h, w) in the model's units
                    -> uint8 pixels (1, stride h, stride w, 3), RGB

A recurrent model has an encoder and a decoder that do one iteration each. They take float32 data and states
(1, channels, h, w), and return a result and the states after it; see `residual_gru`. Or it is one graph of all its
iterations, which only TensorFlow runs, whatever the backend: an `UnrolledNetwork`.

The encoder of an embedded model takes float32 samples and returns coefficients, its decoder the means and the deviations of
cells, from which it makes float32 samples; see `embedded`.

The processors of a sandwich take and return float32 samples too, with a channel that tells them the quantisation step; see
`sandwich`. They are its encoder and decoder.

The units are the model's quantisation steps where its codec has no gains. Only codecs with a hyperprior have a
hyper-encoder; decoding never runs it, for the hyper-synthesis is an integer network (see `integer_net`).

Old models declare int8 latents: their encoder rounds and clips by itself, and their decoder takes integers alone. A
backend converts what it is given to the type that the graph declares, and fails where that would change a value.

Backends agree but for float32 rounding: a latent may differ by that and so, at a tie, be quantised to another integer; a
pixel may differ by one. What is entropy-coded is the integers, so every backend decodes every file to the same latents.

A backend's package is imported when its first network is loaded, never before.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from ..errors import BackendError, NicodecError, RequestError
from .zoo import GRAPH, Model

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


class FloatNetwork(Protocol):
    """A part of a model from floats to floats, ready to run: an iteration of a recurrent one, or a processor."""

    def __call__(self, *arrays: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], ...]:
        """Runs the network on data and, if it is recurrent, states; returns a result and states.

        Raises:
            BackendError: the inference runtime failed, for instance for want of memory.
        """
        ...


class UnrolledNetwork(Protocol):
    """A recurrent model in which all iterations are one graph, ready to run. Codes are -1 and 1."""

    def analyse(self, pixels: npt.NDArray[np.uint8], iterations: int) -> npt.NDArray[np.float32]:
        """Makes the codes of the first iterations.

        Args:
            pixels: uint8 (h, w, 3), RGB, sides multiples of 32.
            iterations: how many.

        Returns:
            float32 (iterations, channels, h/16, w/16).

        Raises:
            BackendError: the inference runtime failed, for instance for want of memory.
        """
        ...

    def synthesise(self, codes: npt.NDArray[np.float32], iterations: Sequence[int]) -> list[npt.NDArray[np.float32]]:
        """Restores the picture as it is after each of some iterations.

        Args:
            codes: float32 (n, channels, h, w) of the first n iterations; 0 for one that is not known.
            iterations: which, less than n.

        Returns:
            For each of them, float32 (16 h, 16 w, 3), samples 0..255, neither clipped nor rounded.

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

_GRAPHS = _Backend("frozen_graph", "load", _BACKENDS["tensorflow"].install)

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


def load_float(model: Model, part: Part, *, backend: str = BACKENDS[0], threads: int | None = None) -> FloatNetwork:
    """Loads a part of a model from floats to floats; arguments and errors as for `load_network`."""
    network: FloatNetwork = _loaded(model, part, backend, threads, "_float")
    return network


def load_unrolled(model: Model, *, threads: int | None = None) -> UnrolledNetwork:
    """Loads the graph of a model that is one (`graph.pb`), or returns it if this process has loaded it before.

    Args:
        model: from the zoo.
        threads: as for `load_network`; TensorFlow takes the number that a process asks for first.

    Raises:
        RequestError: fewer than one thread.
        ModelError: the model's files are missing or damaged, or the graph is not what it should be.
        BackendError: TensorFlow is not installed.
    """
    _require_threads(threads)
    path = model.path(GRAPH)
    key = (path, "tensorflow", threads)
    if key not in _networks:
        model.verify()
        _networks[key] = _imported("tensorflow", _GRAPHS).load(path, threads)
    network: UnrolledNetwork = _networks[key]
    return network


def _loaded(model: Model, part: Part, backend: str, threads: int | None, kind: str) -> Any:
    """What the loader of a kind makes of a part, made once."""
    if backend not in _BACKENDS:
        raise RequestError(f"no backend {backend!r}: choose one of {', '.join(BACKENDS)}")
    _require_threads(threads)
    key = (model.path(f"{part}.onnx"), backend, threads)
    if key not in _networks:
        model.verify()
        _networks[key] = _Guarded(_load(model, part, backend, threads, kind), backend, f"the {part} of {model.id}")
    return _networks[key]


def _require_threads(threads: int | None) -> None:
    if threads is not None and threads < 1:
        raise RequestError(f"{threads} threads cannot run a network: give 1 or more, or none for all processors")


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
    implementation = _imported(backend, _BACKENDS[backend])
    try:
        network = getattr(implementation, _BACKENDS[backend].loader + kind)(model, part, threads)
    except NicodecError:
        raise
    except Exception as error:
        task = f"load the {part} of {model.id} from {model.folder}"
        raise _failure(backend, task, error, "reinstall the model or try another backend") from error
    return network


def _imported(name: str, backend: _Backend) -> ModuleType:
    try:
        return import_module(f".backends.{backend.module}", __package__)
    except ImportError as error:
        raise BackendError(f"backend {name} cannot be imported ({_one_line(error)}): {backend.install}") from error


def _failure(backend: str, task: str, error: Exception, advice: str = "try another backend") -> BackendError:
    others = ", ".join(name for name in BACKENDS if name != backend)
    return BackendError(f"backend {backend} failed to {task}: {_one_line(error)}; {advice} ({others})")


def _one_line(error: Exception) -> str:
    """The first line of a runtime's message, which may be pages long."""
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]
