"""What may be asked for: one target, a positive number."""

import math

import pytest

from nicodec.codecs.target import Kind, Target
from nicodec.errors import RequestError


@pytest.mark.parametrize("kind", ["bpp", "size", "psnr", "msssim"])
@pytest.mark.parametrize("value", [0, -1, math.nan, math.inf, "5"])
def test_targets_are_positive_numbers(kind: Kind, value: float) -> None:
    with pytest.raises(RequestError, match="choose a number above 0"):
        Target(kind, value)


def test_one_target_at_most() -> None:
    assert Target.chosen() is None
    assert Target.chosen(bpp=0.5) == Target("bpp", 0.5)
    with pytest.raises(RequestError, match="targets for size and psnr cannot be met at once: give one of them"):
        Target.chosen(size=5, psnr=30)
    with pytest.raises(RequestError, match=r"1\.5 MS-SSIM cannot be met: choose a number up to 1"):
        Target.chosen(msssim=1.5)
    Target("bpp", 1).require_no_quality(None)
    with pytest.raises(RequestError, match="quality and a target for bpp exclude each other"):
        Target("bpp", 1).require_no_quality(0.0)
