"""The order in which the positions of a plane are coded: a lattice that gets denser from phase to phase.

The first phase takes one position in each cell of 4x4. Every later one lies in the middle between positions that are
decoded, four of which surround each of its own:

    0 4 2 4
    4 3 4 3
    2 4 1 4
    4 3 4 3

Most positions are thus predicted from all sides, and a plane takes five steps, however large it is.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt

CELL = 4
"""Rows and columns after which the lattice repeats itself."""

PHASE_OF = ((0, 4, 2, 4), (4, 3, 4, 3), (2, 4, 1, 4), (4, 3, 4, 3))
"""The phase of each row and column of a cell."""

PHASES = 5

REACHES = ((2, True), (2, False), (1, True), (1, False))
"""For every phase but the first: how far its four neighbours are, and whether along the diagonals or the axes."""

_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True, eq=False)
class Phase:
    """One phase of a plane whose positions stand in the order of the lattice.

    Attributes:
        places: where its positions stand.
        neighbours: (4, n) where the decoded neighbours of each stand, h * w for those outside; None in the first phase.
    """

    places: slice
    neighbours: npt.NDArray[np.intp] | None


@dataclass(frozen=True, eq=False)
class Lattice:
    """The positions of planes of h x w in the order of the lattice: phase by phase, within a phase in raster order.

    Attributes:
        shape: h and w.
        order: (h * w,) the positions, counted in raster order.
        places: (h * w,) where the positions stand, in raster order.
        phases: the first one first.
    """

    shape: tuple[int, int]
    order: npt.NDArray[np.intp]
    places: npt.NDArray[np.intp]
    phases: tuple[Phase, ...]

    def sites(self, planes: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
        """Planes (channels, h, w) as (h * w, channels) in the order of the lattice."""
        raster = np.ascontiguousarray(planes.transpose(1, 2, 0)).reshape(len(self.order), -1)
        return raster.take(self.order, axis=0)

    def planes(self, sites: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
        """The reverse of `sites`."""
        return np.ascontiguousarray(self.raster(sites).transpose(2, 0, 1))

    def raster(self, sites: npt.NDArray[_Scalar]) -> npt.NDArray[_Scalar]:
        """As `planes`, with the channels last."""
        return sites.take(self.places, axis=0).reshape(*self.shape, -1)


@lru_cache(maxsize=8)
def lattice(height: int, width: int) -> Lattice:
    """The lattice of planes of a height and a width.

    >>> lattice(2, 3).order.tolist()
    [0, 2, 4, 1, 3, 5]
    >>> [(phase.places.start, phase.places.stop) for phase in lattice(2, 3).phases]
    [(0, 1), (1, 1), (1, 2), (2, 3), (3, 6)]
    """
    phase_of = np.array(PHASE_OF)[np.arange(height)[:, None] % CELL, np.arange(width) % CELL].ravel()
    order = np.argsort(phase_of, kind="stable")
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    ends = np.cumsum(np.bincount(phase_of, minlength=PHASES)).tolist()
    spans = [slice(start, stop) for start, stop in pairwise([0, *ends])]
    around = [_around(order[s], places, (height, width), *r) for s, r in zip(spans[1:], REACHES, strict=True)]
    phases = tuple(Phase(span, found) for span, found in zip(spans, [None, *around], strict=True))
    return Lattice((height, width), order, places, phases)


def _around(
    positions: npt.NDArray[np.intp], places: npt.NDArray[np.intp], shape: tuple[int, int], distance: int, diagonal: bool
) -> npt.NDArray[np.intp]:
    height, width = shape
    rows, columns = np.divmod(positions, width)
    steps = ((-1, -1), (-1, 1), (1, -1), (1, 1)) if diagonal else ((-1, 0), (0, -1), (0, 1), (1, 0))
    found = np.full((len(steps), len(positions)), height * width)
    for k, (down, right) in enumerate(steps):
        y, x = rows + distance * down, columns + distance * right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        found[k, inside] = places[y[inside] * width + x[inside]]
    return found
