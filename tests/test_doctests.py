"""The examples in docstrings are true."""

import doctest
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

EXTRAS = {"keras", "tensorflow", "onnx", "h5py", "openvino", "tensorboard"}


def module_names() -> list[str]:
    """Every module but those that run when imported. By package, as a folder without __init__.py is not walked into."""
    parser = ConfigParser()
    parser.read(Path(__file__).parents[1] / "setup.cfg")
    names = parser.get("options", "packages").split()
    found = [f"{name}.{module.name}" for name in names for module in iter_modules(import_module(name).__path__)]
    return sorted({*names, *(name for name in found if not name.endswith((".__main__", ".setup")))})


@pytest.mark.parametrize("name", module_names())
def test_examples(name: str) -> None:
    try:
        module = import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in EXTRAS:
            raise
        pytest.skip(f"needs {error.name}")
    assert doctest.testmod(module).failed == 0


def test_examples_are_found() -> None:
    finder = doctest.DocTestFinder()
    examples = [test for name in ("nicodec", "nicodec.codecs.base") for test in finder.find(import_module(name))]
    assert sum(len(test.examples) for test in examples) >= 2
