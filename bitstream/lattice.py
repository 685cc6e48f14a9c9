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

import numpy as np
import numpy.typing as npt

CELL = 4
"""Rows and columns after which the lattice repeats itself."""

PHASE_OF = ((0, 4, 2, 4), (4, 3, 4, 3), (2, 4, 1, 4), (4, 3, 4, 3))
"""The phase of each row and column of a cell."""

PHASES = 5

REACHES = ((2, True), (2, False), (1, True), (1, False))
"""For every phase but the first: how far its four neighbours are, and whether along the diagonals or the axes."""


@dataclass(frozen=True, eq=False)
class Phase:
    """Where the positions of a phase are in a plane of h x w, flattened.

    Attributes:
        positions: (n,) in raster order.
        neighbours: (4, n) the decoded neighbours of each, h * w for those outside; None in the first phase.
    """

    positions: npt.NDArray[np.intp]
    neighbours: npt.NDArray[np.intp] | None


@lru_cache(maxsize=8)
def lattice(height: int, width: int) -> tuple[Phase, ...]:
    """The phases of a plane, the first one first.

    >>> [phase.positions.tolist() for phase in lattice(2, 3)]
    [[0], [], [2], [4], [1, 3, 5]]
    """
    places = np.array(PHASE_OF)[np.arange(height)[:, None] % CELL, np.arange(width) % CELL].ravel()
    phases = [Phase(np.flatnonzero(places == 0), None)]
    for phase, (distance, diagonal) in enumerate(REACHES, 1):
        positions = np.flatnonzero(places == phase)
        phases.append(Phase(positions, _around(positions, height, width, distance, diagonal)))
    return tuple(phases)


def _around(
    positions: npt.NDArray[np.intp], height: int, width: int, distance: int, diagonal: bool
) -> npt.NDArray[np.intp]:
    rows, columns = np.divmod(positions, width)
    steps = ((-1, -1), (-1, 1), (1, -1), (1, 1)) if diagonal else ((-1, 0), (0, -1), (0, 1), (1, 0))
    found = np.empty((len(steps), len(positions)), np.intp)
    for k, (down, right) in enumerate(steps):
        y, x = rows + distance * down, columns + distance * right
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        found[k] = np.where(inside, y * width + x, height * width)
    return found
