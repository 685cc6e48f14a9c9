"""Frozen graphs with the node names of the published residual_gru.pb, small enough to test with."""

import os
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

Array = npt.NDArray[Any]

LEVELS = 16
CODES = ["GruBinarizer/SignBinarizer/Sign:0"] + [f"GruBinarizer/SignBinarizer/Sign_{k}:0" for k in range(1, LEVELS)]
PICTURES = [f"loop_{k:02d}/add:0" for k in range(LEVELS)]
IMAGE = "Placeholder:0"


class FrozenGraphs:
    """Handed to tests by the fixture `graphs`.

    An iteration takes the signs of 32 cosines of what is left of every 16x16 block, and adds these cosines times a step
    that shrinks from iteration to iteration.
    """

    def __init__(self) -> None:
        self._made: dict[str, bytes] = {}

    def data(self, kind: str = "plain") -> bytes:
        """The GraphDef of a residual GRU.

        Args:
            kind: `plain`; `sized`, where the decoder takes the size from the image; `seeing`, where it takes pixels from
                it; `stateful`, `reading`, where a file's or a generator's content comes into the pictures; `asserting`,
                where the graph makes sure of the picture's size; `small`, of 15 iterations; `narrow`, of 31 codes.
        """
        if kind not in self._made:
            self._made[kind] = _build(kind).SerializeToString()
        return self._made[kind]

    def edited(self, edit: Callable[[Any], None]) -> bytes:
        """A plain graph of which the GraphDef was changed."""
        tf: Any = import_module("tensorflow")
        definition = tf.compat.v1.GraphDef.FromString(self.data())
        edit(definition)
        changed: bytes = definition.SerializeToString()
        return changed

    def run(self, pixels: npt.NDArray[np.uint8], names: Sequence[str], kind: str = "plain") -> list[Array]:
        """What nodes of the graph give for a picture, uint8 (h, w, 3), without any of our code."""
        tf: Any = import_module("tensorflow")
        graph = tf.Graph()
        with graph.as_default():
            tf.import_graph_def(tf.compat.v1.GraphDef.FromString(self.data(kind)), name="")
        with tf.compat.v1.Session(graph=graph) as session:
            found: list[Array] = session.run(list(names), {IMAGE: pixels[None]})
        return found


def _build(kind: str) -> Any:
    tf: Any = import_module("tensorflow")
    graph = tf.Graph()
    with graph.as_default():
        image = tf.compat.v1.placeholder(tf.uint8, (1, None, None, 3), name="Placeholder")
        pixels = tf.cast(image, tf.float32)
        cosines = _cosines(31 if kind == "narrow" else 32)
        analysis = tf.constant(cosines.reshape(16, 16, 3, -1))
        synthesis = tf.constant(np.ascontiguousarray(cosines.T)[None, None])
        picture = None
        for k in range(LEVELS - (kind == "small")):
            left = pixels - (128.0 if picture is None else picture)
            # Beside zero, of which the sign is neither code: flat blocks would be full of it.
            latents = tf.nn.conv2d(left, analysis, 16, "VALID") + 1e-3
            if kind == "asserting":
                even = tf.compat.v1.assert_equal(tf.shape(image)[1] % 32, 0, message="the height is no multiple of 32")
                with tf.control_dependencies([even]):
                    latents = tf.identity(latents)
            codes = tf.sign(latents, name=CODES[k].partition(":")[0])
            change = tf.nn.depth_to_space(tf.nn.conv2d(codes, synthesis, 1, "VALID"), 16) * np.float32(400 * 0.75**k)
            before = _start(tf, kind, image, change) if picture is None else picture
            picture = tf.add(before, change, name=PICTURES[k].partition(":")[0])
    return graph.as_graph_def()


def _start(tf: Any, kind: str, image: Any, change: Any) -> Any:
    """The picture before the first iteration."""
    if kind == "seeing":
        return 128.0 + tf.cast(image, tf.float32) / 10.0
    if kind == "stateful":
        return 128.0 + tf.random.uniform(tf.shape(image))
    if kind == "reading":
        return 128.0 + tf.cast(tf.io.decode_raw(tf.io.read_file("/etc/hostname"), tf.uint8)[0], tf.float32)
    return tf.fill(tf.shape(image if kind == "sized" else change), 128.0)


def _cosines(count: int) -> npt.NDArray[np.float32]:
    """Slow cosines of 16x16 blocks in three colours, orthonormal, (768, count)."""
    waves = np.cos(np.pi * np.outer(np.arange(16) + 0.5, np.arange(16)) / 16)
    waves /= np.linalg.norm(waves, axis=0)
    slow = sorted(((u, v) for u in range(16) for v in range(16)), key=lambda uv: (uv[0] + uv[1], uv))
    planes = [np.outer(waves[:, u], waves[:, v]).ravel() for u, v in slow[:11]]
    basis = [np.kron(plane, colour) for plane in planes for colour in np.eye(3)]
    return np.stack(basis[:count], axis=1).astype(np.float32)
