"""What needs an optional part of nicodec says which one."""

import os
from collections.abc import Generator
from contextlib import contextmanager

from .errors import BackendError

_OWN = __name__.partition(".")[0]


@contextmanager
def evaluation_packages() -> Generator[None]:
    """Names the `evaluation` extra if an import in the block fails for want of a package.

    Raises:
        BackendError: a package that does not belong to nicodec is missing.
    """
    with _packages_of("evaluation"):
        yield


@contextmanager
def training_packages() -> Generator[None]:
    """Names the `train` extra if an import in the block fails for want of a package, and keeps TensorFlow quiet.

    Raises:
        BackendError: a package that does not belong to nicodec is missing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _packages_of("train"):
        yield


@contextmanager
def _packages_of(extra: str) -> Generator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if missing.partition(".")[0] == _OWN:
            raise
        raise BackendError(f"{missing} is not installed, this needs it: pip install nicodec[{extra}]") from error
