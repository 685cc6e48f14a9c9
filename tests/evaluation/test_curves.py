"""Curves are sorted and checked, and survive their files."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from nicodec.errors import RequestError
from nicodec.evaluation import curve_files
from nicodec.evaluation.curves import Curve, CurvePoint, PictureScore, mean_point
from nicodec.evaluation.published import published_curves

SCORES = (
    PictureScore(picture="a.png", size=100, bpp=1.0, psnr=30.0, msssim=0.9),
    PictureScore(picture="b.png", size=300, bpp=3.0, psnr=33.0, msssim=0.96),
)
FINE = mean_point("quality 50", SCORES)
COARSE = CurvePoint(bpp=0.5, msssim=0.8)
CURVE = Curve(name="codec", points=(FINE, COARSE), dataset="set", source="codec 1.0")


def test_points_are_sorted_by_rate() -> None:
    assert CURVE.points == (COARSE, FINE)
    assert CURVE.series("msssim") == [(0.5, 0.8), (2.0, pytest.approx(0.93))]


def test_series_leave_out_what_is_unknown() -> None:
    assert CURVE.series("psnr") == [(2.0, 31.5)]


def test_a_point_is_the_mean_over_pictures() -> None:
    assert (FINE.bpp, FINE.psnr, FINE.setting, FINE.pictures) == (2.0, 31.5, "quality 50", SCORES)


def test_the_mean_with_a_lossless_picture_is_unknown() -> None:
    lossless = PictureScore(picture="c.png", size=1, bpp=1.0, psnr=None, msssim=1.0)
    point = mean_point("", (*SCORES, lossless))
    assert point.psnr is None
    assert point.msssim == pytest.approx((0.9 + 0.96 + 1) / 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bpp": 0.0}, "bpp is 0.0"),
        ({"bpp": -1.0}, "bpp is -1.0"),
        ({"bpp": math.nan}, "bpp is nan"),
        ({"bpp": math.inf}, "bpp is inf"),
        ({"bpp": 1.0, "psnr": math.inf}, "psnr is inf"),
        ({"bpp": 1.0, "psnr": math.nan}, "psnr is nan"),
        ({"bpp": 1.0, "msssim": 1.01}, "msssim is 1.01"),
        ({"bpp": 1.0, "msssim": math.nan}, "msssim is nan"),
    ],
)
def test_impossible_points_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        CurvePoint(bpp=values["bpp"], psnr=values.get("psnr"), msssim=values.get("msssim"))


def test_a_curve_has_points() -> None:
    with pytest.raises(RequestError, match="'empty' has no points"):
        Curve(name="empty", points=())


def test_a_file_keeps_everything(tmp_path: Path) -> None:
    other = Curve(name="other", points=(COARSE,))
    path = tmp_path / "curves.json"
    path.write_text(curve_files.to_json([CURVE, other]))
    assert curve_files.read(path) == [CURVE, other]
    assert json.loads(path.read_text())["schema"] == curve_files.SCHEMA


def test_a_collection_of_published_curves_is_read(tmp_path: Path) -> None:
    path = tmp_path / "published.json"
    path.write_text(
        '{"x": [{"bpp": 2, "psnr": 30, "ssim": 0.5, "name": "q"}, {"bpp": 1, "msssim": 0.9}], "y": [{"bpp": 1}]}'
    )
    x, y = curve_files.read(path)
    assert x == Curve(name="x", points=(CurvePoint(bpp=1, msssim=0.9), CurvePoint(bpp=2, psnr=30)))
    assert y.name == "y"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\x00\xff", "is not JSON"),
        ("[]", "[] is not a JSON object"),
        ('{"schema": 2, "curves": []}', "schema is 2"),
        ('{"schema": 1}', "None is not a list"),
        ('{"schema": 1, "curves": [1]}', "1 is not a JSON object"),
        ('{"schema": 1, "curves": [{"name": 5, "points": []}]}', "name is 5"),
        ('{"x": []}', "'x' has no points"),
        ('{"x": {"bpp": 1}}', "curve 'x': {'bpp': 1} is not a list"),
        ('{"x": [{"psnr": 1}]}', "curve 'x': bpp is None"),
        ('{"x": [{"bpp": "1"}]}', "bpp is '1', not a number"),
        ('{"x": [{"bpp": true}]}', "bpp is True"),
        ('{"x": [{"bpp": NaN}]}', "bpp is nan"),
        ('{"x": [{"bpp": 1, "pictures": [{"picture": "a", "size": 1, "bpp": 1}]}]}', "msssim is None"),
        (json.dumps({"x": "long" * 100}), "..."),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "curves.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(RequestError) as caught:
        curve_files.read(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot be read"):
        curve_files.read(tmp_path / "none.json")


def test_published_curves_rise() -> None:
    jpeg, bpg = published_curves()
    assert (jpeg.name, len(jpeg.points)) == ("published/jpeg", 19)
    assert (bpg.name, len(bpg.points)) == ("published/bpg444", 8)
    for curve in (jpeg, bpg):
        for metric in ("psnr", "msssim"):
            values: list[Any] = [getattr(point, metric) for point in curve.points]
            assert values == sorted(values)
