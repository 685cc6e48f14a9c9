"""`nicodec info` and `nicodec verify`: whole, damaged and foreign files."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import nicodec
from nicodec.bitstream import container
from nicodec.cli.main import main
from nicodec.codecs import shallow_header
from nicodec.models.zoo import Model

from .conftest import assert_one_error

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

Run = Callable[..., Result]


def test_text_says_the_essentials(run: Run, coded: Path, model: Model) -> None:
    result = run("info", "photo.nic")
    assert result.exit_code == 0
    assert result.stderr == ""
    for words in (
        "photo.nic\n",
        "96x64, RGB, 8 bits",
        f"fake-3c, hash {model.hash.hex()}",
        "format 1.0",
        "metadata  none",
    ):
        assert words in result.stdout


def test_json_has_these_keys(run: Run, coded: Path, model: Model) -> None:
    record = json.loads(run("info", "--json", "photo.nic").stdout)
    size = coded.stat().st_size
    assert record == {
        "schema": 1,
        "command": "info",
        "input": "photo.nic",
        "ok": True,
        "version": "1.0",
        "bytes": size,
        "bpp": round(8 * size / (96 * 64), 6),
        "complete": True,
        "width": 96,
        "height": 64,
        "padded_width": 96,
        "padded_height": 64,
        "depth": 8,
        "gray": False,
        "alpha": False,
        "codec": 250,
        "model": "fake-3c",
        "model_number": 7,
        "model_hash": model.hash.hex(),
        "profile": 0,
        "parameters": {},
        "channels": 3,
        "latent_width": 96,
        "latent_height": 64,
        "layers": 1,
        "segments": 1,
        "segments_arrived": 1,
        "metadata": {},
    }


def test_metadata_gray_and_alpha(run: Run, folder: Path) -> None:
    Image.new("LA", (8, 8), (1, 2)).save("clear.png", icc_profile=b"12345")
    assert run("encode", "clear.png").exit_code == 0
    text = run("info", "clear.nic").stdout
    assert "gray with alpha" in text
    assert "icc 5 B" in text


def test_channels_list_every_segment(run: Run, folder: Path) -> None:
    assert run("encode", "--independent-channels", "photo.png").exit_code == 0
    text = run("info", "--channels", "photo.nic").stdout
    assert "segment  content  bytes  crc32" in text
    assert [line.split()[:3] for line in text.splitlines()[-3:]] == [[str(i), "part", str(i)] for i in range(3)]
    record = json.loads(run("info", "--channels", "--json", "photo.nic").stdout)
    assert [set(row) for row in record["segment_table"]] == [
        {"index", "content", "bytes", "crc32", "table", "symbols"}
    ] * 3


def test_statistics_list_every_group(tmp_path: Path, samples: "Samples") -> None:
    """With an installed model: the small one of these tests has no statistics."""
    path = tmp_path / "photo.nic"
    path.write_bytes(nicodec.encode(samples.photo(64, 96), model="l3ic-16c"))
    result = CliRunner().invoke(main, ["info", "--statistics", str(path)])
    head, *rows = result.stdout.splitlines()[-17:]
    assert head.split() == [
        "channels",
        "bytes",
        "zeros",
        "size",
        "residual",
        *["expected", "p10", "expected", "p50", "expected", "p90"],
    ]
    assert [row.split()[0] for row in rows] == [str(channel) for channel in range(16)]
    record = json.loads(CliRunner().invoke(main, ["info", "--statistics", "--json", str(path)]).stdout)
    keys = {"channels", "bits", "zeros", "size", "residual", "expected"}
    assert [set(row) for row in record["statistics"]] == [keys] * 16


def test_statistics_of_a_cut_file_are_not_there(tmp_path: Path, samples: "Samples") -> None:
    path = tmp_path / "cut.nic"
    path.write_bytes(nicodec.encode(samples.photo(64, 96), model="l3ic-16c")[:-20])
    result = CliRunner().invoke(main, ["info", "--statistics", str(path)])
    assert result.exit_code == 0
    assert "INCOMPLETE OR DAMAGED" in result.stdout
    assert result.stdout.endswith("statistics none: they need a whole file\n")
    record = json.loads(CliRunner().invoke(main, ["info", "--statistics", "--json", str(path)]).stdout)
    assert "statistics" not in record


def test_statistics_need_a_codec_that_has_them(run: Run, coded: Path) -> None:
    assert_one_error(
        run("info", "--statistics", "photo.nic"), 2, "codec fake has no statistics", "leave statistics out"
    )


def test_stdin_and_several_files(run: Run, coded: Path) -> None:
    result = run("info", "--json", "-", "text.png", "photo.nic", data=coded.read_bytes())
    assert result.exit_code == 1
    first, second, third = map(json.loads, result.stdout.splitlines())
    assert first["bytes"] == third["bytes"] == coded.stat().st_size
    assert second["error"]["type"] == "NotNicError"
    assert result.stderr.startswith("nicodec: error: text.png: this is not a .nic file")


def test_cut_file_is_described_as_incomplete(run: Run, coded: Path) -> None:
    Path("cut.nic").write_bytes(coded.read_bytes()[:500])
    assert "INCOMPLETE OR DAMAGED: 0 of 1 segments are whole" in run("info", "cut.nic").stdout
    record = json.loads(run("info", "--json", "cut.nic").stdout)
    assert (record["complete"], record["bytes"], record["segments_arrived"]) == (False, 500, 0)


def test_model_need_not_be_installed(run: Run, coded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MODELS", "absent")
    assert "number 7, not installed" in run("info", "photo.nic").stdout
    assert json.loads(run("info", "--json", "photo.nic").stdout)["model"] is None


def test_only_file_decides_the_exit_code(run: Run, folder: Path) -> None:
    result = run("info", "missing.nic")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "nicodec: error: missing.nic: no such file: check the path\n"


@pytest.mark.parametrize("how", ["--network", "--no-network"])
def test_verify_accepts_whole_files(run: Run, coded: Path, how: str) -> None:
    result = run("verify", how, "photo.nic")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "photo.nic: OK\n", "")


def test_verify_tells_damaged_from_unchecked(run: Run, coded: Path) -> None:
    data = bytearray(coded.read_bytes())
    data[200] ^= 4
    Path("bad.nic").write_bytes(data)
    result = run("verify", "bad.nic", "photo.nic", "missing.nic")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == ["bad.nic: DAMAGED", "photo.nic: OK", "missing.nic: FAILED"]
    damaged, missing = result.stderr.splitlines()
    assert "bad.nic: segment 0 is damaged" in damaged
    assert "no such file" in missing


def test_verify_calls_no_file_damaged_that_may_be_whole(run: Run, coded: Path) -> None:
    assert run("verify", "--max-pixels", "6000", "photo.nic").stdout == "photo.nic: FAILED\n"
    Path("newer.nic").write_bytes(b"\x8fNIC\x20")
    assert run("verify", "newer.nic").stdout == "newer.nic: FAILED\n"


def test_verify_in_json(run: Run, coded: Path) -> None:
    good, bad = map(json.loads, run("verify", "--json", "photo.nic", "text.png").stdout.splitlines())
    assert good == {"schema": 1, "command": "verify", "input": "photo.nic", "ok": True}
    assert (bad["ok"], bad["error"]["type"]) == (False, "NotNicError")


def test_verify_without_network_needs_no_runtime(run: Run, coded: Path) -> None:
    assert run("verify", "--backend", "openvino", "photo.nic").exit_code == 1
    assert run("verify", "--backend", "openvino", "--no-network", "photo.nic").exit_code == 0


def test_quality_of_a_shallow_file_is_shown(run: Run, folder: Path) -> None:
    header = container.Header(
        width=96,
        height=64,
        codec=shallow_header.NUMBER,
        model=1,
        model_hash=bytes(8),
        channels=4,
        stride_log2=4,
        align_log2=4,
        extra=shallow_header.codec_bytes(shallow_header.quality_steps(43.7)),
    )
    Path("shallow.nic").write_bytes(container.write(container.Container(header, (container.Segment(0, b""),))))
    assert "codec 2, profile 0, quality 43.7\n" in run("info", "shallow.nic").stdout
    assert json.loads(run("info", "--json", "shallow.nic").stdout)["parameters"] == {"quality": 43.7}
    Path("damaged.nic").write_bytes(
        container.write(container.Container(replace(header, extra=b""), (container.Segment(0, b""),)))
    )
    result = run("info", "damaged.nic")
    assert result.exit_code == 1
    assert "damaged.nic: the header has no valid quality" in result.stderr
