"""One quality scale over several models of a family, each a rung of the ladder.

The scale runs through the models one after the other, through each from the quality where it becomes the better choice
up to 100. A model analyses the picture when the first trial gets to its rung.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, runtime_checkable

from ..bitstream.container import Container
from ..images import Picture
from ..models.zoo import Model
from .trials import Trials


@dataclass(frozen=True)
class Rung:
    """One model's part of the scale.

    Attributes:
        model: the model.
        lowest: the quality on the model's own scale at which its part begins, 0 to under 100; it ends at 100.
    """

    model: Model
    lowest: float = 0.0

    @property
    def length(self) -> float:
        """How much of the model's own scale is used."""
        return 100.0 - self.lowest


@runtime_checkable
class Laddered(Protocol):
    """A codec of variable rate whose models together make one scale."""

    def ladder(self, models: Sequence[Model]) -> tuple[Rung, ...]:
        """The rungs that some of the codec's models make, the lowest quality first; models that do not fit are left out."""
        ...


def locate(rungs: Sequence[Rung], quality: float) -> tuple[int, float]:
    """The rung that a quality of the whole scale belongs to, and the quality on the scale of the rung's model.

    Args:
        rungs: one or more.
        quality: 0 to 100.
    """
    position = quality / 100 * sum(rung.length for rung in rungs)
    index = 0
    while index < len(rungs) - 1 and position > rungs[index].length:
        position -= rungs[index].length
        index += 1
    return index, min(100.0, rungs[index].lowest + position)


class LadderTrials:
    """Trials over all rungs; see `trials.Trials`.

    Args:
        rungs: one or more.
        prepare: makes the trials of one model.
    """

    lowest = 0.0
    highest = 100.0

    def __init__(self, rungs: Sequence[Rung], prepare: Callable[[Model], Trials]) -> None:
        self._rungs = rungs
        self._prepare = prepare
        self._prepared: dict[int, Trials] = {}

    @property
    def breaks(self) -> tuple[float, ...]:
        """Where one rung ends and the next one begins."""
        ends = list(accumulate(rung.length for rung in self._rungs))
        return tuple(100 * end / ends[-1] for end in ends[:-1])

    def encode(self, quality: float) -> Container:
        """See `Trials.encode`."""
        index, own_quality = locate(self._rungs, quality)
        return self._trials(index).encode(own_quality)

    def decode(self, container: Container) -> Picture:
        """See `Trials.decode`."""
        hashes = [rung.model.hash for rung in self._rungs]
        return self._trials(hashes.index(container.header.model_hash)).decode(container)

    def _trials(self, index: int) -> Trials:
        if index not in self._prepared:
            self._prepared[index] = self._prepare(self._rungs[index].model)
        return self._prepared[index]
