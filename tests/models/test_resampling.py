"""Images resized by matrices are those that Pillow resizes."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.train

pytest.importorskip("keras")

from nicodec.errors import RequestError
from nicodec.models.keras_ops import ops
from nicodec.models.resampling import resize, resizing_matrix

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize("size", [(20, 31), (80, 121)])
def test_pillow_does_the_same(method: str, size: tuple[int, int], samples: "Samples") -> None:
    pixels = samples.photo(40, 61)
    planes = [Image.fromarray(pixels[..., c].astype(np.float32)) for c in range(3)]
    expected = np.stack([np.asarray(plane.resize((size[1], size[0]), FILTERS[method])) for plane in planes], axis=-1)
    found = ops.convert_to_numpy(resize(pixels[None], *size, method))[0]
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("method", FILTERS)
@pytest.mark.parametrize(("size", "new_size"), [(1, 1), (1, 2), (7, 3), (3, 7), (8, 8)])
def test_a_plain_image_stays_plain(method: str, size: int, new_size: int) -> None:
    assert resizing_matrix(size, new_size, method).sum(axis=1) == pytest.approx(1.0)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(RequestError, match="lanczos3"):
        resize(np.zeros((1, 4, 4, 1)), 2, 2, "sinc")


@pytest.mark.parametrize("size", [1, 2, 3, 9])
def test_doubling_is_what_the_format_says(size: int) -> None:
    """FORMAT.md section 8, sandwich: Lanczos interpolation with three lobes, in which samples outside do not count."""
    expected = np.zeros((2 * size, size))
    for x in range(2 * size):
        distances = (x + 0.5) / 2 - 0.5 - np.arange(size)
        weights = np.where(np.abs(distances) < 3, np.sinc(distances) * np.sinc(distances / 3), 0.0)
        expected[x] = weights / weights.sum()
    np.testing.assert_allclose(resizing_matrix(size, 2 * size, "lanczos3"), expected, atol=1e-6)
