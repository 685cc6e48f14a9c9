import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nicodec.errors import RequestError
from nicodec.metrics.psnr import psnr

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=9)
_PAIRS = _SHAPES.flatmap(lambda shape: st.tuples(hnp.arrays(np.uint8, shape), hnp.arrays(np.uint8, shape)))


@given(hnp.arrays(np.uint8, _SHAPES))
def test_equal_is_infinite(a: npt.NDArray[np.uint8]) -> None:
    assert psnr(a, a.copy()) == math.inf


@given(_PAIRS)
def test_symmetric_and_never_below_full_scale_error(pair: tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]) -> None:
    a, b = pair
    assert psnr(a, b) == psnr(b, a) >= 0.0


@given(st.integers(1, 255))
def test_constant_difference(difference: int) -> None:
    a = np.zeros((3, 5, 3), np.uint8)
    assert psnr(a, a + np.uint8(difference)) == pytest.approx(20 * math.log10(255 / difference), abs=1e-12)


def test_pools_all_samples() -> None:
    a = np.zeros((1, 4, 3), np.uint8)
    b = a.copy()
    b[0, 0] = (3, 0, 0)
    b[0, 3] = (0, 0, 9)
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 * 12 / 90))


def test_peak_and_other_types() -> None:
    a = np.array([0.0, 0.5])
    assert psnr(a, a + 0.1, peak=1.0) == pytest.approx(20.0)
    b = np.array([0, 65535], np.uint16)
    assert psnr(b, b[::-1], peak=65535) == pytest.approx(0.0)


def test_falls_with_noise(samples: "Samples") -> None:
    photo = samples.photo()
    values = [psnr(photo, samples.noisy(photo, sigma)) for sigma in (1, 2, 5, 10, 30)]
    assert values == sorted(values, reverse=True)


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), r"\(2, 3\).*\(3, 2\)"),
        (np.zeros(2, np.uint8), np.zeros(2, np.uint16), "uint8.*uint16"),
        (np.zeros(2, np.bool_), np.zeros(2, np.bool_), "bool"),
        (np.zeros(0, np.uint8), np.zeros(0, np.uint8), "empty"),
    ],
)
def test_bad_operands(a: npt.NDArray[Any], b: npt.NDArray[Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        psnr(a, b)
