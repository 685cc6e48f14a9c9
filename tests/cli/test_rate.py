"""`nicodec encode` at a quality or for a target, and `nicodec decode` of a part: options, what is said, refusals."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from nicodec.bitstream import container
from nicodec.cli import rate
from nicodec.cli.console import Console
from nicodec.codecs import registry
from nicodec.metrics.psnr import psnr

from .conftest import assert_one_error

if TYPE_CHECKING:
    from nicodec.models.zoo import Model
    from nicodec.tests.samples import Samples

Run = Callable[..., Result]


def record_of(run: Run, *arguments: str) -> dict[str, object]:
    result = run("encode", "--json", "-f", *arguments, "photo.png", "out.nic")
    assert result.exit_code == 0
    record: dict[str, object] = json.loads(result.stdout)
    assert record["bytes"] == os.path.getsize("out.nic")
    return record


def test_quality_reaches_the_codec_and_the_summary(run: Run) -> None:
    sizes: list[int] = []
    for quality in ("0", "50.5", "100"):
        result = run("encode", "-f", "--quality", quality, "photo.png", "out.nic")
        assert f"  quality {quality}  " in result.stderr
        sizes.append(os.path.getsize("out.nic"))
    assert sizes == sorted(set(sizes))


def test_without_any_of_it_the_record_says_so(run: Run) -> None:
    record = record_of(run)
    assert [record[key] for key in ("quality", "target", "reached", "trials")] == [None] * 4
    record = record_of(run, "--quality", "40")
    assert [record[key] for key in ("quality", "target", "reached", "trials")] == [40.0, None, None, None]


@pytest.mark.parametrize(
    ("option", "value", "limit"), [("--target-size", "9kB", 9000), ("--target-bpp", "11.7", 11.7 * 96 * 64 / 8)]
)
def test_rates_are_not_exceeded(run: Run, option: str, value: str, limit: float) -> None:
    record = record_of(run, option, value)
    kind = option.removeprefix("--target-")
    assert record["target"] == {kind: limit if kind == "size" else 11.7}
    size = os.path.getsize("out.nic")
    assert 0.85 * limit < size <= limit
    assert record["reached"] == {kind: size if kind == "size" else record["bpp"]}
    said = run("encode", "-f", option, value, "photo.png", "out.nic").stderr
    trials = record["trials"]
    assert re.search(rf"  quality {record['quality']:g}  {trials} trials  \d+\.\d\d s\n$", said)
    run("encode", "-f", "--quality", str(record["quality"]), "photo.png", "again.nic")
    assert Path("again.nic").read_bytes() == Path("out.nic").read_bytes()


def test_metrics_are_reached(run: Run) -> None:
    record = record_of(run, "--target-psnr", "33")
    run("decode", "out.nic", "back.png")
    with Image.open("back.png") as back, Image.open("photo.png") as photo:
        decibel = psnr(np.asarray(back), np.asarray(photo))
    assert decibel >= 33
    assert record["target"] == {"psnr": 33.0}
    assert record["reached"] == {"psnr": round(decibel, 6)}
    said = run("encode", "-f", "--target-psnr", "33", "photo.png", "out.nic").stderr
    assert f"  PSNR {decibel:.2f} dB  {record['trials']} trials  " in said
    result = run("encode", "-f", "--target-msssim", "0.99", "photo.png", "out.nic")
    found = re.search(r"  quality [\d.]+  MS-SSIM (0\.\d{4})  \d trials", result.stderr)
    assert found is not None
    compared = json.loads(run("compare", "--json", "photo.png", "out.nic").stdout)["msssim"]
    assert compared >= 0.99
    assert f"{compared:.4f}" == found[1]


def test_pictures_without_loss_have_a_record(run: Run, folder: Path) -> None:
    Image.new("L", (9, 9), 33).save("photo.png")
    record = record_of(run, "--target-psnr", "80")
    assert record["reached"] == {"psnr": None}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--quality", "101"], "'--quality'"),
        (["--quality", "nan"], "quality nan does not exist: choose one from 0"),
        (["--effort", "0"], "'--effort'"),
        (["--effort", "1.5"], "'--effort'"),
        (["--target-size", "many"], "write for example 50000, 50kB or 1.5MB"),
        (["--target-bpp", "0"], "a target of 0.0 bpp cannot be met"),
        (["--target-psnr", "nan"], "a target of nan dB cannot be met"),
        (["--target-msssim", "2"], "choose a number up to 1"),
        (["--target-bpp", "1", "--target-psnr", "30"], "targets for bpp and psnr cannot be met at once"),
        (["--target-bpp", "1", "--quality", "30"], "quality and a target for bpp exclude each other"),
        (["--target-size", "100"], "the target of 100 bytes is not reachable for this picture: "),
    ],
)
def test_impossible_requests_end_with_code_2(run: Run, folder: Path, arguments: list[str], words: str) -> None:
    assert_one_error(run("encode", *arguments, "photo.png"), 2, words)
    assert sorted(os.listdir(folder)) == ["photo.png", "text.png"]


@pytest.mark.parametrize("setting", [[], ["--quality", "40"], ["--target-psnr", "33"]])
def test_a_family_of_one_is_that_model(run: Run, model: "Model", setting: list[str]) -> None:
    for name, out in (("fake", "family.nic"), (model.id, "model.nic")):
        assert run("encode", "--model", name, *setting, "photo.png", out).exit_code == 0
    assert Path("family.nic").read_bytes() == Path("model.nic").read_bytes()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        (["--quality", "3"], "the models of fake have no common scale: choose one of fake-3c, fake-4c"),
        ([], "fake is a family of models: give a quality or a target too, or choose one of fake-3c, fake-4c"),
    ],
)
def test_a_family_without_a_common_scale_says_what_to_choose(
    run: Run, model: "Model", setting: list[str], words: str
) -> None:
    other = shutil.copytree(model.folder, model.folder.parents[1] / "fake-4c" / "1") / "card.json"
    other.write_text(json.dumps({**json.loads(other.read_text()), "id": "fake-4c"}))
    assert_one_error(run("encode", "--model", "fake", *setting, "photo.png"), 2, words)


def test_requests_that_no_picture_could_meet_are_refused_once(run: Run, folder: Path) -> None:
    result = run("encode", "--target-bpp", "1", "--quality", "3", "photo.png", "text.png", "--out-dir", "out")
    assert_one_error(result, 2, "exclude each other")
    assert not Path("out").exists()


def test_targets_are_met_picture_by_picture(run: Run, folder: Path, samples: "Samples") -> None:
    Image.fromarray(samples.noise(300, 300, 3)).save("large.png")
    result = run("encode", "--target-size", "9kB", "photo.png", "large.png", "--out-dir", "out")
    assert result.exit_code == 1
    assert os.listdir("out") == ["photo.nic"]
    assert "large.png: the target of 9000 bytes is not reachable for this picture: " in result.stderr


def test_models_of_one_quality_say_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (codec,) = registry._codecs()  # pyright: ignore[reportPrivateUsage]
    monkeypatch.delattr(type(codec), "trials")
    for option in ("--quality", "--target-psnr"):
        result = run("encode", option, "30", "photo.png")
        assert_one_error(result, 2, "photo.png: fake-3c revision 1 has one quality only: leave quality and targets out")
    assert run("encode", "--effort", "9", "--fast-decode", "photo.png").exit_code == 0


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), ("50000", 50_000), ("50kB", 50_000), ("1.5 MB", 1_500_000), (" 7b ", 7), ("0.25kb", 250)],
)
def test_sizes(text: str, size: int) -> None:
    assert byte_count(text) == size


@pytest.mark.parametrize("text", ["", "0", "0.5", "-1", "kB", "1e5", "1 GB", "٣", "1..5", "5 k B"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is not a size"):
        byte_count(text)


def byte_count(text: str) -> int | None:
    command = click.Command("x", params=[click.Option(["--s"])])
    return rate.byte_count(click.Context(command), command.params[0], text)


def test_progress_begins_anew_with_another_number_of_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    console = Console()
    seen: list[tuple[float, float | None]] = []
    with console.progress("encoding", "part") as progress:
        for done, total in ((1, 4), (4, 4), (1, 8), (3, 8)):
            progress(done, total)
            bar = console._bar  # pyright: ignore[reportPrivateUsage]
            assert bar is not None
            seen.append((bar.n, bar.total))
    assert seen == [(1, 4), (4, 4), (1, 8), (3, 8)]


@pytest.fixture
def broken(run: Run, folder: Path) -> Path:
    """A file with three channels and alpha, whose second channel is damaged and whose alpha is cut off."""
    with Image.open("photo.png") as image:
        image.convert("RGBA").save("clear.png")
    assert run("encode", "-q", "--independent-channels", "clear.png", "broken.nic").exit_code == 0
    path = folder / "broken.nic"
    data = bytearray(path.read_bytes())
    sizes = [segment.size for segment in container.read(bytes(data)).segments]
    data[-(sizes[3] + sizes[2] + sizes[1] // 2)] ^= 1
    path.write_bytes(data[:-20])
    return path


def test_a_part_is_decoded_on_request(run: Run, broken: Path) -> None:
    assert_one_error(run("decode", "broken.nic", "part.png"), 1, "broken.nic: segment 1 is damaged")
    result = run("decode", "--allow-partial", "broken.nic", "part.png")
    assert result.exit_code == 0
    assert result.stderr.splitlines()[:-1] == [
        "nicodec: broken.nic: 2 of 4 segments arrived whole",
        "nicodec: broken.nic: segments that are damaged: 1",
        "nicodec: broken.nic: segments that are missing: 3",
        "nicodec: broken.nic: transparency is lost",
    ]
    with Image.open("part.png") as part, Image.open("photo.png") as photo:
        assert part.mode == "RGB"
        pixels, expected = np.asarray(part), np.asarray(photo) // 16 * 16 + 8
    assert np.array_equal(pixels[..., ::2], expected[..., ::2])
    assert np.all(pixels[..., 1] == 8)


def test_records_of_parts_say_what_is_missing(run: Run, broken: Path) -> None:
    record = json.loads(run("decode", "--json", "--allow-partial", "broken.nic", "part.png").stdout)
    assert record["ok"]
    assert record["notes"][0].startswith("2 of 4 segments arrived whole")
    run("encode", "-q", "photo.png", "whole.nic")
    record = json.loads(run("decode", "--json", "--allow-partial", "whole.nic", "whole.png").stdout)
    assert record["notes"] == []


def test_too_little_is_an_error_all_the_same(run: Run, coded: Path) -> None:
    coded.write_bytes(coded.read_bytes()[:-9])
    assert_one_error(run("decode", "--allow-partial", "photo.nic", "x.png"), 1, "photo.nic: a segment is missing")
    coded.write_bytes(coded.read_bytes()[:20])
    assert_one_error(run("decode", "--allow-partial", "photo.nic", "x.png"), 1, "photo.nic: ")
    assert not Path("x.png").exists()
