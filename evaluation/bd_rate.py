"""BD-rate: how many percent more bits one codec needs than another for the same quality, averaged over a range of quality.

Source: G. Bjøntegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001. Computed by the
package `bjontegaard` with its piecewise cubic Hermite interpolation (PCHIP), the method of the JCT-VC and JVET common
test conditions: the logarithm of the rate is interpolated over PSNR and the difference averaged where both curves are. For
MS-SSIM, which crowds just below 1, quality is -10 log10(1 - MS-SSIM).
"""

import itertools
import math
from typing import Any, NamedTuple, cast

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..errors import RequestError
from ..extras import evaluation_packages
from .curves import Curve, Metric, decibels

_NAMES: dict[Metric, str] = {"psnr": "PSNR", "msssim": "MS-SSIM"}


class BdRate(NamedTuple):
    """The difference between two curves.

    Attributes:
        percent: mean difference of the rate at equal quality; negative where the test needs fewer bits than the anchor.
        gain: mean difference of the quality at equal rate, in decibel; positive where the test is better. None if the
            curves have no rate in common.
        low: lower end, in decibel, of the range that both curves cover and the mean is taken over.
        high: upper end of it.
        shared: that range as a part, 0..1, of the range of the curve that covers less. If it is small, neither curve
            is described as a whole.
    """

    percent: float
    gain: float | None
    low: float
    high: float
    shared: float


def bd_rate(anchor: Curve, test: Curve, metric: Metric = "psnr") -> BdRate:
    """BD-rate of `test` against `anchor`. The curves may have different numbers of points.

    Args:
        anchor: what is compared with.
        test: what is compared.
        metric: the quality.

    Raises:
        RequestError: a curve has fewer than two points with that metric, it does not rise with the rate, the curves have
            no quality in common, or they were measured on different pictures.
        BackendError: the evaluation extra is not installed.
    """
    _require_same_pictures(anchor, test)
    anchor_rates, anchor_values = _rising(anchor, metric)
    test_rates, test_values = _rising(test, metric)
    low, high = max(anchor_values[0], test_values[0]), min(anchor_values[-1], test_values[-1])
    if low >= high:
        raise RequestError(
            f"curves {_range(anchor.name, anchor_values)} and {_range(test.name, test_values)} have no range "
            f"of {_NAMES[metric]} in common: measure one of them at other qualities"
        )
    with evaluation_packages():
        import bjontegaard
    curves = anchor_rates, anchor_values, test_rates, test_values
    options: dict[str, Any] = {"method": "pchip", "require_matching_points": False, "min_overlap": 0}
    percent = cast(float, bjontegaard.bd_rate(*curves, **options))
    apart = max(anchor_rates[0], test_rates[0]) >= min(anchor_rates[-1], test_rates[-1])
    gain = None if apart else cast(float, bjontegaard.bd_psnr(*curves, **options))
    narrower = min(anchor_values[-1] - anchor_values[0], test_values[-1] - test_values[0])
    return BdRate(percent, gain, low, high, (high - low) / narrower)


def at_rate(curve: Curve, metric: Metric, bpp: float) -> float | None:
    """The quality of a curve at a rate, interpolated as for BD-rate; None beyond its ends, or if unknown.

    Raises:
        RequestError: it has one point with that metric, or it does not rise with the rate.
    """
    if not curve.series(metric):
        return None
    rates, values = _rising(curve, metric)
    if not rates[0] <= bpp <= rates[-1]:
        return None
    found = float(PchipInterpolator(np.log(rates), values)(math.log(bpp)))
    return found if metric == "psnr" else 1.0 - 10.0 ** (-found / 10.0)


def _rising(curve: Curve, metric: Metric) -> tuple[list[float], list[float]]:
    """Rates and qualities in decibel of a curve that can be interpolated."""
    series = [(rate, value if metric == "psnr" else decibels(value)) for rate, value in curve.series(metric)]
    series = [(rate, value) for rate, value in series if math.isfinite(value)]
    name = _NAMES[metric]
    if len(series) < 2:
        raise RequestError(
            f"curve {curve.name!r} has {len(series)} of the 2 or more points with {name} that BD-rate needs: "
            "measure it at more qualities"
        )
    for (rate, value), (next_rate, next_value) in itertools.pairwise(series):
        if next_value <= value:
            raise RequestError(
                f"{name} of curve {curve.name!r} does not rise from {rate:.4f} bpp ({value:.2f} dB) to {next_rate:.4f} bpp "
                f"({next_value:.2f} dB): leave one of the two points out"
            )
    return [rate for rate, _ in series], [value for _, value in series]


def _range(name: str, values: list[float]) -> str:
    return f"{name!r} ({values[0]:.2f} to {values[-1]:.2f} dB)"


def _require_same_pictures(anchor: Curve, test: Curve) -> None:
    """As far as the curves say what they were measured on."""
    sets = {frozenset(score.picture for score in point.pictures) for curve in (anchor, test) for point in curve.points}
    if len(sets - {frozenset()}) > 1:
        raise RequestError(
            f"curves {anchor.name!r} and {test.name!r} contain points of different pictures: measure both on one folder"
        )
