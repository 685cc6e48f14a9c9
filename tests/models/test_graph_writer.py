"""ONNX files keep their bytes: the content hash of a model, by which files name it, covers those of its decoder."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.models.integer_net import IntegerLayer, IntegerNet

onnx: Any = pytest.importorskip("onnx")

from nicodec.models.graph_writer import GraphWriter, port
from nicodec.models.integer_graph import integer_graph

FLOAT = onnx.TensorProto.FLOAT


def pattern(*shape: int) -> npt.NDArray[np.int64]:
    """Integers -48 to 48 that no version of a random generator can change."""
    return (np.arange(np.prod(shape)) * 31 % 97 - 48).reshape(shape)


def integer_layer(side: int, stride: int, inputs: int, outputs: int) -> IntegerLayer:
    return IntegerLayer(
        pattern(side, side, outputs, inputs).astype(np.int8),
        (np.arange(outputs) * 1000 - 3000).astype(np.int32),
        (np.arange(outputs) % 5 + 6).astype(np.uint8),
        stride,
    )


def test_an_integer_network_keeps_its_bytes() -> None:
    net = IntegerNet((integer_layer(3, 1, 8, 12), integer_layer(6, 4, 12, 10)), (-128, 127), (-200, 255))
    digest = "9ca930594c66a3eea8f1a8bcaf5faa8600285c6cdf3e7f9937dfd3efcd89018a"
    assert hashlib.sha256(integer_graph(net)).hexdigest() == digest


@pytest.mark.train
@pytest.mark.parametrize(
    ("transform", "digest"),
    [
        ("analysis", "a1f1b0a816d2629e1dc907900c9096d013cfa5d72db988e4825479ead753b2eb"),
        ("synthesis", "aaea4ee9a149972fb17a150128bd5827e41f11fffe9ee0d4ed783832be97c9a9"),
    ],
)
def test_l3ic_keeps_its_bytes(transform: str, digest: str) -> None:
    pytest.importorskip("keras")
    from nicodec.models import l3ic, onnx_graph

    model = getattr(l3ic, transform)(16)
    for layer in model.layers:
        layer.set_weights([(pattern(*weight.shape) + 48) / 97 - 0.5 for weight in layer.weights])
    write: Callable[[Any], bytes] = getattr(
        onnx_graph, {"analysis": "encoder", "synthesis": "decoder"}[transform] + "_graph"
    )
    assert hashlib.sha256(write(model)).hexdigest() == digest


def test_a_file_says_what_it_is() -> None:
    graph = GraphWriter()
    graph.add("Add", "x", graph.constant("one", 1.0), output="y")
    file = graph.serialise("increment", "adds one", [port("x", FLOAT, "n", 3)], [port("y", FLOAT, "n", 3)])
    model = onnx.load_model_from_string(file)
    assert (model.producer_name, model.graph.name, model.doc_string) == ("nicodec", "increment", "adds one")
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert [
        dimension.dim_param or dimension.dim_value for dimension in model.graph.input[0].type.tensor_type.shape.dim
    ] == [
        "n",
        3,
    ]


def test_a_wrong_graph_is_not_written() -> None:
    graph = GraphWriter()
    graph.add("Add", "x", "nothing", output="y")
    with pytest.raises(onnx.checker.ValidationError):
        graph.serialise("wrong", "adds nothing", [port("x", FLOAT, 3)], [port("y", FLOAT, 3)])


def test_integer_networks_are_written_without_keras() -> None:
    code = "import sys, nicodec.models.integer_graph; print(*({'keras', 'tensorflow'} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
