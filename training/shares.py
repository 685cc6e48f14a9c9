"""The shared tables of binary codes: shares of ones, evenly spaced where the code length is as sensitive everywhere."""

import numpy as np
import numpy.typing as npt

from ..bitstream.tables import FREQUENCY_TOTAL

TABLES = 96


def frequencies() -> npt.NDArray[np.int32]:
    """Frequency of 1 in each table, (TABLES,)."""
    return np.clip(np.rint(_grid() * FREQUENCY_TOTAL), 1, FREQUENCY_TOTAL - 1).astype(np.int32)


def nearest(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """The table that suits each of some shares of ones (n,) best."""
    angles = _angle(_grid())
    found: npt.NDArray[np.uint8] = np.searchsorted((angles[:-1] + angles[1:]) / 2, _angle(shares)).astype(np.uint8)
    return found


def _grid() -> npt.NDArray[np.float64]:
    edge = np.pi / (4 * TABLES)
    shares: npt.NDArray[np.float64] = np.square(np.sin(np.linspace(edge, np.pi / 2 - edge, TABLES)))
    return shares


def _angle(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The scale on which the tables are even."""
    return np.arcsin(np.sqrt(shares))
