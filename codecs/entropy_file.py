"""Reads `entropy.npz`, the integer tables of a model."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..errors import ModelError
from ..models.zoo import Model
from .archives import DAMAGED

Tables = TypeVar("Tables")


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
    except DAMAGED as error:
        raise ModelError(f"{path} is damaged ({' '.join(str(error).split())}); reinstall the model") from error
