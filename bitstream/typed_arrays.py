"""Arrays of an entropy.npz, of exactly the kind that FORMAT.md names: a number of another kind would be rounded or wrap."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import FormatError


def typed(arrays: Mapping[str, npt.NDArray[Any]], name: str, kind: npt.DTypeLike, dimensions: int) -> npt.NDArray[Any]:
    """One of some arrays.

    Args:
        arrays: by name.
        name: of the array.
        kind: its dtype.
        dimensions: how many it has.

    Raises:
        FormatError: it is missing, or is none of that kind.
    """
    if name not in arrays:
        raise FormatError(f"the model has no {name}: reinstall the model")
    array = arrays[name]
    if array.dtype != np.dtype(kind) or array.ndim != dimensions:
        raise FormatError(f"the model's {name} are damaged (numbers of the wrong kind or shape): reinstall the model")
    return array
