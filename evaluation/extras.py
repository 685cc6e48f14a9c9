"""What needs the `evaluation` extra says so."""

from collections.abc import Generator
from contextlib import contextmanager

from ..errors import BackendError


@contextmanager
def evaluation_packages() -> Generator[None]:
    """Names the `evaluation` extra if an import in the block fails for want of a package.

    Raises:
        BackendError: a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = error.name or str(error)
        raise BackendError(f"{missing} is not installed, this needs it: pip install nicodec[evaluation]") from error
