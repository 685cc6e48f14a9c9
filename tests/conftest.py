"""Shared fixtures; makes a bare checkout importable as `nicodec` through a link."""

import os
import sys
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

if find_spec("nicodec") is None:
    _link = Path(__file__).parents[1] / ".link"
    _link.mkdir(exist_ok=True)
    if not (_link / "nicodec").exists():
        (_link / "nicodec").symlink_to("..")
    sys.path.insert(0, str(_link))
    os.environ["PYTHONPATH"] = str(_link)


@pytest.fixture(scope="session")
def samples() -> "Samples":
    """Pictures for tests. By its path, because the tests are no package that `samples.py` could be imported from."""
    spec = spec_from_file_location("nicodec_test_samples", Path(__file__).with_name("samples.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    made: Samples = module.Samples()
    return made
