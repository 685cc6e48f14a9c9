"""Curves are found by file and by name, and can be told apart."""

from pathlib import Path

import pytest

from nicodec.errors import RequestError
from nicodec.evaluation import curve_files, selection
from nicodec.evaluation.curves import Curve, CurvePoint
from nicodec.evaluation.published import published_curves


def write(path: Path, *names: str) -> str:
    path.parent.mkdir(exist_ok=True)
    curves = [Curve(name=name, points=(CurvePoint(bpp=1.0, psnr=30.0),)) for name in names]
    path.write_text(curve_files.to_json(curves))
    return str(path)


def names(selected: list[list[Curve]]) -> list[list[str]]:
    return [[curve.name for curve in curves] for curves in selected]


def test_a_file_stands_for_all_its_curves(tmp_path: Path) -> None:
    selected = selection.select([write(tmp_path / "a.json", "x", "y"), "published/jpeg"])
    assert names(selected) == [["x", "y"], ["published/jpeg"]]
    assert selected[1] == [published_curves()[0]]


def test_curves_of_equal_names_get_those_of_their_files(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.json", "x", "y"), write(tmp_path / "b.json", "x")]
    assert names(selection.select(files)) == [["a:x", "y"], ["b:x"]]


def test_files_of_equal_names_get_their_paths(tmp_path: Path) -> None:
    files = [write(tmp_path / "1" / "a.json", "x"), write(tmp_path / "2" / "a.json", "x")]
    assert names(selection.select(files)) == [[f"{file}:x"] for file in files]


def test_a_reference_lends_single_curves(tmp_path: Path) -> None:
    path = tmp_path / "reference.json"
    path.write_text('{"other/vtm": [{"bpp": 1, "psnr": 35}], "published/jpeg": [{"bpp": 1, "psnr": 29}]}')
    selected = selection.select(["other/vtm", "published/jpeg"], [path])
    assert [curves[0].points[0].psnr for curves in selected] == [35, 29]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("published/jpg", "did you mean published/jpeg"),
        ("zzz", "one of published/jpeg, published/bpg444"),
        ("none.json", "none.json: cannot be read"),
    ],
)
def test_other_names_are_refused(name: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        selection.select([name])
