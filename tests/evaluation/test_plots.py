"""Plots show the curves, and are the same bytes every time."""

import io
import sys
import xml.etree.ElementTree as ET

import pytest
from PIL import Image

from nicodec.errors import BackendError, RequestError
from nicodec.evaluation import plots
from nicodec.evaluation.curves import Curve, CurvePoint
from nicodec.evaluation.published import published_curves

CURVES = published_curves()


def width(svg: bytes) -> float:
    return float(ET.fromstring(svg).attrib["width"].removesuffix("pt"))


def markers(svg: bytes) -> int:
    return svg.count(b"<use ")


@pytest.mark.parametrize("file_format", plots.FORMATS)
def test_the_same_curves_give_the_same_bytes(file_format: str) -> None:
    pytest.importorskip("matplotlib")
    assert plots.render(CURVES, file_format, title="x") == plots.render(CURVES, file_format, title="x")


def test_the_users_style_does_not_matter() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    plain = plots.render(CURVES, "svg")
    with matplotlib.rc_context(
        {"lines.linewidth": 9, "font.size": 20, "svg.hashsalt": "other", "axes.facecolor": "red"}
    ):
        assert plots.render(CURVES, "svg") == plain
        assert matplotlib.rcParams["font.size"] == 20


def test_names_are_no_formulas() -> None:
    pytest.importorskip("matplotlib")
    assert plots.render([Curve(name=r"5$ $\nonsense{", points=CURVES[0].points)], "svg")


def test_other_curves_give_another_plot() -> None:
    pytest.importorskip("matplotlib")
    assert len({plots.render(curves, "svg") for curves in (CURVES, CURVES[:1], CURVES[::-1])}) == 3


def test_png_is_a_picture_of_two_panels() -> None:
    pytest.importorskip("matplotlib")
    with Image.open(io.BytesIO(plots.render(CURVES, "png"))) as image:
        assert (image.format, image.size) == ("PNG", (1650, 690))


def test_a_metric_that_no_curve_has_gets_no_panel() -> None:
    pytest.importorskip("matplotlib")
    psnr_only = Curve(name="x", points=(CurvePoint(bpp=1, psnr=30), CurvePoint(bpp=2, psnr=35)))
    both, one = plots.render(CURVES, "svg"), plots.render([psnr_only], "svg")
    assert width(both) == pytest.approx(2 * width(one))


def test_higher_rates_can_be_left_out() -> None:
    pytest.importorskip("matplotlib")
    curve = Curve(name="x", points=tuple(CurvePoint(bpp=bpp, psnr=30 + bpp) for bpp in (0.5, 1.0, 1.5, 2.0)))
    all_points, some = plots.render([curve], "svg"), plots.render([curve], "svg", max_bpp=1.0)
    # Ticks are drawn with <use> as well: compare with one point fewer, not with zero.
    assert markers(all_points) > markers(some)
    with pytest.raises(RequestError, match="no point"):
        plots.render([curve], "svg", max_bpp=0.1)


def test_lossless_points_are_left_out() -> None:
    with pytest.raises(RequestError, match="no point"):
        plots.render([Curve(name="x", points=(CurvePoint(bpp=1, msssim=1.0),))], "svg")


def test_many_curves_differ_in_look() -> None:
    matplotlib = pytest.importorskip("matplotlib.figure")
    axes = matplotlib.Figure().add_subplot()
    curves = [Curve(name=str(index), points=(CurvePoint(bpp=1, psnr=30),)) for index in range(28)]
    plots.draw(axes, curves, "psnr", None)
    looks = {(line.get_color(), line.get_marker(), line.get_linestyle()) for line in axes.get_lines()}
    assert len(looks) == len(curves)


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(RequestError, match="'gif' is not a format for plots: choose from svg, png"):
        plots.render(CURVES, "gif")


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(BackendError, match=r"matplotlib is not installed.*nicodec\[evaluation\]"):
        plots.render(CURVES, "svg")
