"""The helpers of the command line on their own."""

import doctest
import io
import sys
from pathlib import Path
from types import ModuleType

import click
import pytest

from nicodec.bitstream.limits import DEFAULT_LIMITS
from nicodec.cli import console, encode, paths, tables
from nicodec.cli.console import Console
from nicodec.cli.options import channel_list, limits
from nicodec.cli.paths import Job, plan
from nicodec.errors import RequestError


def channels(text: str) -> frozenset[int] | None:
    command = click.Command("x", params=[click.Option(["--c"])])
    return channel_list(click.Context(command), command.params[0], text)


def planned(arguments: list[str], out_dir: str | None = None) -> list[tuple[str, str]]:
    jobs = plan(arguments, out_dir, suffix=".nic", is_output=lambda path: path.endswith(".nic"), as_json=False)
    return [(job.source, job.target) for job in jobs]


@pytest.mark.parametrize("module", [console, tables, encode, paths])
def test_docstring_examples(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize(
    ("text", "expected"), [("0", {0}), ("0,3-7", {0, 3, 4, 5, 6, 7}), (" 2 , 2-2", {2}), ("99999", {99999})]
)
def test_channel_lists(text: str, expected: set[int]) -> None:
    assert set(channels(text) or ()) == expected


@pytest.mark.parametrize("text", ["", ",", "a", "-1", "1-", "3-2", "1--2", "1.5", "٣", "0-999999", "1-2-3"])
def test_no_channel_lists(text: str) -> None:
    with pytest.raises(click.BadParameter, match="channel"):
        channels(text)


def test_max_pixels_raises_what_depends_on_it() -> None:
    assert (limits(None), limits(100).pixels) == (DEFAULT_LIMITS, 100)
    assert limits(100).latents == DEFAULT_LIMITS.latents
    assert limits(1 << 32).latents == 1 << 33


def test_arguments_become_jobs(tmp_path: Path) -> None:
    out = str(tmp_path / "deep" / "out")
    assert planned(["a.b.jpg"]) == [("a.b.jpg", "a.b.nic")]
    assert planned(["dir.d/a"]) == [("dir.d/a", "dir.d/a.nic")]
    assert planned(["a.png", "b.nic"]) == [("a.png", "b.nic")]
    assert planned(["-"]) == [("-", "-")]
    assert planned(["x/a.png", "y/b"], out) == [("x/a.png", f"{out}/a.nic"), ("y/b", f"{out}/b.nic")]
    assert planned(["a.png", "b.nic"], out)[1] == ("b.nic", f"{out}/b.nic")
    assert Path(out).is_dir()


def test_output_folder_may_be_that_of_the_inputs(tmp_path: Path) -> None:
    assert planned([f"{tmp_path}/a.png"], str(tmp_path)) == [(f"{tmp_path}/a.png", f"{tmp_path}/a.nic")]
    with pytest.raises(RequestError, match="same file"):
        planned([f"{tmp_path}/a.nic"], str(tmp_path))


def test_jobs_are_values() -> None:
    assert Job("a", "b") == Job("a", "b")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def progress_on(stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, verbosity: int = 0) -> str:
    monkeypatch.setattr(sys, "stderr", stream)
    voice = Console(verbosity)
    with voice.progress("encode", "file") as outer:
        outer(0, 2)
        with voice.progress("encoding", "tile") as inner:
            inner(1, 3)
        voice.summary("one done")
        outer(1, 2)
    return stream.getvalue()


def test_progress_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = progress_on(Terminal(), monkeypatch)
    assert "encode:" in shown
    assert "encoding" not in shown
    assert "one done\n" in shown
    assert progress_on(io.StringIO(), monkeypatch) == "one done\n"
    assert progress_on(Terminal(), monkeypatch, verbosity=-1) == ""


def test_one_part_needs_no_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    with Console().progress("decoding", "tile") as advance:
        advance(1, 1)
    assert stream.getvalue() == ""


def test_json_never_holds_infinity(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        Console(as_json=True).record({"psnr": float("inf")})
    Console(as_json=True).record({"psnr": None})
    assert capsys.readouterr().out == '{"schema": 1, "psnr": null}\n'


def test_binary_output_does_not_go_to_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    from nicodec.cli import streams

    monkeypatch.setattr(sys, "stdout", Terminal())
    with pytest.raises(RequestError, match="terminal"):
        streams.check_stdout()
