"""TensorFlow on a frozen graph that holds all iterations of the original residual GRU.

Its nodes have the names of the published residual_gru.pb, a graph that gives no access to a single iteration: whatever
is wanted, all iterations before it run too.

Source of the names: tensorflow/models, research/compression/image_encoder, encoder.py and decoder.py. The published file
was not at hand when this was written: it is built and tested against a graph with the same names that the tests make.

A graph is a program that someone else wrote. Only the part that the codes and pictures need is loaded, and only if each
of its operations does nothing but compute.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ...errors import BackendError, ModelError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf
from tensorflow.python.framework import op_def_registry

ITERATIONS = 16
CODES = 32
"""Binary codes per position and iteration."""

STRIDE = 16
"""Pixels per code position along each axis."""

IMAGE_NODE = "Placeholder"
"""Takes uint8 (1, h, w, 3)."""

CODE_NODES = tuple("GruBinarizer/SignBinarizer/Sign" + (f"_{k}" if k else "") for k in range(ITERATIONS))
"""Give float (1, h/16, w/16, 32) of -1 and 1, iteration by iteration."""

PICTURE_NODES = tuple(f"loop_{k:02d}/add" for k in range(ITERATIONS))
"""Give float (1, h, w, 3), samples 0..255, iteration by iteration."""

_ADVICE = "give the residual_gru.pb of tensorflow/models, research/compression, as it was published"

_MOST_BYTES = 1 << 30
"""Of a graph: half of what a protocol buffer may have, and many times the published weights."""

_PROBE = 64, 96
"""Height and width of the picture that tries a graph out."""

_Floats = npt.NDArray[np.float32]


def load(path: Path, threads: int | None = None) -> "FrozenGraph":
    """Reads a graph and makes sure that it is one of a residual GRU and harmless.

    Args:
        path: a GraphDef, its variables frozen to constants.
        threads: threads of one operation, None for as many as there are processors. TensorFlow takes the number of the
            first graph of a process for all.

    Raises:
        ModelError: it is not.
    """
    return FrozenGraph(read(path), threads, str(path))


def read(path: Path) -> bytes:
    """The bytes of a graph.

    Raises:
        ModelError: the file cannot be read or is too large.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({_one_line(error)}): {_ADVICE}") from error
    if len(data) > _MOST_BYTES:
        raise ModelError(f"{path} has more than {_MOST_BYTES} bytes: {_ADVICE}")
    return data


class FrozenGraph:
    """A graph, ready to run; see `runtime.UnrolledNetwork`.

    Args:
        data: a GraphDef.
        threads: as for `load`.
        name: of the graph in errors.

    Raises:
        ModelError: the data is not the graph of a residual GRU, or it does more than compute.
    """

    def __init__(self, data: bytes, threads: int | None, name: str) -> None:
        self._name = name
        graph = tf.Graph()
        definition = self._needed(data)
        try:
            with graph.as_default():
                tf.import_graph_def(definition, name="")
        except Exception as error:
            raise self._refused(f"TensorFlow cannot load it ({_one_line(error)})") from error
        self._image = self._tensor(graph, IMAGE_NODE, tf.uint8, (1, None, None, 3))
        self._codes = [self._tensor(graph, node, tf.float32, (1, None, None, CODES)) for node in CODE_NODES]
        self._pictures = [self._tensor(graph, node, tf.float32, (1, None, None, 3)) for node in PICTURE_NODES]
        settings = tf.compat.v1.ConfigProto(allow_soft_placement=True, intra_op_parallelism_threads=threads or 0)
        settings.gpu_options.allow_growth = True
        self._session = tf.compat.v1.Session(graph=graph, config=settings)

    def analyse(self, pixels: npt.NDArray[np.uint8], iterations: int) -> _Floats:
        """See `runtime.UnrolledNetwork.analyse`."""
        codes = self._run(self._codes[:iterations], {self._image: pixels[None]})
        return self._stacked(codes, (pixels.shape[0] // STRIDE, pixels.shape[1] // STRIDE, CODES)).transpose(0, 3, 1, 2)

    def synthesise(self, codes: _Floats, iterations: Sequence[int]) -> list[_Floats]:
        """See `runtime.UnrolledNetwork.synthesise`."""
        height, width = (side * STRIDE for side in codes.shape[2:])
        # The picture is not known any more; if the graph asks for one, it is for its size.
        feeds: dict[Any, npt.NDArray[Any]] = {self._image: np.zeros((1, height, width, 3), np.uint8)}
        feeds |= {node: layer.transpose(1, 2, 0)[None] for node, layer in zip(self._codes, codes, strict=False)}
        pictures = self._run([self._pictures[k] for k in iterations], feeds)
        return list(self._stacked(pictures, (height, width, 3)))

    def check(self) -> None:
        """Tries the graph out: the codes alone must decide about the picture, or decoding would give another one.

        Raises:
            ModelError: they do not.
            BackendError: the graph does not run.
        """
        pixels = np.random.default_rng(0).integers(0, 256, (*_PROBE, 3), np.uint8)
        everything = self._run([*self._codes, *self._pictures], {self._image: pixels[None]})
        self._stacked(everything[:ITERATIONS], (_PROBE[0] // STRIDE, _PROBE[1] // STRIDE, CODES))
        pictures = self._stacked(everything[ITERATIONS:], (*_PROBE, 3))
        codes = self.analyse(pixels, ITERATIONS)
        restored = self.synthesise(codes, range(ITERATIONS))
        if not np.isin(codes, (-1.0, 0.0, 1.0)).all():
            raise self._refused("its codes are not binary")
        if not np.abs(np.stack(restored) - pictures).max() <= 1:
            raise self._refused("its pictures depend on more than the codes")

    def _run(self, targets: Sequence[Any], feeds: Mapping[Any, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        try:
            found: list[npt.NDArray[Any]] = self._session.run(list(targets), dict(feeds))
        except Exception as error:
            _, height, width, _ = feeds[self._image].shape
            raise BackendError(
                f"TensorFlow failed to run {self._name} on {width}x{height} pixels ({_one_line(error)}): "
                "try a smaller picture or more memory"
            ) from error
        return found

    def _stacked(self, arrays: Sequence[npt.NDArray[Any]], shape: tuple[int, ...]) -> _Floats:
        """What iterations gave, (n, *shape), each of which should be (1, *shape)."""
        for array in arrays:
            if array.shape != (1, *shape):
                raise self._refused(f"it gives an array of shape {array.shape} where {(1, *shape)} belongs")
        return np.concatenate(arrays, dtype=np.float32)

    def _needed(self, data: bytes) -> Any:
        """The part of a graph that codes and pictures need."""
        whole = tf.compat.v1.GraphDef()
        try:
            whole.ParseFromString(data)
        except Exception as error:
            raise self._refused(f"it is no TensorFlow graph ({_one_line(error)})") from error
        nodes = {node.name: node for node in whole.node}
        part = tf.compat.v1.GraphDef(versions=whole.versions)
        waiting, seen = [IMAGE_NODE, *CODE_NODES, *PICTURE_NODES], set[str]()
        while waiting:
            name = waiting.pop()
            if name in seen:
                continue
            if name not in nodes:
                raise self._refused(f"it has no node {_shown(name)}")
            self._require_harmless(nodes[name])
            added = part.node.add()
            added.CopyFrom(nodes[name])
            added.device = ""  # of the machine that it was trained on
            seen.add(name)
            waiting += [source.lstrip("^").partition(":")[0] for source in nodes[name].input]
        return part

    def _require_harmless(self, node: Any) -> None:
        """Refuses an operation that can do more than compute: keep state, read or write, call, loop or end the process."""
        definition = op_def_registry.get(node.op)
        if definition is None:
            raise self._refused(f"its node {_shown(node.name)} is an unknown operation {_shown(node.op)}")
        if node.op not in _HARMLESS and (node.op in _HARMFUL or _does_more_than_compute(definition)):
            raise self._refused(
                f"its node {_shown(node.name)} is an operation {node.op}, which can do more than compute"
            )

    def _tensor(self, graph: Any, node: str, dtype: Any, shape: tuple[int | None, ...]) -> Any:
        try:
            tensor = graph.get_tensor_by_name(f"{node}:0")
        except (KeyError, ValueError) as error:
            raise self._refused(f"its node {node} gives nothing") from error
        if tensor.dtype != dtype or not tensor.shape.is_compatible_with(shape):
            raise self._refused(
                f"its node {node} is {tensor.dtype.name} of shape {tensor.shape}, "
                f"not {dtype.name} of shape {tf.TensorShape(shape)}"
            )
        return tensor

    def _refused(self, reason: str) -> ModelError:
        return ModelError(f"{self._name} is not the graph of the original residual GRU: {reason}; {_ADVICE}")


_HARMLESS = {"Assert", "CheckNumerics"}
"""What `_does_more_than_compute` would refuse, and only makes a run fail."""

_HARMFUL = {"NextIteration", "RefNextIteration"}
"""What it would not refuse, and may run for ever."""


def _does_more_than_compute(definition: Any) -> bool:
    """Whether an operation may have effects beyond its result, judged by its definition.

    It may if it has state; if it takes or gives texts (names of files), resources or variants; or if a function or any
    text belongs to it (names of files, of Python functions, of the frame of a loop).
    """
    kinds = (tf.string.as_datatype_enum, tf.resource.as_datatype_enum, tf.variant.as_datatype_enum)
    texts = ("string", "list(string)", "func", "list(func)")
    return (
        definition.is_stateful
        or any(argument.type in kinds for argument in (*definition.input_arg, *definition.output_arg))
        or any(value.type in texts and not value.HasField("allowed_values") for value in definition.attr)
    )


def _shown(name: str) -> str:
    """A name from a file, short and on one line."""
    return repr(name[:80])


def _one_line(error: Exception) -> str:
    """The beginning of TensorFlow's message, which may be pages long and says little in its first line."""
    return " ".join(str(error).split())[:240] or type(error).__name__
