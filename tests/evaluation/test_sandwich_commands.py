"""The measurements around standard codecs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

pytestmark = pytest.mark.train

pytest.importorskip("keras")

from nicodec import api, images
from nicodec.evaluation import bottleneck, sandwich_speed, strip, sweeps
from nicodec.evaluation.__main__ import main
from nicodec.evaluation.synthetic import photo
from nicodec.models import zoo

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


@pytest.mark.parametrize("options", [[], ["--subsampled"]])
def test_the_proxy_stands_beside_libjpeg(options: list[str], samples: "Samples", tmp_path: Path) -> None:
    Image.fromarray(samples.photo(96, 128)).save(tmp_path / "a.png")
    Image.fromarray(samples.gray_photo(61, 90)).save(tmp_path / "b.png")
    command = ["jpeg-proxy", str(tmp_path), "--step", "40", "--step", "10", *options]
    result = CliRunner().invoke(main, [*command, "--json"])
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert [row["step"] for row in rows] == [10, 40]
    for row in rows:
        assert row["pictures"] == 2
        assert row["subsampled"] == bool(options)
        assert row["largest_gap"] < 0.3
        assert abs(row["psnr"] - row["proxy_psnr"]) <= row["largest_gap"]
        assert row["largest_rate_gap"] < 0.1
        assert row["bpp"] / 2 < row["gaussian_bpp"] < row["bpp"] * 2
    assert rows[0]["psnr"] > rows[1]["psnr"] + 3
    assert rows[0]["bpp"] > rows[1]["bpp"]
    table = CliRunner().invoke(main, command)
    assert len(table.stdout.splitlines()) == 4


def test_the_picture_inside_is_shown(
    small_sandwiches: Path, samples: "Samples", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Five panels for two models; the file inside of the first is gray, that of the second of half the size."""
    monkeypatch.setenv("NICODEC_MODELS", str(small_sandwiches))
    Image.fromarray(samples.photo(120, 150)).save(tmp_path / "a.png")
    out = tmp_path / "strip.png"
    command = ["bottleneck", str(tmp_path / "a.png"), "--model", "sandwich-gray", "--model", "sandwich-lowres"]
    result = CliRunner().invoke(main, [*command, "--crop", "100x80+20+10", "--out", str(out)])
    assert result.exit_code == 0, result.output
    with Image.open(out) as image:
        assert image.width > 5 * 100
    picture, models = images.load(tmp_path / "a.png"), [zoo.find(f"sandwich-{name}") for name in ("gray", "lowres")]
    shown = bottleneck.panels(picture, models, 50, strip.Crop(100, 80, 20, 10))
    assert [panel.pixels.shape for panel in shown] == [(80, 100, channels) for channels in (3, 1, 3, 3, 3)]
    np.testing.assert_array_equal(shown[0].pixels, picture.pixels[10:90, 20:120])
    assert np.array_equal(shown[3].pixels[::2], shown[3].pixels[1::2])  # each pixel inside twice
    assert all(
        np.corrcoef(panel.pixels[..., 0].ravel(), shown[0].pixels[..., 0].ravel())[0, 1] > 0.8 for panel in shown
    )
    again = CliRunner().invoke(main, [*command, "--out", str(out)])
    assert again.exit_code == 1
    plain = CliRunner().invoke(main, [*command[:2], "--model", "l3ic-16c", "--out", str(tmp_path / "x.png")])
    assert plain.exit_code == 2
    assert not (tmp_path / "x.png").exists()


@pytest.mark.parametrize("name", ["rgb", "gray", "lowres"])
def test_times_stand_beside_the_standard_codec(
    name: str, small_sandwiches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NICODEC_MODELS", str(small_sandwiches))
    monkeypatch.setattr(sandwich_speed, "SIZE", (96, 64))
    command = ["sandwich-speed", "--model", f"sandwich-{name}", "--threads", "1", "--runs", "1"]
    result = CliRunner().invoke(main, [*command, "--json"])
    assert result.exit_code == 0, result.output
    times = json.loads(result.stdout)
    assert times["bpp"] == 8 * len(api.encode(photo(96, 64), model=f"sandwich-{name}")) / (96 * 64)
    assert 0 < times["standard_decode"] < times["decode"]
    assert 0 < times["standard_encode"] < times["encode"]
    assert min(times["encode_product"], times["decode_product"]) > 0
    assert f"sandwich-{name} 96x64" in CliRunner().invoke(main, command).stdout
    assert CliRunner().invoke(main, ["sandwich-speed", "--model", "l3ic-16c"]).exit_code == 2


def test_pictures_are_deepened(samples: "Samples", tmp_path: Path) -> None:
    """Twelve bits, of which the upper eight are those of the picture; the same every time."""
    pixels = samples.photo(40, 30)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    for out in ("deep", "again"):
        result = CliRunner().invoke(main, ["deepen", str(tmp_path), str(tmp_path / out), "--bits", "12"])
        assert result.exit_code == 0, result.output
    deep = images.load(tmp_path / "deep" / "a.png", deep=True)
    assert deep.deep is not None
    np.testing.assert_array_equal(deep.pixels, pixels)
    twelve = np.rint(deep.deep / 65535 * 4095)
    np.testing.assert_array_equal(np.rint(twelve * 65535 / 4095), deep.deep)
    assert len(np.unique(twelve.astype(int) % 16)) == 16
    assert (tmp_path / "deep" / "a.png").read_bytes() == (tmp_path / "again" / "a.png").read_bytes()
    assert CliRunner().invoke(main, ["deepen", str(tmp_path), str(tmp_path / "deep")]).exit_code == 1


def test_deep_pictures_are_measured_in_their_depth(samples: "Samples", tmp_path: Path) -> None:
    """What loses the lower byte has a PSNR of about 54 dB or 59 dB, by how it goes, and not an infinite one."""
    rng = np.random.default_rng(1)
    deep = (samples.photo(32, 32).astype(np.uint16) << 8) | rng.integers(0, 256, (32, 32, 3)).astype(np.uint16)
    images.save(images.from_array(deep, deep=True), tmp_path / "a.png")
    codings = {
        "cut": lambda picture: sweeps.Coded(1, (images.to_deep_array(picture) >> 8).astype(np.uint8)),
        "rounded": lambda picture: sweeps.Coded(1, picture.pixels),
        "whole": lambda picture: sweeps.Coded(1, images.to_deep_array(picture)),
    }
    cut, rounded, whole = sweeps.measure("fake", codings, [tmp_path / "a.png"])
    assert cut.psnr == pytest.approx(54.5, abs=1.0)
    assert rounded.psnr == pytest.approx(58.9, abs=0.5)
    assert whole.psnr is None
