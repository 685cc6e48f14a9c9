"""Statistics of the latents of a shallow-decoder file, by the groups of channels that its entropy model has."""

import numpy as np
import numpy.typing as npt

from ..bitstream.container import Container
from ..bitstream.tables import TableSet
from ..bitstream.walk import Chosen
from ..models.zoo import Model
from . import shallow_model
from .shallow_choice import bits_of
from .shallow_decoder import visit_steps
from .statistics import GroupStatistics

_SHARES = (0.1, 0.5, 0.9)


def statistics(container: Container, model: Model) -> tuple[GroupStatistics, ...]:
    """See `WithStatistics.statistics`."""
    header = container.header
    context = shallow_model.load(model).of_profile(header.profile)
    positions = header.latent_height * header.latent_width
    groups = [_Group(span, context.tables) for span in context.groups()]
    visit_steps(container, model, lambda group, chosen: groups[group].add(chosen))
    return tuple(group.result(positions) for group in groups)


class _Group:
    """Sums over the latents of one group of channels; those that are not coded are zero.

    Args:
        span: first and last-plus-one channel.
        tables: of the entropy model.
    """

    def __init__(self, span: tuple[int, int], tables: TableSet) -> None:
        self._span, self._tables = span, tables
        self._bits = self._squares = self._residual_squares = 0.0
        self._others = 0
        self._used = np.zeros(len(tables), np.int64)

    def add(self, chosen: Chosen) -> None:
        """Adds the latents of a step."""
        distances = chosen.values - chosen.bases
        self._bits += float(bits_of(self._tables, distances, chosen.indexes).sum(dtype=np.float64))
        self._squares += float(np.square(chosen.values, dtype=np.float64).sum())
        self._residual_squares += float(np.square(distances, dtype=np.float64).sum())
        self._others += int(np.count_nonzero(chosen.values))
        self._used += np.bincount(chosen.indexes.ravel(), minlength=len(self._used))

    def result(self, positions: int) -> GroupStatistics:
        """The statistics of all that was added, of so many positions."""
        first, stop = self._span
        count, coded = positions * (stop - first), int(self._used.sum())
        return GroupStatistics(
            first=first,
            last=stop - 1,
            bits=self._bits,
            zeros=1.0 - self._others / count,
            size=float(np.sqrt(self._squares / count)),
            residual=float(np.sqrt(self._residual_squares / coded)) if coded else None,
            expected=self._expected() if coded else None,
        )

    def _expected(self) -> tuple[float, float, float]:
        """Percentiles over latents of the deviation of the table that each was coded with."""
        deviations = _deviations(self._tables)
        order = np.argsort(deviations)
        shares = np.cumsum(self._used[order]) / self._used.sum()
        low, middle, high = deviations[order][np.searchsorted(shares, _SHARES)].tolist()
        return low, middle, high


def _deviations(tables: TableSet) -> npt.NDArray[np.float64]:
    """Standard deviation of every table, (tables,), escapes left out."""
    shares = tables.frequencies.astype(np.float64)
    shares[np.arange(len(tables)), tables.maxima - tables.minimum] = 0.0
    shares /= shares.sum(axis=1, keepdims=True)
    values = tables.minimum + np.arange(shares.shape[1])
    return np.asarray(np.sqrt(shares @ np.square(values) - np.square(shares @ values)))
