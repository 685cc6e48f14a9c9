"""Commands that need an optional part of nicodec say which one."""

import os
from collections.abc import Generator
from contextlib import contextmanager

from ..errors import BackendError

_OWN = __name__.partition(".")[0]


@contextmanager
def training_packages() -> Generator[None]:
    """Names the `train` extra if an import in the block fails for want of a package, and keeps TensorFlow quiet.

    Raises:
        BackendError: a package that does not belong to nicodec is missing.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        if missing.partition(".")[0] == _OWN:
            raise
        raise BackendError(f"{missing} is not installed, this command needs it: pip install nicodec[train]") from error
