"""BD-rate gives known percentages, and refuses curves that cannot be compared."""

import math
import sys

import pytest

from nicodec.errors import BackendError, RequestError
from nicodec.evaluation.bd_rate import at_rate, bd_rate
from nicodec.evaluation.curves import Curve, CurvePoint, PictureScore
from nicodec.evaluation.published import published_curves

JPEG, BPG444 = published_curves()


def scaled(curve: Curve, factor: float, keep: slice = slice(None)) -> Curve:
    """The curve of a codec that needs `factor` times the bits."""
    points = tuple(CurvePoint(bpp=point.bpp * factor, psnr=point.psnr) for point in curve.points[keep])
    return Curve(name="scaled", points=points)


def line(name: str, *pairs: tuple[float, float | None], picture: str = "") -> Curve:
    scores = (PictureScore(picture=picture, size=1, bpp=1.0, psnr=30.0, msssim=0.9),) if picture else ()
    return Curve(name=name, points=tuple(CurvePoint(bpp=bpp, psnr=psnr, pictures=scores) for bpp, psnr in pairs))


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.25])
def test_a_known_factor_is_a_known_percentage(factor: float) -> None:
    pytest.importorskip("bjontegaard")
    result = bd_rate(JPEG, scaled(JPEG, factor))
    assert result.percent == pytest.approx(100 * (factor - 1), abs=1e-9)
    assert (result.low, result.high, result.shared) == (23.77989, 40.55666, 1.0)


def test_curves_may_cover_different_ranges() -> None:
    pytest.importorskip("bjontegaard")
    result = bd_rate(line("a", (1.0, 30.0), (4.0, 34.0)), line("b", (1.0, 32.0), (4.0, 36.0)))
    assert (result.low, result.high, result.shared) == (32.0, 34.0, 0.5)
    assert result.percent == pytest.approx(-50.0)
    assert result.gain == pytest.approx(2.0)


def test_curves_without_a_common_rate_have_no_gain() -> None:
    pytest.importorskip("bjontegaard")
    result = bd_rate(line("a", (1.0, 30.0), (2.0, 34.0)), line("b", (4.0, 30.0), (8.0, 34.0)))
    assert result.percent == pytest.approx(300.0)
    assert result.gain is None


def test_msssim_is_compared_in_decibel() -> None:
    """Half the bits for equal MS-SSIM, and at equal bits half of what is missing to 1: 3 dB."""
    pytest.importorskip("bjontegaard")
    anchor, test = (
        Curve(name="x", points=tuple(CurvePoint(bpp=bpp, msssim=1.0 - scale / bpp) for bpp in (0.2, 0.4, 0.8, 1.6)))
        for scale in (0.02, 0.01)
    )
    result = bd_rate(anchor, test, "msssim")
    assert result.percent == pytest.approx(-50.0)
    assert result.gain == pytest.approx(3.0103, abs=1e-4)
    with pytest.raises(RequestError, match="points with PSNR"):
        bd_rate(anchor, test)


def test_quality_at_a_rate() -> None:
    curve = Curve(
        name="x",
        points=tuple(CurvePoint(bpp=bpp, psnr=30.0 + 10.0 * math.log10(bpp), msssim=0.9) for bpp in (0.5, 1.0, 2.0)),
    )
    assert at_rate(curve, "psnr", 0.7) == pytest.approx(30.0 + 10.0 * math.log10(0.7), abs=0.02)
    assert at_rate(curve, "psnr", 0.4) is None
    assert at_rate(curve, "psnr", 2.1) is None
    with pytest.raises(RequestError, match="MS-SSIM of curve 'x' does not rise"):
        at_rate(curve, "msssim", 0.7)


def test_the_narrower_curve_decides_what_is_shared() -> None:
    pytest.importorskip("bjontegaard")
    result = bd_rate(scaled(JPEG, 2.0, slice(5, 12)), JPEG)
    assert result.shared == 1.0
    assert result.percent == pytest.approx(-50.0, abs=0.1)


def test_published_curves_differ_as_published() -> None:
    pytest.importorskip("bjontegaard")
    assert bd_rate(BPG444, JPEG).percent == pytest.approx(143.04, abs=0.01)
    assert bd_rate(JPEG, BPG444).percent == pytest.approx(100 / 2.4304 - 100, abs=0.01)


@pytest.mark.parametrize(
    ("test", "message"),
    [
        (line("x", (1.0, 50.0), (2.0, 52.0)), "'x' .50.00 to 52.00 dB. have no range of PSNR in common"),
        (line("x", (1.0, 40.55666), (2.0, 52.0)), "no range of PSNR in common"),
        (line("x", (1.0, 30.0)), "'x' has 1 of the 2 or more points"),
        (line("x", (1.0, 30.0), (2.0, None)), "'x' has 1 of the 2 or more points"),
        (line("x", (1.0, 30.0), (2.0, 29.0), (3.0, 32.0)), "'x' does not rise from 1.0000 bpp .30.00 dB. to 2.0000"),
        (line("x", (1.0, 30.0), (2.0, 30.0)), "'x' does not rise"),
    ],
)
def test_what_cannot_be_compared_is_refused(test: Curve, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        bd_rate(JPEG, test)


def test_curves_of_different_pictures_are_refused() -> None:
    points = ((1.0, 30.0), (2.0, 32.0))
    with pytest.raises(RequestError, match="different pictures"):
        bd_rate(line("a", *points, picture="a.png"), line("b", *points, picture="b.png"))


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bjontegaard", None)
    with pytest.raises(BackendError, match=r"bjontegaard is not installed.*nicodec\[evaluation\]"):
        bd_rate(JPEG, JPEG)
