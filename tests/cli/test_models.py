"""`nicodec models`: the table, one model, and zoos in disorder."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from nicodec.models.zoo import Model

Run = Callable[..., Result]


def test_table_shows_the_point_on_kodak_cost_and_size(run: Run) -> None:
    result = run("models")
    head, row = result.stdout.splitlines()
    assert head.split()[:5] == ["model", "rev", "bpp", "PSNR", "MS-SSIM"]
    assert row.split()[:7] == ["fake-3c", "1", "0.812", "31.41", "0.9765", "12.5", "7.2"]
    assert row.endswith("Kodak")


def test_json_holds_everything_measured(run: Run, model: Model) -> None:
    record = json.loads(run("models", "--json").stdout)
    assert set(record) == {
        *("schema", "command", "model", "revision", "hash", "codec", "number", "folder"),
        *("bytes", "parameters", "kmac_per_pixel", "measured"),
    }
    assert record["bytes"] == sum(file.stat().st_size for file in model.folder.iterdir())
    assert [point["dataset"] for point in record["measured"]] == ["other", "Kodak"]


def test_old_revisions_are_in_json_only(run: Run, model: Model) -> None:
    shutil.copytree(model.folder, model.folder.with_name("2"))
    assert [line.split()[:2] for line in run("models").stdout.splitlines()[1:]] == [["fake-3c", "2"]]
    records = [json.loads(line) for line in run("models", "--json").stdout.splitlines()]
    assert [record["revision"] for record in records] == [2, 1]


def test_card_without_measurements(run: Run, model: Model) -> None:
    card = json.loads((model.folder / "card.json").read_text())
    del card["kmac_per_pixel"]
    (model.folder / "card.json").write_text(json.dumps({**card, "measured": "not yet"}))
    row = run("models").stdout.splitlines()[1].split()
    assert row[2:7] == ["-"] * 5


def test_a_model_of_variable_rate_shows_its_range(run: Run, model: Model) -> None:
    card = json.loads((model.folder / "card.json").read_text())
    points = [
        {"quality": 0, "bpp": 0.125, "psnr": 24.567, "ssim": 0.61, "msssim": 0.85},
        {"quality": 62.5, "bpp": 1, "psnr": 35.1, "ssim": 0.9, "msssim": 0.97},
        {"quality": 100, "bpp": 2.5, "psnr": 41.25, "ssim": 0.97, "msssim": 0.99501},
    ]
    curve = {"dataset": "kodak", "pictures": 24, "effort": 1, "points": points, "context_saving": 0.1}
    (model.folder / "card.json").write_text(json.dumps({**card, "measured": [{"dataset": "other", "bpp": 9}, curve]}))
    row = run("models").stdout.splitlines()[1]
    assert row.split()[2:5] == ["0.125-2.500", "24.57-41.25", "0.8500-0.9950"]
    assert row.endswith("kodak")
    assert json.loads(run("models", "--json").stdout)["measured"][1] == curve
    shown = run("models", "show", "fake-3c").stdout.splitlines()
    assert shown[-6:] == [
        "  measured        dataset other, bpp 9",
        "  measured        dataset kodak, pictures 24, effort 1, context_saving 0.1",
        "                  quality     bpp   psnr    ssim  msssim",
        "                      0.0  0.1250  24.57  0.6100  0.8500",
        "                     62.5  1.0000  35.10  0.9000  0.9700",
        "                    100.0  2.5000  41.25  0.9700  0.9950",
    ]


@pytest.mark.parametrize("points", [[], "many", [{"quality": "low", "bpp": None}]])
def test_a_curve_that_cannot_be_read_is_unknown(run: Run, model: Model, points: object) -> None:
    card = json.loads((model.folder / "card.json").read_text())
    (model.folder / "card.json").write_text(json.dumps({**card, "measured": [{"dataset": "kodak", "points": points}]}))
    assert run("models").stdout.splitlines()[1].split()[2:5] == ["-"] * 3
    assert run("models", "show", "fake-3c").exit_code == 0


def test_no_models_at_all(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MODELS", "absent")
    assert run("models").stdout == "no models are installed\n"
    assert run("models", "--json").stdout == ""


def test_show_tells_all_of_the_card(run: Run, model: Model) -> None:
    text = run("models", "show", "fake-3c").stdout
    for words in (
        "fake-3c revision 1",
        model.hash.hex(),
        str(model.folder),
        "encode 12.5, decode 7.25",
        "dataset Kodak",
    ):
        assert words in text
    record = json.loads(run("models", "show", "--json", "fake-3c").stdout)
    assert record["card"]["licence"] == "Apache-2.0"


def test_show_of_an_unknown_model(run: Run) -> None:
    result = run("models", "show", "fake-4c")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean fake-3c?" in result.stderr


def test_a_damaged_card_is_a_note_and_hides_no_other_model(run: Run, model: Model) -> None:
    damaged = shutil.copytree(model.folder, model.folder.parents[1] / "fake-5c" / "2")
    Path(damaged, "card.json").write_text("{")
    result = run("models")
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["model", "fake-3c"]
    (line,) = result.stderr.splitlines()
    assert line.startswith("nicodec: fake-5c revision 2 is left out: ")
    assert str(damaged / "card.json") in line
    as_json = run("models", "--json")
    assert json.loads(as_json.stdout)["model"] == "fake-3c"
    assert as_json.stderr == result.stderr
    assert run("models", "-qq").stderr == ""
    assert run("encode", "photo.png").exit_code == 0
    version = run("--version")
    assert version.exit_code == 0
    assert "fake-3c r1" in version.stdout


def test_a_damaged_card_that_is_asked_for_is_an_error(run: Run, coded: Path, model: Model) -> None:
    Path(model.folder, "card.json").write_text("{")
    for arguments in (("models", "show", "fake-3c"), ("encode", "-f", "photo.png"), ("verify", "photo.nic")):
        result = run(*arguments)
        assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
        assert str(model.folder / "card.json") in result.stderr
