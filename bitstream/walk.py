"""Coding latents under a hyperprior, step by step.

Latents are coded in steps: groups of channels, and within a group the phases of a lattice. All latents of a step are
independent of each other given what is decoded, so that a step is a few array operations. The fast profile has no
context: there a step is a whole group.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .ans import AnsDecoder, AnsEncoder
from .context import adjacent_sum, diagonal_sum
from .escape import decode_with_escapes, encode_with_escapes
from .hyper_context import HyperContext, Planes, Prior, check_range
from .lattice import Phase, lattice
from .linear_forms import ONE, WEIGHT_BITS, Exact
from .tables import TableSet

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Step:
    """Latents that are coded together.

    Attributes:
        model: the entropy model.
        channels: the group's channels.
        positions: flat positions (n,), or all of them.
        mean: (group channels, n) predicted values, integers in 1/16.
        spread: (group channels, n) predicted spreads, integers in 1/16.
    """

    model: HyperContext
    channels: slice
    positions: npt.NDArray[np.intp] | slice
    mean: npt.NDArray[Any]
    spread: npt.NDArray[Any]

    def contexts(self) -> tuple[Planes, Integers]:
        """Predicted integer and table index of each latent of the step, both (group channels, n)."""
        return self.model.contexts(self.mean, self.spread)


def prior_steps(model: HyperContext, prior: Prior) -> list[Step]:
    """The steps of the profile without context, one for each group."""
    mean, spread = (p.reshape(len(p), -1).astype(np.int64) for p in (prior.mean, prior.spread))
    spans = [slice(start, stop) for start, stop in model.groups()]
    return [Step(model, span, slice(None), mean[span], spread[span]) for span in spans]


class Walk:
    """Goes through the steps of one stripe with context and keeps what later steps need.

    The loop is: take a step, code its latents, `learn` their values, take the next.

    Args:
        model: the entropy model.
        prior: of the whole stripe.
    """

    def __init__(self, model: HyperContext, prior: Prior) -> None:
        self._model = model
        channels, *self._shape = prior.mean.shape
        self._prior = [p.reshape(channels, -1) for p in (prior.mean, prior.spread)]
        self._area = self._prior[0].shape[1]
        # One more column for what lies outside the plane; it stays zero.
        self._values = np.zeros((channels, self._area + 1))
        self._activities = np.zeros((channels, self._area + 1))
        self._around = np.zeros((channels, self._area))

    @property
    def latents(self) -> Planes:
        """What has been learnt, int32 (channels, h, w); zero elsewhere."""
        return self._values[:, :-1].astype(np.int32).reshape(-1, *self._shape)

    def steps(self, groups: range) -> Iterator[Step]:
        """The steps of some groups in coding order; each needs the values of those before it (`learn`)."""
        bounds = self._model.groups()
        for group in groups:
            channels = slice(*bounds[group])
            mean, spread = self._from_earlier(group, channels.start)
            for number, phase in enumerate(lattice(self._shape[0], self._shape[1])):
                yield self._step(number, phase, channels, mean[:, phase.positions], spread[:, phase.positions])
            self._finish(channels)

    def learn(self, step: Step, values: Planes) -> None:
        """Records the values (group channels, n) of a step."""
        self._values[step.channels, step.positions] = values
        self._activities[step.channels, step.positions] = self._model.activities(values)

    def _from_earlier(self, group: int, start: int) -> tuple[Exact, Exact]:
        """What earlier channels add to the forms of a group, both (group channels, area)."""
        forms = self._model.forms
        activities = forms.activities[group]
        mean = forms.values[group].T @ self._values[:start, :-1]
        spread = activities[:start].T @ self._activities[:start, :-1] + activities[start:].T @ self._around[:start]
        return mean, spread

    def _step(self, number: int, phase: Phase, channels: slice, mean: Exact, spread: Exact) -> Step:
        forms, positions = self._model.forms, phase.positions
        of_value, of_spread = forms.own_value[number][:, channels, None], forms.own_spread[number][:, channels, None]
        mean = mean + of_value[0] * self._prior[0][channels, positions] + ONE * of_value[-1]
        spread = spread + of_spread[0] * self._prior[1][channels, positions] + ONE * of_spread[-1]
        if phase.neighbours is not None:
            beside = self._activities[channels][:, phase.neighbours].sum(axis=1)
            mean += of_value[1] * self._values[channels][:, phase.neighbours].sum(axis=1)
            spread += of_spread[1] * beside + of_spread[2] * beside.sum(axis=0)
        return Step(
            self._model, channels, positions, *(form.astype(np.int64) >> WEIGHT_BITS for form in (mean, spread))
        )

    def _finish(self, channels: slice) -> None:
        activities = self._activities[channels, :-1].astype(np.int32).reshape(-1, *self._shape)
        self._around[channels] = (2 * adjacent_sum(activities) + diagonal_sum(activities)).reshape(len(activities), -1)


@dataclass(frozen=True)
class Chosen:
    """The values of one step as they are to be coded.

    Attributes:
        values: int32 (group channels, n).
        bases: int32 (group channels, n) predicted integers.
        indexes: (group channels, n) tables.
    """

    values: Planes
    bases: Planes
    indexes: Integers


Chooser = Callable[[Step, Planes, Integers], Planes]
"""Picks the values (group channels, n) of a step, given its predicted integers and its table indexes."""


def choose(step: Step, chooser: Chooser) -> Chosen:
    """Lets a chooser decide the values of one step."""
    bases, indexes = step.contexts()
    return Chosen(chooser(step, bases, indexes), bases, indexes)


def choose_all(walk: Walk, groups: range, chooser: Chooser) -> list[list[Chosen]]:
    """Lets a chooser decide every value in coding order.

    Returns:
        For each group the steps to hand to `encode`.
    """
    decided: list[list[Chosen]] = []
    for group in groups:
        decided.append([])
        for step in walk.steps(range(group, group + 1)):
            chosen = choose(step, chooser)
            decided[-1].append(chosen)
            walk.learn(step, chosen.values)
    return decided


def encode(steps: Iterable[Chosen], tables: TableSet, encoder: AnsEncoder) -> None:
    """Queues decided values in coding order."""
    for chosen in steps:
        encode_with_escapes(encoder, (chosen.values - chosen.bases).ravel(), chosen.indexes.ravel(), tables)


def decode_step(step: Step, decoder: AnsDecoder) -> Chosen:
    """Decodes the values of one step.

    Raises:
        FormatError: the data gives values that no encoder writes.
    """
    bases, indexes = step.contexts()
    values = decode_with_escapes(decoder, indexes.ravel(), step.model.tables).reshape(bases.shape) + bases
    check_range(values)
    return Chosen(values, bases, indexes)
