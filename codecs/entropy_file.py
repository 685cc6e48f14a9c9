"""Reads `entropy.npz`, the integer tables of a model."""

import zlib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..models.zoo import Model

Tables = TypeVar("Tables")

# What the standard library and NumPy raise for archives and arrays that are none.
_DAMAGED = (
    *(OSError, EOFError, TypeError, ValueError, BadZipFile, zlib.error),
    *(MemoryError, NotImplementedError, RuntimeError, OverflowError),
)


def read(model: Model, parse: Callable[[Mapping[str, npt.NDArray[Any]]], Tables]) -> Tables:
    """Makes of the file what a codec does with its arrays; checks it first, for a wrong table decodes to a wrong picture.

    Args:
        model: of which the files are read.
        parse: may raise `FormatError`.

    Raises:
        ModelError: the files are missing or damaged.
    """
    model.verify()
    path = model.path("entropy.npz")
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return parse(arrays)
    except _DAMAGED as error:
        raise ModelError(f"{path} is damaged ({' '.join(str(error).split())}); reinstall the model") from error
