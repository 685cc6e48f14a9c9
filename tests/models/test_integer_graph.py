"""Integer networks give the same integers on every runtime, and one portable file."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.models.integer_net import IntegerNet

from .integer_nets import (
    EXTENTS,
    Evaluate,
    Planes,
    evaluate_in_tiles,
    nets,
    random_net,
    random_planes,
    reference,
    stored,
)

THREADS = (1, 2)


def onnx_form(net: IntegerNet, threads: int) -> Evaluate:
    ort: Any = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    from nicodec.models.integer_graph import integer_graph

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = ort.InferenceSession(integer_graph(net), options, providers=["CPUExecutionProvider"])

    def run(planes: Planes) -> Planes:
        result: Planes = session.run(None, {"planes": planes[None]})[0][0]
        return result

    return run


def keras_form(net: IntegerNet) -> Evaluate:
    """The network in `keras.ops` on float32, layer by layer as a trained model would run it."""
    ops: Any = pytest.importorskip("keras").ops

    def run(planes: Planes) -> Planes:
        x = ops.clip(planes.transpose(1, 2, 0)[None].astype(np.float32), *net.input_range)
        for number, layer in enumerate(net.layers):
            x = ops.conv_transpose(x, layer.kernel.astype(np.float32), layer.stride, padding="same")
            x = ops.floor((x + layer.bias.astype(np.float32)) * np.exp2(-layer.shift.astype(np.float32)))
            x = ops.clip(x, *(net.output_range if number == len(net.layers) - 1 else (0, 255)))
        result: Planes = np.asarray(x)[0].transpose(2, 0, 1).astype(np.int32)
        return result

    return run


@pytest.mark.train
@settings(deadline=None, max_examples=25)
@given(nets(), EXTENTS, EXTENTS, st.integers(0, 2**32 - 1))
def test_onnx_runtime_and_tensorflow_give_the_same(net: IntegerNet, height: int, width: int, seed: int) -> None:
    planes = random_planes(seed, net.inputs, height, width)
    whole = net(planes)
    for evaluate in (*(onnx_form(net, threads) for threads in THREADS), keras_form(net)):
        np.testing.assert_array_equal(evaluate(planes), whole)


@pytest.mark.train
def test_a_wide_network_gives_the_same_everywhere_whole_and_tiled() -> None:
    """Enough channels and positions for every runtime to block, vectorise and share out its sums."""
    net = random_net(3, [(3, 1), (6, 4)], [40, 48, 65])
    planes = random_planes(3, 40, 13, 21)
    whole = net(planes)
    np.testing.assert_array_equal(whole, reference(net, planes))
    forms: list[Evaluate] = [net, *(onnx_form(net, threads) for threads in THREADS), keras_form(net)]
    for evaluate in forms:
        np.testing.assert_array_equal(evaluate(planes), whole)
        np.testing.assert_array_equal(evaluate_in_tiles(net, evaluate, planes, 9), whole)


@pytest.mark.train
def test_same_network_same_portable_file() -> None:
    onnx: Any = pytest.importorskip("onnx")
    from nicodec.models.integer_graph import integer_graph

    net = random_net(13, [(3, 1), (6, 4)], [20, 30, 40])
    file = integer_graph(net)
    assert integer_graph(IntegerNet.from_arrays(stored(net), "hyper")) == file
    model = onnx.load_model_from_string(file)
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
    assert len(file) < 1.1 * sum(layer.kernel.size for layer in net.layers) + 4096
