"""Loading and running networks: backends, cache, errors, and that all backends and tilings agree."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from nicodec.errors import BackendError, ModelError, ModelMismatchError, ModelMissingError, RequestError
from nicodec.models import runtime, zoo

Entry = Callable[..., Path]
Pixels = npt.NDArray[np.uint8]

HALO = 8
"""Latents around a tile; more than the receptive field of either transform."""


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "_networks", {})


@pytest.fixture
def tiny(entry: Entry) -> zoo.Model:
    """A decoder of integers that takes three latents for bytes, without Keras."""
    onnx = pytest.importorskip("onnx")
    helper, types = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["latents"], ["bytes"], to=types.UINT8),
        helper.make_node("Transpose", ["bytes"], ["pixels"], perm=(0, 2, 3, 1)),
    ]
    source = helper.make_tensor_value_info("latents", types.INT8, [1, 3, "h", "w"])
    target = helper.make_tensor_value_info("pixels", types.UINT8, [1, "h", "w", 3])
    graph = helper.make_graph(nodes, "tiny", [source], [target])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    entry(files={"decoder.onnx": model.SerializeToString()})
    return zoo.find("l3ic-32c")


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a package appear not to be installed."""

    def hide(package: str) -> None:
        for name in list(sys.modules):
            if name.startswith("nicodec.models.backends."):
                monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, package, None)

    return hide


def test_runs_a_network(tiny: zoo.Model) -> None:
    latents = np.arange(3 * 2 * 5, dtype=np.int8).reshape(1, 3, 2, 5)
    pixels = runtime.load_network(tiny, "decoder")(latents)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels, latents.transpose(0, 2, 3, 1))


def test_each_network_is_loaded_once(tiny: zoo.Model) -> None:
    network = runtime.load_network(tiny, "decoder", threads=1)
    assert runtime.load_network(zoo.find(tiny.id), "decoder", threads=1) is network
    assert runtime.load_network(tiny, "decoder", threads=2) is not network
    assert runtime.load_network(tiny, "decoder") is not network


def test_a_graph_of_integers_takes_floats_that_are_integers(tiny: zoo.Model) -> None:
    network = runtime.load_network(tiny, "decoder")
    latents = np.arange(3 * 2 * 5, dtype=np.float32).reshape(1, 3, 2, 5)
    np.testing.assert_array_equal(network(latents), latents.transpose(0, 2, 3, 1))


@pytest.mark.parametrize("value", [0.5, 128.0, -129.0, np.nan, np.inf])
def test_a_graph_of_integers_takes_nothing_else(tiny: zoo.Model, value: float) -> None:
    network = runtime.load_network(tiny, "decoder")
    with pytest.raises(BackendError, match=r"float32\[1, 3, 2, 2\]: the graph takes int8 values, .*try another"):
        network(np.full((1, 3, 2, 2), value, np.float32))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.float32])
def test_conversion_copies_only_if_it_must(dtype: Any) -> None:
    array = np.arange(6).astype(dtype)
    assert runtime.converted(array, dtype) is array
    assert runtime.converted(array, np.float32).dtype == np.float32


def test_wrong_array_is_one_error(tiny: zoo.Model) -> None:
    network = runtime.load_network(tiny, "decoder")
    with pytest.raises(BackendError, match=r"onnxruntime failed to run .* int8\[1, 4, 2, 2\]: .*try another") as caught:
        network(np.zeros((1, 4, 2, 2), np.int8))
    assert "\n" not in str(caught.value)


def test_damaged_network_is_one_error_and_nothing_printed(entry: Entry, capfd: pytest.CaptureFixture[str]) -> None:
    entry(files={"decoder.onnx": b"no network at all"})
    with pytest.raises(BackendError, match="failed to load the decoder of l3ic-32c from") as caught:
        runtime.load_network(zoo.find("l3ic-32c"), "decoder")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_whole_process_prints_nothing(tiny: zoo.Model) -> None:
    code = (
        "import numpy as np; from pathlib import Path; from nicodec.models import runtime, zoo;"
        f"model = zoo.open_folder(Path({str(tiny.folder)!r}));"
        "runtime.load_network(model, 'decoder')(np.zeros((1, 3, 2, 2), np.int8))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")


def test_loading_checks_the_weights(entry: Entry) -> None:
    folder = entry()
    (folder / "entropy.npz").write_bytes(b"other tables")
    model = zoo.find("l3ic-32c")
    parts: tuple[runtime.Part, ...] = ("encoder", "decoder")
    for part in parts:
        with pytest.raises(ModelMismatchError, match="damaged"):
            runtime.load_network(model, part)


def test_absent_encoder(entry: Entry) -> None:
    (entry() / "encoder.onnx").unlink()
    with pytest.raises(ModelMissingError, match=r"encoder\.onnx"):
        runtime.load_network(zoo.find("l3ic-32c"), "encoder")


def test_unknown_backend(entry: Entry) -> None:
    entry()
    with pytest.raises(RequestError, match="'caffe': choose one of onnxruntime, openvino, openvino-bf16, tensorflow"):
        runtime.load_network(zoo.find("l3ic-32c"), "decoder", backend="caffe")


@pytest.mark.parametrize("threads", [0, -1])
def test_no_threads(entry: Entry, threads: int) -> None:
    entry()
    with pytest.raises(RequestError, match="threads"):
        runtime.load_network(zoo.find("l3ic-32c"), "decoder", threads=threads)


@pytest.mark.parametrize(
    ("backend", "package", "install"),
    [
        ("onnxruntime", "onnxruntime", "pip install onnxruntime"),
        ("openvino", "openvino", "pip install nicodec[openvino]"),
        ("openvino-bf16", "openvino", "pip install nicodec[openvino]"),
        ("tensorflow", "keras", "pip install nicodec[train]"),
    ],
)
def test_missing_package_names_what_to_install(
    entry: Entry, without: Callable[[str], None], backend: str, package: str, install: str
) -> None:
    entry()
    without(package)
    with pytest.raises(BackendError) as caught:
        runtime.load_network(zoo.find("l3ic-32c"), "decoder", backend=backend)
    assert str(caught.value).endswith(install)
    assert "\n" not in str(caught.value)


def test_importing_the_runtime_imports_no_backend() -> None:
    heavy = "{'onnx', 'onnxruntime', 'openvino', 'keras', 'tensorflow', 'scipy'}"
    code = f"import sys, nicodec.models.runtime; print(*({heavy} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []


@pytest.mark.train
@pytest.mark.parametrize(("height", "width"), [(8, 8), (8, 64), (72, 8), (40, 56)])
def test_any_multiple_of_the_stride(real_model: zoo.Model, photo: Pixels, height: int, width: int) -> None:
    latents = runtime.load_network(real_model, "encoder")(photo[:, :height, :width])
    assert latents.dtype == np.float32
    assert latents.shape == (1, 16, height // 8, width // 8)
    pixels = runtime.load_network(real_model, "decoder")(latents)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (1, height, width, 3)


@pytest.mark.train
def test_threads_change_nothing(real_model: zoo.Model, photo: Pixels) -> None:
    latents, again = (runtime.load_network(real_model, "encoder", threads=count)(photo) for count in (1, 2))
    np.testing.assert_array_equal(latents, again)
    pixels, again = (runtime.load_network(real_model, "decoder", threads=count)(latents) for count in (1, 2))
    np.testing.assert_array_equal(pixels, again)


def tiles(height: int, width: int, side: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Windows with halo in the whole plane, and in each the part that is not halo, in latents."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            y, x = max(top - HALO, 0), max(left - HALO, 0)
            bottom, right = min(top + side, height), min(left + side, width)
            yield (
                (slice(y, min(bottom + HALO, height)), slice(x, min(right + HALO, width))),
                (slice(top - y, bottom - y), slice(left - x, right - x)),
            )


def scaled(window: tuple[slice, slice], factor: int) -> tuple[slice, slice]:
    y, x = (slice(part.start * factor, part.stop * factor) for part in window)
    return y, x


@pytest.mark.train
def test_tiles_with_halo_equal_the_whole(real_model: zoo.Model, photo: Pixels) -> None:
    encode, decode = (runtime.load_network(real_model, part) for part in ("encoder", "decoder"))
    whole_latents = encode(photo)
    whole_pixels = decode(whole_latents)
    height, width = whole_latents.shape[2:]
    for window, inside in tiles(height, width, 10):
        here = (window[0].start + inside[0].start, window[1].start + inside[1].start)
        size = (inside[0].stop - inside[0].start, inside[1].stop - inside[1].start)
        place = (slice(here[0], here[0] + size[0]), slice(here[1], here[1] + size[1]))
        latents = encode(np.ascontiguousarray(photo[:, *scaled(window, 8)]))
        np.testing.assert_array_equal(latents[:, :, *inside], whole_latents[:, :, *place])
        pixels = decode(np.ascontiguousarray(whole_latents[:, :, *window]))
        np.testing.assert_array_equal(pixels[:, *scaled(inside, 8)], whole_pixels[:, *scaled(place, 8)])


@pytest.mark.train
@pytest.mark.parametrize(
    ("backend", "package"), [("tensorflow", "tensorflow"), ("openvino", "openvino"), ("openvino-bf16", "openvino")]
)
def test_backends_agree(real_model: zoo.Model, photo: Pixels, backend: str, package: str) -> None:
    pytest.importorskip(package)
    latents = runtime.load_network(real_model, "encoder")(photo)
    others = runtime.load_network(real_model, "encoder", backend=backend)(photo)
    pixels = runtime.load_network(real_model, "decoder")(np.rint(latents))
    decoded = runtime.load_network(real_model, "decoder", backend=backend)(np.rint(latents))
    assert (others.dtype, others.shape, decoded.dtype, decoded.shape) == (
        latents.dtype,
        latents.shape,
        pixels.dtype,
        pixels.shape,
    )
    near, off = (0.5, 8) if backend.endswith("bf16") else (1e-3, 1)
    assert np.abs(others - latents).max() < near
    assert np.abs(decoded.astype(int) - pixels).max() <= off


@pytest.mark.train
def test_tensorflow_keeps_the_callers_precision(real_model: zoo.Model) -> None:
    keras: Any = pytest.importorskip("keras")
    pytest.importorskip("tensorflow")
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        runtime.load_network(real_model, "decoder", backend="tensorflow")
        assert keras.config.dtype_policy().name == "mixed_bfloat16"
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.train
def test_tensorflow_cannot_change_its_threads(real_model: zoo.Model) -> None:
    tensorflow: Any = pytest.importorskip("tensorflow")
    tensorflow.zeros(1)
    now = tensorflow.config.threading.get_intra_op_parallelism_threads()
    with pytest.raises(BackendError, match="start a new process"):
        runtime.load_network(real_model, "decoder", backend="tensorflow", threads=now + 3)


@pytest.mark.train
def test_tensorflow_needs_a_known_architecture(entry: Entry) -> None:
    pytest.importorskip("tensorflow")
    entry(architecture={"family": "two-layer"})
    with pytest.raises(BackendError, match="'two-layer'"):
        runtime.load_network(zoo.find("l3ic-32c"), "decoder", backend="tensorflow")


@pytest.mark.train
def test_tensorflow_refuses_weights_of_another_architecture(entry: Entry, real_model: zoo.Model) -> None:
    pytest.importorskip("tensorflow")
    decoder = (real_model.folder / "decoder.onnx").read_bytes()
    entry(files={"decoder.onnx": decoder}, architecture={"family": "l3ic", "channels": 32})
    with pytest.raises(ModelError, match=r"not those of the architecture, first latent_unscale/scale"):
        runtime.load_network(zoo.find("l3ic-32c"), "decoder", backend="tensorflow")
