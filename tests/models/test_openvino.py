"""OpenVINO on the shipped weights: the same picture as ONNX Runtime, in one piece or in tiles, and nothing printed."""

import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pytest

pytest.importorskip("openvino", reason="needs the openvino extra")

from nicodec.codecs import tiling
from nicodec.codecs.base import no_progress
from nicodec.errors import BackendError
from nicodec.models import runtime, zoo

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

MODEL = "l3ic-64c"
STRIDE, HALO = 8, 6


def network(part: runtime.Part, backend: str) -> runtime.Network:
    return runtime.load_network(zoo.find(MODEL), part, backend=backend, threads=1)


@pytest.fixture(scope="module")
def photo(samples: "Samples") -> Pixels:
    """uint8 (1, 240, 320, 3)."""
    return samples.photo(240, 320)[None]


@pytest.fixture(scope="module")
def latents(photo: Pixels) -> Floats:
    """What ONNX Runtime's encoder makes of the photo, not rounded."""
    return network("encoder", "onnxruntime")(photo)


@pytest.fixture(scope="module")
def symbols(latents: Floats) -> npt.NDArray[np.int8]:
    return np.clip(np.rint(latents), -15, 16).astype(np.int8)


@pytest.mark.parametrize(("backend", "near", "off"), [("openvino", 2e-3, 1), ("openvino-bf16", 0.5, 8)])
def test_agrees_with_onnx_runtime(
    photo: Pixels, latents: Floats, symbols: npt.NDArray[np.int8], backend: str, near: float, off: int
) -> None:
    np.testing.assert_allclose(network("encoder", backend)(photo), latents, rtol=0, atol=near)
    pixels, expected = (network("decoder", name)(symbols) for name in (backend, "onnxruntime"))
    assert pixels.dtype == np.uint8
    assert pixels.shape == photo.shape
    assert np.abs(pixels.astype(int) - expected).max() <= off


def test_tiles_give_the_result_of_one_piece(
    photo: Pixels, symbols: npt.NDArray[np.int8], monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, decoder = network("encoder", "openvino"), network("decoder", "openvino")
    whole_latents, whole_pixels = encoder(photo)[0], decoder(symbols)[0]
    monkeypatch.setattr(tiling, "WHOLE_PIXELS", 1)
    monkeypatch.setattr(tiling, "TILE_PIXELS", 13 * STRIDE)
    tiled_latents = tiling.analyse(encoder, photo[0], len(whole_latents), STRIDE, HALO, no_progress)
    np.testing.assert_array_equal(tiled_latents, whole_latents)
    tiled_pixels = tiling.synthesise(decoder, symbols[0], 1.0, STRIDE, HALO, no_progress)
    np.testing.assert_array_equal(tiled_pixels, whole_pixels)


def test_wrong_array_is_one_error(symbols: npt.NDArray[np.int8]) -> None:
    with pytest.raises(BackendError, match=r"openvino failed to run the decoder .*: .*try another") as caught:
        network("decoder", "openvino")(symbols[:, :5])
    assert "\n" not in str(caught.value)


def test_a_whole_process_prints_nothing() -> None:
    code = (
        "import numpy as np; from nicodec.models import runtime, zoo;"
        f"runtime.load_network(zoo.find('{MODEL}'), 'decoder', backend='openvino')(np.zeros((1, 64, 2, 2), np.int8))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (run.stdout, run.stderr) == ("", "")
