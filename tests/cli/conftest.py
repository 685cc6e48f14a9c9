"""A command line with one small codec, and files to give it."""

import os
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from nicodec.cli.main import main

if TYPE_CHECKING:
    from nicodec.models.zoo import Model
    from nicodec.tests.samples import Samples

PLUGIN = Path(__file__).parents[1] / "plugin"

Run = Callable[..., Result]
Start = Callable[..., "subprocess.CompletedProcess[bytes]"]


def assert_one_error(result: Result, code: int, *words: str) -> None:
    """A command ended with that code, said one line on stderr with those words in it, and printed nothing."""
    assert result.exit_code == code
    assert result.stdout == ""
    (line,) = result.stderr.splitlines()
    assert line.startswith("nicodec: error: ")
    for word in words:
        assert word in line


@pytest.fixture
def model(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> "Model":
    """The only model: `fake-3c`."""
    install = runpy.run_path(str(PLUGIN / "nicodec_fake_codec.py"))["install"]
    made: Model = install(monkeypatch, tmp_path_factory.mktemp("zoo"))
    return made


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, samples: "Samples") -> Path:
    """The working directory of the test, with photo.png (96x64) and text.png, which is no image."""
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.fromarray(samples.photo()).save("photo.png")
    Path("text.png").write_text("no image")
    return tmp_path


@pytest.fixture
def run(model: "Model", folder: Path) -> Run:
    """Runs a command in this process; `encode` uses the fake model. Fails on tracebacks."""

    def invoke(*args: str, data: bytes | None = None) -> Result:
        chosen = ("--model", model.id) if args[0] == "encode" and "--model" not in args else ()
        result = CliRunner().invoke(main, [args[0], *chosen, *args[1:]], input=data)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        assert "Traceback" not in result.stderr
        return result

    return invoke


@pytest.fixture
def coded(run: Run, folder: Path) -> Path:
    """photo.nic, made of photo.png."""
    assert run("encode", "-q", "photo.png").exit_code == 0
    return folder / "photo.nic"


@pytest.fixture
def start(model: "Model", folder: Path) -> Start:
    """Runs a command in a process of its own, where the fake codec is an installed plugin."""

    def run_process(*args: str, code: str = "", **options: Any) -> "subprocess.CompletedProcess[bytes]":
        paths = [str(PLUGIN), *(path for path in sys.path if path)]
        command = [sys.executable, "-c", code] if code else [sys.executable, "-m", "nicodec"]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), **options.pop("env", {})}
        settings: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 60, **options}
        return subprocess.run([*command, *args], env=environment, check=False, **settings)

    return run_process
