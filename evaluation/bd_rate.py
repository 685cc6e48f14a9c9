"""BD-rate: how many percent more bits one codec needs than another for the same PSNR, averaged over a range of PSNR.

Source: G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001. Computed by the
package `bjontegaard` with its piecewise cubic Hermite interpolation (PCHIP), the method of the JCT-VC and JVET common
test conditions: the logarithm of the rate is interpolated over PSNR and the difference averaged where both curves are.
"""

import itertools
from typing import NamedTuple, cast

from ..errors import RequestError
from ..extras import evaluation_packages
from .curves import Curve


class BdRate(NamedTuple):
    """The difference between two curves.

    Attributes:
        percent: mean difference of the rate at equal PSNR; negative where the test needs fewer bits than the anchor.
        low: lower end, in decibel, of the range that both curves cover and the mean is taken over.
        high: upper end of it.
        shared: that range as a part, 0..1, of the range of the curve that covers less. If it is small, neither curve
            is described as a whole.
    """

    percent: float
    low: float
    high: float
    shared: float


def bd_rate(anchor: Curve, test: Curve) -> BdRate:
    """BD-rate of `test` against `anchor`, over PSNR. The curves may have different numbers of points.

    Raises:
        RequestError: a curve has fewer than two points with PSNR, its PSNR does not rise with the rate, the curves have
            no PSNR in common, or they were measured on different pictures.
        BackendError: the evaluation extra is not installed.
    """
    _require_same_pictures(anchor, test)
    anchor_rates, anchor_psnrs = _rising(anchor)
    test_rates, test_psnrs = _rising(test)
    low, high = max(anchor_psnrs[0], test_psnrs[0]), min(anchor_psnrs[-1], test_psnrs[-1])
    if low >= high:
        raise RequestError(
            f"curves {_range(anchor.name, anchor_psnrs)} and {_range(test.name, test_psnrs)} have no range "
            "of PSNR in common: measure one of them at other qualities"
        )
    with evaluation_packages():
        import bjontegaard
    percent = cast(
        float,
        bjontegaard.bd_rate(
            anchor_rates,
            anchor_psnrs,
            test_rates,
            test_psnrs,
            method="pchip",
            require_matching_points=False,
            min_overlap=0,
        ),
    )
    narrower = min(anchor_psnrs[-1] - anchor_psnrs[0], test_psnrs[-1] - test_psnrs[0])
    return BdRate(percent, low, high, (high - low) / narrower)


def _rising(curve: Curve) -> tuple[list[float], list[float]]:
    """Rates and PSNRs of a curve that can be interpolated."""
    series = curve.series("psnr")
    if len(series) < 2:
        raise RequestError(
            f"curve {curve.name!r} has {len(series)} of the 2 or more points with PSNR that BD-rate needs: "
            "measure it at more qualities"
        )
    for (rate, psnr), (next_rate, next_psnr) in itertools.pairwise(series):
        if next_psnr <= psnr:
            raise RequestError(
                f"PSNR of curve {curve.name!r} does not rise from {rate:.4f} bpp ({psnr:.2f} dB) to {next_rate:.4f} bpp "
                f"({next_psnr:.2f} dB): leave one of the two points out"
            )
    return [rate for rate, _ in series], [psnr for _, psnr in series]


def _range(name: str, psnrs: list[float]) -> str:
    return f"{name!r} ({psnrs[0]:.2f} to {psnrs[-1]:.2f} dB)"


def _require_same_pictures(anchor: Curve, test: Curve) -> None:
    """As far as the curves say what they were measured on."""
    sets = {frozenset(score.picture for score in point.pictures) for curve in (anchor, test) for point in curve.points}
    if len(sets - {frozenset()}) > 1:
        raise RequestError(
            f"curves {anchor.name!r} and {test.name!r} contain points of different pictures: measure both on one folder"
        )
