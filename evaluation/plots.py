"""Rate-distortion plots: curves over bpp, PSNR on the left and MS-SSIM in decibel on the right."""

import io
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import RequestError
from ..extras import evaluation_packages
from .curves import Curve, Metric, decibels

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FORMATS = ("svg", "png")

# Okabe and Ito's colours, which people with any colour vision tell apart, without the yellow that is too pale for lines.
# Markers and dashes tell the curves apart without colour.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#000000", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES = ("-", "--", "-.", ":")
_LABELS: dict[Metric, str] = {"psnr": "PSNR (dB)", "msssim": "MS-SSIM (dB)"}

# By default both formats note when or by which version they were made.
_NO_METADATA: dict[str, dict[str, None]] = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}
_DOTS_PER_INCH = 150


def render(curves: Sequence[Curve], file_format: str, *, title: str = "", max_bpp: float | None = None) -> bytes:
    """Draws curves into one picture; the same curves always give the same bytes with one version of matplotlib.

    Args:
        curves: one or more; a metric that none of them has is left out.
        file_format: one of `FORMATS`.
        title: heading, if any.
        max_bpp: points of higher rate are left out; None for all points.

    Returns:
        A whole SVG or PNG file.

    Raises:
        RequestError: the format is unknown, or no point is left.
        BackendError: the evaluation extra is not installed.
    """
    if file_format not in FORMATS:
        raise RequestError(f"{file_format!r} is not a format for plots: choose from {', '.join(FORMATS)}")
    metrics: list[Metric] = [metric for metric in _LABELS if any(_pairs(curve, metric, max_bpp) for curve in curves)]
    if not metrics:
        raise RequestError("no point with PSNR or MS-SSIM is left to plot: give other curves or a higher limit of bpp")
    with evaluation_packages():
        import matplotlib
        from matplotlib.figure import Figure
    with matplotlib.rc_context():
        # Not in the user's own style.
        matplotlib.rcdefaults()
        # Identifiers in SVG are hashes with a salt, which is random by default; and a dollar in a name is no formula.
        matplotlib.rcParams.update({"svg.hashsalt": "nicodec", "text.parse_math": False})
        figure = Figure(figsize=(5.5 * len(metrics), 4.6), dpi=_DOTS_PER_INCH, layout="constrained")
        for column, metric in enumerate(metrics, 1):
            axes = figure.add_subplot(1, len(metrics), column)
            draw(axes, curves, metric, max_bpp)
        figure.axes[0].legend(loc="lower right", fontsize="small")
        if title:
            figure.suptitle(title)
        target = io.BytesIO()
        figure.savefig(target, format=file_format, metadata=_NO_METADATA[file_format])
    return target.getvalue()


def draw(axes: "Axes", curves: Sequence[Curve], metric: Metric, max_bpp: float | None) -> None:
    """Draws the curves over one metric; up to 28 all look different."""
    for index, curve in enumerate(curves):
        # A curve without points still takes its place in the legend, which both panels share.
        pairs = _pairs(curve, metric, max_bpp)
        axes.plot(
            [bpp for bpp, _ in pairs],
            [value for _, value in pairs],
            label=curve.name,
            color=_COLOURS[index % len(_COLOURS)],
            marker=_MARKERS[index % len(_MARKERS)],
            linestyle=_DASHES[index // len(_COLOURS) % len(_DASHES)],
            markersize=5,
            linewidth=1.5,
        )
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel(_LABELS[metric])
    axes.grid(visible=True, color="0.85", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlim(left=0)


def _pairs(curve: Curve, metric: Metric, max_bpp: float | None) -> list[tuple[float, float]]:
    """What is drawn of a curve: bpp and decibel."""
    series = curve.series(metric)
    if metric == "msssim":
        series = [(bpp, decibels(value)) for bpp, value in series]
    return [(bpp, value) for bpp, value in series if math.isfinite(value) and (max_bpp is None or bpp <= max_bpp)]
