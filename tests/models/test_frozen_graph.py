"""The frozen graph of the original residual GRU: what it gives, and what is refused."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

pytestmark = pytest.mark.train

pytest.importorskip("tensorflow")

from nicodec.errors import BackendError, ModelError, ModelMismatchError, ModelMissingError, RequestError
from nicodec.models import runtime, zoo
from nicodec.models.backends import frozen_graph
from nicodec.models.backends.frozen_graph import FrozenGraph
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.frozen_graphs import FrozenGraphs
    from nicodec.tests.samples import Samples

Pixels = npt.NDArray[np.uint8]
Edit = Callable[[Any], None]

CODES = ["GruBinarizer/SignBinarizer/Sign:0", *(f"GruBinarizer/SignBinarizer/Sign_{k}:0" for k in range(1, 16))]
PICTURES = [f"loop_{k:02d}/add:0" for k in range(16)]


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_networks", {})


@pytest.fixture(scope="module")
def photo(samples: "Samples") -> Pixels:
    return samples.photo(64, 96)


def opened(data: bytes) -> FrozenGraph:
    return FrozenGraph(data, None, "some.pb")


def test_codes_are_the_graphs(graphs: "FrozenGraphs", photo: Pixels) -> None:
    network = opened(graphs.data())
    codes = network.analyse(photo, 16)
    assert codes.dtype == np.float32
    assert codes.shape == (16, 32, 4, 6)
    expected = np.concatenate(graphs.run(photo, CODES)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(codes, expected)
    np.testing.assert_array_equal(network.analyse(photo, 3), expected[:3])


@pytest.mark.parametrize("kind", ["plain", "sized", "asserting"])
def test_pictures_are_the_graphs(graphs: "FrozenGraphs", photo: Pixels, kind: str) -> None:
    network = opened(graphs.data(kind))
    network.check()
    codes = network.analyse(photo, 16)
    expected = graphs.run(photo, PICTURES, kind)
    for picture, (own,) in zip(network.synthesise(codes, range(16)), expected, strict=True):
        assert picture.dtype == np.float32
        np.testing.assert_allclose(picture, own, atol=1e-2)
    some = network.synthesise(codes[:8], [2, 7])
    np.testing.assert_allclose(some, [expected[2][0], expected[7][0]], atol=1e-2)


def test_codes_that_are_not_known_may_be_nothing(graphs: "FrozenGraphs") -> None:
    (picture,) = opened(graphs.data()).synthesise(np.zeros((1, 32, 2, 4), np.float32), [0])
    np.testing.assert_array_equal(picture, np.full((32, 64, 3), 128, np.float32))


def test_the_runtime_loads_a_graph_once(graph_model: Model) -> None:
    network = runtime.load_unrolled(graph_model)
    assert runtime.load_unrolled(graph_model) is network
    assert runtime.load_unrolled(graph_model, threads=1) is not network


def test_the_runtime_checks_files_and_threads(graph_model: Model, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="threads"):
        runtime.load_unrolled(graph_model, threads=0)
    with pytest.raises(ModelMismatchError, match="damaged"):
        runtime.load_unrolled(replace(graph_model, hash=bytes(8)))
    with pytest.raises(ModelMissingError, match=r"graph\.pb"):
        runtime.load_unrolled(replace(graph_model, folder=tmp_path))


def test_the_hash_covers_graph_and_tables(graph_model: Model, tmp_path: Path) -> None:
    names = ("graph.pb", "entropy.npz")
    for name in names:
        (tmp_path / name).write_bytes(graph_model.path(name).read_bytes())
    expected = zoo.file_hash(*(tmp_path / name for name in names))
    assert zoo.model_hash(tmp_path) == graph_model.hash == expected
    (tmp_path / "decoder.onnx").write_bytes(b"decoder")
    assert zoo.model_hash(tmp_path) == zoo.file_hash(tmp_path / "decoder.onnx", tmp_path / "entropy.npz")


def test_without_tensorflow_there_is_one_error(graph_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "nicodec.models.backends.frozen_graph")
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    with pytest.raises(BackendError, match=r"pip install nicodec\[train\]$") as caught:
        runtime.load_unrolled(graph_model)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("stateful", "RandomUniform, which can do more than compute"),
        ("reading", "can do more than compute"),
        ("small", "no node 'loop_15/add'"),
        ("narrow", r"Sign is float32 of shape \(1, None, None, 31\), not float32 of shape \(1, None, None, 32\)"),
    ],
)
def test_other_graphs_are_refused(graphs: "FrozenGraphs", kind: str, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        opened(graphs.data(kind))
    message = str(caught.value)
    assert message.startswith("some.pb is not the graph of the original residual GRU: ")
    assert message.endswith("give the residual_gru.pb of tensorflow/models, research/compression, as it was published")
    assert "\n" not in message


def before_the_first_picture(op: str, **texts: str) -> Edit:
    """Adds an operation without inputs that runs before the first picture is there."""

    def edit(definition: Any) -> None:
        added = definition.node.add(name="added", op=op)
        for name, text in texts.items():
            added.attr[name].s = text.encode()
        node(definition, "loop_00/add").input.append("^added")

    return edit


def instead_of_the_image(op: str) -> Edit:
    """Makes the image pass through an operation."""

    def edit(definition: Any) -> None:
        definition.node.add(name="added", op=op, input=["Placeholder"])
        node(definition, "Cast").input[0] = "added"

    return edit


def node(definition: Any, name: str) -> Any:
    (found,) = (one for one in definition.node if one.name == name)
    return found


def without_its_source(definition: Any) -> None:
    node(definition, "loop_03/add").input[0] = "nowhere\nat all" + "x" * 1000


def of_an_unknown_operation(definition: Any) -> None:
    node(definition, "loop_03/add").op = "Explode"


def in_a_circle(definition: Any) -> None:
    node(definition, "Cast").input[0] = "loop_03/add"


def without_a_result(definition: Any) -> None:
    last = node(definition, "loop_15/add")
    last.op = "NoOp"
    last.ClearField("attr")
    last.ClearField("input")


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (before_the_first_picture("Abort", error_msg="boom"), "Abort, which can do more"),
        (
            before_the_first_picture("ImmutableConst", memory_region_name="/etc/passwd"),
            "ImmutableConst, which can do more",
        ),
        (before_the_first_picture("VariableV2"), "VariableV2, which can do more"),
        (instead_of_the_image("PyFuncStateless"), "PyFuncStateless, which can do more"),
        (instead_of_the_image("PartitionedCall"), "PartitionedCall, which can do more"),
        (instead_of_the_image("DebugIdentity"), "DebugIdentity, which can do more"),
        (instead_of_the_image("Enter"), "Enter, which can do more"),
        (instead_of_the_image("NextIteration"), "NextIteration, which can do more"),
        (without_its_source, r"no node 'nowhere\\nat allx+'"),
        (of_an_unknown_operation, "unknown operation 'Explode'"),
        (in_a_circle, "TensorFlow cannot load it"),
        (without_a_result, "loop_15/add gives nothing"),
    ],
)
def test_graphs_that_someone_changed_are_refused(graphs: "FrozenGraphs", edit: Edit, words: str) -> None:
    with pytest.raises(ModelError, match=words) as caught:
        opened(graphs.edited(edit))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_what_is_not_needed_is_not_looked_at(graphs: "FrozenGraphs") -> None:
    def edit(definition: Any) -> None:
        definition.node.add(name="saver", op="SaveV2")
        definition.node.add(name="training", op="Explode")

    opened(graphs.edited(edit)).check()


def test_devices_of_another_machine_do_not_matter(graphs: "FrozenGraphs") -> None:
    def edit(definition: Any) -> None:
        for one in definition.node:
            one.device = "/job:worker/replica:3/device:TPU:7"

    opened(graphs.edited(edit)).check()


def test_pictures_must_come_from_the_codes(graphs: "FrozenGraphs") -> None:
    with pytest.raises(ModelError, match="its pictures depend on more than the codes"):
        opened(graphs.data("seeing")).check()


def test_codes_must_be_binary(graphs: "FrozenGraphs") -> None:
    def edit(definition: Any) -> None:
        for one in definition.node:
            one.op = "Tanh" if one.op == "Sign" else one.op

    with pytest.raises(ModelError, match="its codes are not binary"):
        opened(graphs.edited(edit)).check()


def test_pictures_must_be_numbers(graphs: "FrozenGraphs") -> None:
    def edit(definition: Any) -> None:
        node(definition, "loop_15/add").op = "Div"
        for name in ("x", "y"):
            node(definition, "loop_15/add").input[name == "y"] = "nothing"
        nothing = definition.node.add(name="nothing", op="ZerosLike", input=["loop_14/add"])
        nothing.attr["T"].CopyFrom(node(definition, "loop_15/add").attr["T"])

    with pytest.raises(ModelError, match="its pictures depend on more than the codes"):
        opened(graphs.edited(edit)).check()


def test_arrays_of_another_size_are_one_error(graphs: "FrozenGraphs") -> None:
    def edit(definition: Any) -> None:
        last = node(definition, "loop_15/add")
        last.op = "MaxPool"
        last.input.pop()
        last.attr["ksize"].list.i.extend([1, 1, 1, 1])
        last.attr["strides"].list.i.extend([1, 1, 2, 1])
        last.attr["padding"].s = b"SAME"

    with pytest.raises(ModelError, match=r"an array of shape \(1, 64, 48, 3\) where \(1, 64, 96, 3\) belongs"):
        opened(graphs.edited(edit)).check()


def test_a_graph_that_does_not_run_is_one_error(graphs: "FrozenGraphs", photo: Pixels) -> None:
    network = opened(graphs.data("asserting"))
    with pytest.raises(BackendError, match=r"failed to run some\.pb on 96x48 pixels \(.*no multiple of 32") as caught:
        network.analyse(photo[:48], 16)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"no graph at all", b"\x00" * 100, b"\n\xff\xff\xff\xff\x0f", bytes(range(256)) * 9]
)
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(ModelError, match=r"it is no TensorFlow graph|it has no node") as caught:
        opened(data)
    assert "\n" not in str(caught.value)


def test_graphs_that_are_cut_off_are_refused(graphs: "FrozenGraphs") -> None:
    data = graphs.data()
    for length in np.linspace(0, len(data) - 1, 40).astype(int).tolist():
        with pytest.raises(ModelError, match="not the graph of the original"):
            opened(data[:length])


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "absent.pb", tmp_path):
        with pytest.raises(ModelError, match="cannot be read"):
            frozen_graph.load(path)
    (tmp_path / "large.pb").write_bytes(b"x" * 101)
    monkeypatch.setattr(frozen_graph, "_MOST_BYTES", 100)
    with pytest.raises(ModelError, match="more than 100 bytes"):
        frozen_graph.load(tmp_path / "large.pb")
