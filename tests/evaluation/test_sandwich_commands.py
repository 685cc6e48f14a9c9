"""The measurements around standard codecs."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner
from PIL import Image

pytestmark = pytest.mark.train

pytest.importorskip("keras")

from nicodec.evaluation.__main__ import main

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
