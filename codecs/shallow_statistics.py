"""Statistics of the latents of a shallow-decoder file, by the groups of channels that its entropy model has."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ..bitstream.container import Container
from ..bitstream.escape import code_lengths
from ..bitstream.hyper_context import Sites
from ..bitstream.tables import FREQUENCY_TOTAL, TableSet
from ..bitstream.walk import Chosen
from ..models.zoo import Model
from . import shallow_model
from .shallow_choice import as_given, decide, used_groups
from .shallow_decoder import decode_stripes
from .statistics import GroupStatistics

_REACH = 128
_PERCENTILES = (10, 50, 90)


def statistics(container: Container, model: Model) -> tuple[GroupStatistics, ...]:
    """See `WithStatistics.statistics`."""
    profile = container.header.profile
    context = shallow_model.load(model).of_profile(profile)
    groups = [_Group(span, context.tables) for span in context.groups()]
    for prior, latents in decode_stripes(container, model):
        steps, _ = decide(context, prior, profile, as_given(latents))
        used = used_groups(steps)
        for number, (group, chosen) in enumerate(zip(groups, steps, strict=True)):
            group.add(chosen, number < used)
    return tuple(group.result() for group in groups)


class _Group:
    """Collects the latents of one group of channels.

    Args:
        span: first and last-plus-one channel.
        tables: of the entropy model.
    """

    def __init__(self, span: tuple[int, int], tables: TableSet) -> None:
        self._span, self._tables = span, tables
        self._values: list[Sites] = []
        self._indexes: list[Sites] = []
        self._bits = 0.0

    def add(self, chosen: list[Chosen], coded: bool) -> None:
        """Adds the steps of a stripe, which cost nothing if the file leaves them out."""
        values, bases, indexes = (
            np.concatenate([getattr(step, name).ravel() for step in chosen]) for name in ("values", "bases", "indexes")
        )
        self._values.append(values)
        self._indexes.append(indexes)
        if coded:
            self._bits += float(_prices(self._tables)[indexes, np.clip(values - bases, -_REACH, _REACH) + _REACH].sum())

    def result(self) -> GroupStatistics:
        """The statistics of all that was added."""
        values = np.concatenate(self._values)
        expected = _deviations(self._tables)[np.concatenate(self._indexes)]
        low, middle, high = np.percentile(expected, _PERCENTILES).tolist()
        return GroupStatistics(
            first=self._span[0],
            last=self._span[1] - 1,
            bits=self._bits,
            zeros=float(np.mean(values == 0)),
            deviation=float(np.sqrt(np.mean(np.square(values, dtype=np.float64)))),
            predicted=(low, middle, high),
        )


@lru_cache(maxsize=1)
def _prices(tables: TableSet) -> npt.NDArray[np.float64]:
    """Bits of every distance from the predicted integer under every table."""
    return code_lengths(tables, _REACH).astype(np.float64)


@lru_cache(maxsize=1)
def _deviations(tables: TableSet) -> npt.NDArray[np.float64]:
    """Standard deviation of every table, (tables,); what escapes counts as the first value that does."""
    shares = tables.frequencies / FREQUENCY_TOTAL
    values = tables.minimum + np.arange(shares.shape[1])
    means = shares @ values
    return np.asarray(np.sqrt(shares @ np.square(values) - np.square(means)))
