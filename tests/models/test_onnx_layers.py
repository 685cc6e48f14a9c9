"""Every kind of Keras layer that can be exported gives the same in ONNX Runtime; every other is named."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import RequestError

pytestmark = pytest.mark.train

keras: Any = pytest.importorskip("keras")
onnx: Any = pytest.importorskip("onnx")

from nicodec.models import keras_weights, onnx_graph
from nicodec.models.layers import GDN, ChannelScale, DepthToSpace
from nicodec.models.shallow import Compress

Run = Callable[[bytes, npt.NDArray[Any]], npt.NDArray[Any]]
Chain = Callable[..., Any]


def randomise(model: Any) -> None:
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0, 1, weight.shape) for weight in layer.weights])
    keras_weights.round_to_half(model)


def assert_same(model: Any, run_graph: Run, height: int, width: int) -> None:
    """The file gives what Keras gives, to float32 precision, for a batch of two."""
    channels = model.input_shape[-1]
    values = np.random.default_rng(4).normal(0, 3, (2, height, width, channels)).astype(np.float32)
    result = run_graph(onnx_graph.hyper_encoder_graph(model), np.ascontiguousarray(values.transpose(0, 3, 1, 2)))
    expected = keras.ops.convert_to_numpy(model(values)).transpose(0, 3, 1, 2)
    assert result.dtype == np.float32
    assert expected.std() > 0.1
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kernel", [1, 3, 5, 8, 9, 16, 18, (3, 5)])
@pytest.mark.parametrize("stride", [1, 2, 4, 16, (1, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_convolution(kernel: Any, stride: Any, bias: bool, chain: Chain, run_graph: Run) -> None:
    model = chain(keras.layers.Conv2D(4, kernel, stride, padding="same", use_bias=bias, name="c"))
    randomise(model)
    assert_same(model, run_graph, 32, 48)


@pytest.mark.parametrize(
    ("kernel", "stride"), [(18, 16), (16, 16), (13, 8), (9, 4), (6, 4), (5, 2), (4, 2), (2, 2), (11, 2), (3, 1), (1, 1)]
)
@pytest.mark.parametrize("filters", [3, 8, 12])
@pytest.mark.parametrize("bias", [True, False])
def test_transposed_convolution(
    kernel: int, stride: int, filters: int, bias: bool, chain: Chain, run_graph: Run
) -> None:
    """Some go through the operator, some through cells; extents of one position have no neighbours at all."""
    layer = keras.layers.Conv2DTranspose(filters, kernel, stride, padding="same", use_bias=bias, name="c")
    model = chain(layer, channels=5)
    randomise(model)
    kinds = {node.op_type for node in onnx.load_model_from_string(onnx_graph.hyper_encoder_graph(model)).graph.node}
    assert ("ConvTranspose" in kinds) == (stride == 1 or (filters == 3 and stride > 2))
    for height, width in ((4, 3), (1, 1), (1, 2)):
        assert_same(model, run_graph, height, width)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Rescaling(2.0, offset=-0.25, name="r"),
        keras.layers.LeakyReLU(negative_slope=0.3, name="l"),
        keras.layers.ReLU(name="p"),
        keras.layers.Activation("sigmoid", name="a"),
        DepthToSpace(2, name="d"),
        ChannelScale(name="s"),
        Compress(name="c"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_single_layer(layer: Any, chain: Chain, run_graph: Run) -> None:
    model = chain(layer, channels=12)
    randomise(model)
    assert_same(model, run_graph, 3, 5)


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn(inverse: bool, chain: Chain, run_graph: Run) -> None:
    layer = GDN(inverse=inverse, name="g")
    model = chain(layer, channels=6)
    rng = np.random.default_rng(5)
    layer.set_weights([rng.normal(0, 0.5, (6, 6)), rng.uniform(0.5, 1.5, 6)])
    keras_weights.round_to_half(model)
    assert_same(model, run_graph, 3, 5)


def test_gdn_without_a_divisor_of_its_own(chain: Chain, run_graph: Run) -> None:
    """With both roots zero only the floor is left to divide by."""
    layer = GDN(name="g")
    model = chain(layer, channels=2)
    layer.set_weights([np.zeros((2, 2)), np.zeros(2)])
    assert_same(model, run_graph, 2, 2)


@pytest.mark.parametrize("kind", [keras.layers.Add, keras.layers.Multiply])
def test_two_branches(kind: Any, run_graph: Run) -> None:
    source = keras.Input((None, None, 3))
    joined = kind(name="joined")([keras.layers.ReLU(name="positive")(source), source])
    assert_same(keras.Model(source, joined, name="branches"), run_graph, 2, 4)


def convolution(**changes: Any) -> Any:
    return keras.layers.Conv2D(**{"filters": 4, "kernel_size": 3, "padding": "same", "name": "odd", **changes})


def transposed(**changes: Any) -> Any:
    return keras.layers.Conv2DTranspose(**{"filters": 4, "kernel_size": 3, "padding": "same", "name": "odd", **changes})


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.BatchNormalization(name="odd"),
        convolution(padding="valid"),
        convolution(activation="relu"),
        convolution(dilation_rate=2),
        convolution(filters=3, groups=3),
        transposed(padding="valid"),
        transposed(activation="relu"),
        transposed(kernel_size=(3, 5)),
        transposed(strides=(1, 2)),
        transposed(strides=4),
        transposed(strides=2, output_padding=1),
        keras.layers.ReLU(max_value=6, name="odd"),
        keras.layers.ReLU(negative_slope=0.1, name="odd"),
        keras.layers.ReLU(threshold=1.0, name="odd"),
        keras.layers.Activation("softplus", name="odd"),
    ],
)
def test_unsupported_layer_is_named(layer: Any, chain: Chain) -> None:
    with pytest.raises(RequestError, match=r"layer odd is .*cannot be exported") as caught:
        onnx_graph.encoder_graph(chain(layer))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "found"), [(keras.layers.Add, "a sum of 3"), (keras.layers.Multiply, "a product of 3")]
)
def test_three_branches(kind: Any, found: str) -> None:
    source = keras.Input((None, None, 3))
    with pytest.raises(RequestError, match=f"layer three is {found}"):
        onnx_graph.encoder_graph(keras.Model(source, kind(name="three")([source, source, source])))


def test_layer_used_twice() -> None:
    source = keras.Input((None, None, 3))
    twice = keras.layers.LeakyReLU(name="twice")
    after = keras.layers.Rescaling(2.0, name="after")(twice(twice(source)))
    with pytest.raises(RequestError, match="used twice"):
        onnx_graph.encoder_graph(keras.Model(source, after))
