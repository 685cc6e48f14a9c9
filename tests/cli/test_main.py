"""The command as a whole: help, versions, errors of every kind, and what a process imports."""

import ast
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from nicodec import __version__, image_formats, inspection
from nicodec.api import DEFAULT_MODEL
from nicodec.cli import decode, encode, info, options
from nicodec.cli.main import COMMANDS, FILES, main
from nicodec.models import runtime

Run = Callable[..., Result]
Start = Callable[..., "subprocess.CompletedProcess[bytes]"]

HEAVY = {"numpy", "scipy", "PIL", "onnxruntime", "tensorflow", "keras", "constriction", "tqdm"}
IMPORTS = """
import runpy, sys
sys.argv = ["nicodec", *sys.argv[1:]]
try:
    runpy.run_module("nicodec", run_name="__main__")
finally:
    print("\\n" + repr(sorted(name for name in sys.modules if "." not in name)))
"""


def every_command() -> dict[str, click.Command]:
    context = click.Context(main, info_name="nicodec")
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    assert all(found.values())
    commands = {name: command for name, command in found.items() if command is not None}
    groups = [(name, command) for name, command in commands.items() if isinstance(command, click.Group)]
    return commands | {f"{name} {sub}": inner for name, group in groups for sub, inner in group.commands.items()}


def examples() -> list[str]:
    epilogs = [command.epilog or "" for command in (main, *every_command().values())]
    lines = [line.strip() for text in epilogs for line in text.splitlines() if line.startswith("  nicodec ")]
    return [re.split(r"\s{2,}|(?<=\S) from | [<>] ", line)[0] for line in lines]


def test_commands_are_all_there() -> None:
    folder = Path(encode.__file__).parent
    helpers = {
        "__init__",
        "main",
        "options",
        "paths",
        "streams",
        "background",
        "inner_files",
        "pictures",
        "batch",
        "console",
        "failures",
        "tables",
        "rate",
        "levels",
        "code_files",
    }
    named = {FILES.get(command, command) for command in COMMANDS}
    assert named == {file.stem for file in folder.glob("*.py")} - helpers - {"extras"}


@pytest.mark.parametrize("name", ["", *every_command()])
@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_every_command_explains_itself(name: str, flag: str) -> None:
    result = CliRunner().invoke(main, [*name.split(), flag])
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Usage: nicodec {name}".rstrip())
    assert re.search(r"Examples?:\n +nicodec ", result.stdout)
    command = every_command()[name] if name else main
    undocumented = [p.name for p in command.params if isinstance(p, click.Option) and not p.help]
    assert undocumented == []


@pytest.mark.parametrize("example", examples())
def test_examples_parse(example: str, folder: Path) -> None:
    for name in ("runs/32", "runs/64", "photos/train", "photos/valid", "photos/kodak"):
        Path(name).mkdir(parents=True)
    name, *arguments = shlex.split(example)[1:]
    command = every_command()[name]
    context = command.make_context(name, arguments)
    assert context.params or isinstance(command, click.Group)


def test_no_arguments_show_the_help_as_an_error() -> None:
    result = CliRunner().invoke(main, [])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("Usage: nicodec ")


def test_version_names_format_and_models(run: Run, model: Any) -> None:
    assert run("--version").stdout == f"nicodec {__version__} (format 1.0; models fake-3c r1 {model.hash.hex()[:8]})\n"


@pytest.mark.parametrize("arguments", [["explode"], ["encode", "--nonsense", "x"], ["models", "show"]])
def test_usage_errors_are_one_line(run: Run, arguments: list[str]) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.fullmatch(r"nicodec: error: .* Try 'nicodec.* --help'\.\n", result.stderr)


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (OSError(28, "No space left on device", "somewhere"), 1, "somewhere: No space left on device"),
        (MemoryError(), 1, "out of memory"),
        (ZeroDivisionError("two\nlines"), 1, "internal error (ZeroDivisionError: two lines)"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_any_error_is_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, words: str
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(inspection, "info", fail)
    result = run("info", "photo.png")
    assert (result.exit_code, result.stdout) == (code, "")
    assert len(result.stderr.strip().splitlines()) == 1
    assert words in result.stderr


def test_debug_variable_shows_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_DEBUG", "1")
    result = CliRunner().invoke(main, ["info", "missing.nic"])
    assert type(result.exception).__name__ == "PictureError"


def test_closed_pipe_is_quiet(start: Start, coded: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = start("info", *["photo.nic"] * 50, stdout=writer)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["info", "photo.nic"], ["decode", "photo.nic", "-"], ["--version"]])
def test_full_stdout_is_one_line(start: Start, coded: Path, arguments: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        result = start(*arguments, stdout=full)
    assert result.returncode == 1
    (line,) = result.stderr.decode().splitlines()
    assert line.startswith("nicodec: error: ")
    assert "No space left" in line


@pytest.mark.skipif(os.name != "posix", reason="needs a POSIX shell")
@pytest.mark.parametrize(
    ("arguments", "closed", "code", "words"),
    [
        ("info -", "<&-", 2, "stdin is closed"),
        ("decode -", "<&-", 2, "stdin is closed"),
        ("decode photo.nic -", ">&-", 2, "stdout is closed"),
        ("info photo.nic", ">&-", 0, ""),
        ("info photo.nic", "2>&-", 0, ""),
    ],
)
def test_closed_streams(start: Start, coded: Path, arguments: str, closed: str, code: int, words: str) -> None:
    script = f"import os, sys; os.execv('/bin/sh', ['sh', '-c', sys.executable + ' -m nicodec {arguments} {closed}'])"
    result = start(code=script)
    assert result.returncode == code
    assert result.stderr.decode().startswith(f"nicodec: error: {words}" if words else "")
    assert len(result.stderr.splitlines()) == bool(words)


def test_names_that_the_encoding_of_stdout_lacks(start: Start, coded: Path) -> None:
    coded.rename("\u00fc.nic")
    result = start("verify", "\u00fc.nic", env={"PYTHONIOENCODING": "ascii"})
    assert (result.returncode, result.stdout, result.stderr) == (0, b"\\xfc.nic: OK\n", b"")


def test_a_process_does_the_whole_round(start: Start, folder: Path) -> None:
    for arguments in (
        ["encode", "-m", "fake-3c", "photo.png", "out.nic"],
        ["decode", "out.nic", "restored.png"],
        ["verify", "out.nic"],
    ):
        result = start(*arguments)
        assert (result.returncode, result.stderr.count(b"error")) == (0, 0)
    assert float(start("msssim", "photo.png", "restored.png").stdout) > 0.9


def test_interrupted_process_leaves_nothing(folder: Path, start: Start) -> None:
    code = (
        "import os, sys, nicodec.outputs as o\n"
        "from nicodec.cli.main import main\n"
        "def stop(*a, **k):\n"
        "    os.kill(os.getpid(), 2)\n"
        "    import time; time.sleep(30)\n"
        "o._publish = stop\n"
        "main(sys.argv[1:])\n"
    )
    before = time.monotonic()
    result = start("encode", "-m", "fake-3c", "photo.png", code=code)
    assert result.returncode == 128 + signal.SIGINT
    assert time.monotonic() - before < 25
    assert result.stderr.decode().split() == ["nicodec:", "error:", "interrupted"]
    assert sorted(os.listdir(folder)) == ["photo.png", "text.png"]


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["--version"], ["encode", "--help"], ["train", "--help"], ["info", "photo.nic"], ["models"]],
)
def test_light_commands_import_nothing_heavy(start: Start, coded: Path, arguments: list[str]) -> None:
    result = start(*arguments, code=IMPORTS)
    assert (result.returncode, result.stderr) == (0, b"")
    loaded = ast.literal_eval(result.stdout.decode().splitlines()[-1])
    assert not HEAVY & set(loaded)


def test_decoding_imports_no_training_packages(start: Start, coded: Path) -> None:
    result = start("decode", "photo.nic", "out.png", code=IMPORTS)
    assert result.returncode == 0
    loaded = ast.literal_eval(result.stdout.decode().splitlines()[-1])
    assert not {"tensorflow", "keras", "scipy", "tqdm"} & set(loaded)


def test_repeated_names_are_those_of_the_library() -> None:
    assert options.BACKENDS == runtime.BACKENDS
    assert set(options.METADATA) == set(image_formats.METADATA)
    defaults = {p.name: p.default for p in encode.command.params}
    assert defaults["model"] == DEFAULT_MODEL


def test_shared_options_read_alike_everywhere() -> None:
    shared = [{o for p in c.command.params for o in p.opts} for c in (encode, decode, info)]
    assert {"--json", "-v", "-q"} <= shared[0] & shared[1] & shared[2]
    assert {"--force", "--out-dir", "--threads", "--backend", "--max-pixels"} <= shared[0] & shared[1]


def test_shell_completion_answers(start: Start) -> None:
    env = {"_NICODEC_COMPLETE": "bash_complete", "COMP_WORDS": "nicodec enc", "COMP_CWORD": "1"}
    assert start(env=env).stdout == b"plain,encode\n"


@pytest.mark.parametrize(("before", "after"), [(None, "4"), ("20", "20")])
def test_idle_blas_threads_sleep_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    name = "OPENBLAS_THREAD_TIMEOUT"
    monkeypatch.setenv(name, before or "")
    if before is None:
        monkeypatch.delenv(name)
    assert main(["--version"], standalone_mode=False) == 0
    assert os.environ[name] == after
