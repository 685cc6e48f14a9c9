"""What a model of the embedded codec says beside its networks, read from its `entropy.npz`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ..bitstream.tree_context import TreeContext
from ..bitstream.typed_arrays import typed
from ..errors import FormatError
from ..models.zoo import Model
from . import entropy_file
from .cells import CellTables
from .level_header import LEVELS

_MOST_HALO = 16


@dataclass(frozen=True, eq=False)
class EmbeddedModel:
    """Everything but the networks.

    Attributes:
        context: entropy model of the codes.
        tables: the cells.
        halo: code positions around one that its pixels depend on.
    """

    context: TreeContext
    tables: CellTables
    halo: int

    def __post_init__(self) -> None:
        """Checks levels and halo.

        Raises:
            FormatError: there are too many levels, or the halo is too wide.
        """
        if self.context.layers > LEVELS or not 0 <= self.halo <= _MOST_HALO:
            raise FormatError("the model's numbers are damaged: reinstall the model")

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of an entropy.npz."""
        return {**self.context.to_arrays(), **self.tables.to_arrays(), "halo": np.array(self.halo, np.uint8)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "EmbeddedModel":
        """Reads the arrays of an entropy.npz.

        Raises:
            FormatError: arrays are missing or contradict each other.
        """
        context = TreeContext.from_arrays(arrays)
        halo = typed(arrays, "halo", np.uint8, 0)
        return cls(context, CellTables.from_arrays(context.trees, arrays), int(halo))


@lru_cache(maxsize=4)
def load(model: Model) -> EmbeddedModel:
    """What a zoo entry says.

    Raises:
        ModelError: the files are missing or damaged.
    """
    return entropy_file.read(model, EmbeddedModel.from_arrays)
