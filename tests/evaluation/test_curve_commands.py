"""The commands around curves: what they print, write and refuse."""

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from nicodec import images
from nicodec.errors import RequestError
from nicodec.evaluation import curve_commands, curve_files, rate_distortion
from nicodec.evaluation.__main__ import main
from nicodec.evaluation.curves import Curve, CurvePoint
from nicodec.evaluation.standards import standards
from nicodec.models import zoo

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

MODELS = ("l3ic-16c", "l3ic-32c")
SIDE = 48


@pytest.fixture
def folder(tmp_path: Path, samples: "Samples") -> Path:
    pictures = tmp_path / "set"
    pictures.mkdir()
    images.save(images.from_array(samples.photo(SIDE, SIDE)), pictures / "a.png")
    return pictures


@pytest.fixture
def fake_codec(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Puts a codec with the settings `quality` and `effort` behind every model; returns the calls."""
    calls: list[dict[str, Any]] = []

    def encode(picture: images.Picture, *, model: zoo.Model, **settings: Any) -> bytes:
        calls.append({"model": model.id, **settings})
        if "quality" not in settings:
            raise RequestError("unknown encoder setting")
        step = int(64 - settings["quality"] / 2)
        return bytes([step]) + zlib.compress((picture.pixels // step).tobytes())

    def decode(data: bytes) -> Any:
        planes = np.frombuffer(zlib.decompress(data[1:]), np.uint8).reshape(SIDE, SIDE, 3)
        return SimpleNamespace(
            pixels=np.minimum(planes.astype(int) * data[0] + data[0] // 2, 255).astype(np.uint8),
            deep=None,
        )

    monkeypatch.setattr("nicodec.api.encode", encode)
    monkeypatch.setattr("nicodec.api.decode", decode)
    return calls


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def lines(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_curve_sweeps_the_quality(folder: Path, tmp_path: Path, fake_codec: list[dict[str, Any]]) -> None:
    out = tmp_path / "curve.json"
    shown = lines(run("curve", folder, "--model", MODELS[0], "--quality", "90,10,42.5", "--effort", 3, "--out", out))
    model = {"model": MODELS[0], "effort": 3}
    assert fake_codec == [{**model, "quality": quality} for quality in (90.0, 10.0, 42.5)]
    (curve,) = curve_files.read(out)
    assert (curve.name, curve.dataset) == (f"{MODELS[0]} effort 3", "set")
    assert MODELS[0] in curve.source
    assert [point.setting for point in curve.points] == [
        f"{MODELS[0]} quality {quality} effort 3" for quality in ("10", "42.5", "90")
    ]
    psnrs = [point.psnr or 0 for point in curve.points]
    assert psnrs == sorted(psnrs)
    assert [line["bpp"] for line in shown] == [round(point.bpp, 4) for point in curve.points]
    assert all(line["curve"] == curve.name and "pictures" not in line for line in shown)


def test_a_setting_that_the_model_lacks_is_the_encoders_error(
    folder: Path, tmp_path: Path, fake_codec: list[dict[str, Any]]
) -> None:
    result = run("curve", folder, "--model", MODELS[0], "--effort", 3, "--out", tmp_path / "x.json")
    assert fake_codec == [{"model": MODELS[0], "effort": 3}]
    assert (result.exit_code, result.stderr) == (2, "error: unknown encoder setting\n")
    assert not (tmp_path / "x.json").exists()


def test_a_curve_of_files_that_decode_fast(folder: Path, tmp_path: Path, fake_codec: list[dict[str, Any]]) -> None:
    out = tmp_path / "x.json"
    shown = lines(run("curve", folder, "--model", MODELS[0], "--quality", 10, "--fast-decode", "--out", out))
    assert fake_codec == [{"model": MODELS[0], "quality": 10.0, "fast_decode": True}]
    assert [point["curve"] for point in shown] == [f"{MODELS[0]} fast"]
    assert shown[0]["setting"] == f"{MODELS[0]} quality 10 fast_decode"


def test_curve_measures_real_models_and_joins_them(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "curve.json"
    models = [argument for model in MODELS for argument in ("--model", model)]
    lines(run("curve", folder, *models, "--join", "l3ic", "--out", out))
    (curve,) = curve_files.read(out)
    assert (curve.name, {point.setting for point in curve.points}) == ("l3ic", set(MODELS))
    for point in curve.points:
        (expected,) = rate_distortion.measure_folder(zoo.find(point.setting), [folder / "a.png"])
        assert (point.bpp, point.psnr, point.msssim) == (expected.bpp, expected.psnr, expected.msssim)
    assert all(model in curve.source for model in MODELS)


def test_models_are_curves_of_their_own_without_join(
    folder: Path, tmp_path: Path, fake_codec: list[dict[str, Any]]
) -> None:
    models = [argument for model in (*MODELS, MODELS[0]) for argument in ("--model", model)]
    lines(run("curve", folder, *models, "--quality", "50", "--out", tmp_path / "x.json"))
    assert [curve.name for curve in curve_files.read(tmp_path / "x.json")] == list(MODELS)
    assert len(fake_codec) == len(MODELS)


def test_standards_writes_one_curve_for_each_codec(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "standards.json"
    shown = lines(
        run("standards", folder, "--codec", "jpeg", "--codec", "jpeg-444", "--quality", "20,80", "--out", out)
    )
    curves = curve_files.read(out)
    assert [(curve.name, curve.dataset, len(curve.points)) for curve in curves] == [
        ("jpeg", "set", 2),
        ("jpeg-444", "set", 2),
    ]
    assert [line["setting"] for line in shown] == ["quality 20", "quality 80"] * 2
    # A file that exists is kept, and that is said before anything is measured.
    monkeypatch.setattr("nicodec.evaluation.standards.measure_standard", None)
    again = run("standards", folder, "--codec", "jpeg", "--out", out)
    assert (again.exit_code, curve_files.read(out)) == (1, curves)
    assert "--force" in again.stderr


def test_standards_that_pillow_lacks_are_left_out(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(Image.SAVE, "WEBP")
    out = tmp_path / "standards.json"
    result = run("standards", folder, "--codec", "jpeg", "--codec", "webp", "--quality", "50", "--out", out)
    assert [line["curve"] for line in lines(result)] == ["jpeg"]
    assert result.stderr.startswith("note: webp is left out: ")
    alone = run("standards", folder, "--codec", "webp", "--out", tmp_path / "x.json")
    assert alone.exit_code == 2
    assert "none of the codecs" in alone.stderr


def test_codec_names_are_those_that_there_are() -> None:
    assert tuple(standard.name for standard in standards()) == curve_commands.STANDARD_NAMES


@pytest.mark.parametrize("qualities", ["0", "10.5", "101", "-1", "x", "10,,20", "nan", ""])
def test_qualities_out_of_range_are_refused(folder: Path, tmp_path: Path, qualities: str) -> None:
    result = run("standards", folder, "--quality", qualities, "--out", tmp_path / "x.json")
    assert result.exit_code == 2
    assert not (tmp_path / "x.json").exists()


@pytest.mark.parametrize(
    ("prepare", "code", "message"),
    [
        (lambda folder: (folder / "a.png").unlink(), 2, "has no PNG files"),
        (lambda folder: (folder / "a.png").write_bytes(b"x"), 1, "not an image"),
    ],
)
def test_bad_folders_are_one_line(
    folder: Path, tmp_path: Path, prepare: Callable[[Path], object], code: int, message: str
) -> None:
    prepare(folder)
    result = run("standards", folder, "--codec", "jpeg", "--out", tmp_path / "x.json")
    assert result.exit_code == code
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def curve_file(path: Path, **curves: list[tuple[float, float]]) -> Path:
    path.write_text(
        json.dumps({name: [{"bpp": b, "psnr": p, "msssim": 0.9} for b, p in pairs] for name, pairs in curves.items()})
    )
    return path


def test_bd_prints_every_pair(tmp_path: Path) -> None:
    pytest.importorskip("bjontegaard")
    anchor = curve_file(tmp_path / "anchor.json", x=[(1, 30), (2, 34)])
    test = curve_file(tmp_path / "test.json", x=[(0.5, 30), (1, 34)], y=[(2, 30), (4, 34)])
    first, second = lines(run("bd", anchor, test))
    assert first == {
        "anchor": "anchor:x",
        "test": "test:x",
        "bd_rate_percent": -50.0,
        "bd_psnr_db": None,
        "psnr_low": 30.0,
        "psnr_high": 34.0,
        "shared": 1.0,
    }
    assert (second["test"], second["bd_rate_percent"]) == ("y", 100.0)


def test_bd_compares_msssim_if_asked(tmp_path: Path) -> None:
    pytest.importorskip("bjontegaard")
    anchor, test = (
        curve_files.to_json(
            [Curve(name="x", points=tuple(CurvePoint(bpp=bpp, msssim=1 - scale / bpp) for bpp in (0.2, 0.4, 0.8)))]
        )
        for scale in (0.02, 0.01)
    )
    (tmp_path / "a.json").write_text(anchor)
    (tmp_path / "b.json").write_text(test)
    (line,) = lines(run("bd", tmp_path / "a.json", tmp_path / "b.json", "--metric", "msssim"))
    assert (line["bd_rate_percent"], line["bd_msssim_db"]) == (-50.0, 3.01)


def test_at_tells_the_quality_at_rates(tmp_path: Path) -> None:
    curves = tmp_path / "a.json"
    pairs = {"x": [(1, 30), (2, 33), (4, 36)], "y": [(1, 40), (2, 43)]}
    curves.write_text(
        json.dumps({name: [{"bpp": bpp, "psnr": psnr} for bpp, psnr in points] for name, points in pairs.items()})
    )
    found = lines(run("at", curves, "--bpp", "2", "--bpp", "3"))
    assert [(line["curve"], line["bpp"]) for line in found] == [("x", 2.0), ("x", 3.0), ("y", 2.0), ("y", 3.0)]
    assert found[0]["psnr"] == 33.0
    assert 33.0 < found[1]["psnr"] < 36.0
    assert (found[2]["psnr"], found[3]["psnr"], found[0]["msssim"]) == (43.0, None, None)


def test_bd_goes_on_after_a_pair_that_cannot_be_compared(tmp_path: Path) -> None:
    pytest.importorskip("bjontegaard")
    test = curve_file(tmp_path / "test.json", far=[(1, 60), (2, 64)], near=[(1, 30), (2, 34)])
    result = run("bd", "published/jpeg", test)
    assert result.exit_code == 2
    assert [json.loads(line)["test"] for line in result.stdout.splitlines()] == ["near"]
    assert "no range of PSNR in common" in result.stderr


def test_bd_notes_a_small_common_range(tmp_path: Path) -> None:
    pytest.importorskip("bjontegaard")
    test = curve_file(tmp_path / "test.json", high=[(1, 39), (2, 45)])
    result = run("bd", "published/jpeg", test)
    assert lines(result)[0]["shared"] == 0.26
    assert "have only 39.00 to 40.56 dB in common" in result.stderr


def test_bd_takes_curves_of_a_reference(tmp_path: Path) -> None:
    pytest.importorskip("bjontegaard")
    reference = curve_file(tmp_path / "reference.json", vtm=[(0.5, 30), (1, 34)], other=[(1, 30), (2, 34)])
    (line,) = lines(run("bd", "--reference", reference, "other", "vtm"))
    assert (line["anchor"], line["test"], line["bd_rate_percent"]) == ("other", "vtm", -50.0)


def test_plot_draws_files_and_published_curves(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    mine = curve_file(tmp_path / "mine.json", codec=[(0.5, 30), (1, 34)])
    for suffix, start in (("svg", b"<?xml"), ("PNG", b"\x89PNG")):
        out = tmp_path / f"plot.{suffix}"
        lines(run("plot", mine, "published/jpeg", "--max-bpp", 2, "--title", "Set", "--out", out))
        assert out.read_bytes().startswith(start)


def test_plot_refuses_other_formats(tmp_path: Path) -> None:
    result = run("plot", "published/jpeg", "--out", tmp_path / "plot.gif")
    assert (result.exit_code, result.stderr) == (2, "error: 'gif' is not a format for plots: choose from svg, png\n")
    assert not (tmp_path / "plot.gif").exists()
