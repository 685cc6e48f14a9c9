"""Coding latents under a hyperprior, step by step.

Latents are coded in steps: groups of channels, and within a group the phases of a lattice. All latents of a step are
independent of each other given what is decoded, so that a step is a few array operations. The fast profile has no
context: there a step is a whole group.

Arrays are (sites, channels): the positions of a stripe in the order of its lattice (`Lattice.sites`), so that a phase is
a slice, and a neighbour a row.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from .ans import AnsDecoder, AnsEncoder
from .escape import decode_with_escapes, encode_with_escapes
from .hyper_context import HyperContext, Prior, Sites, check_range
from .lattice import Lattice, Phase
from .linear_forms import ONE, WEIGHT_BITS, Exact
from .tables import TableSet

# Predictions beyond are as good as at the limit: they choose no other base and no other table.
_PREDICTION_LIMIT = 1 << 20


@dataclass(frozen=True, eq=False)
class Step:
    """Latents that are coded together.

    Attributes:
        model: the entropy model.
        sites: their sites.
        channels: the group's channels.
        mean: int32 (n, group channels) predicted values in 1/16.
        spread: int32 (n, group channels) predicted spreads in 1/16.
    """

    model: HyperContext
    sites: slice
    channels: slice
    mean: Sites
    spread: Sites

    @property
    def place(self) -> tuple[slice, slice]:
        """Where the latents of the step are in an array of all."""
        return self.sites, self.channels

    def contexts(self) -> tuple[Sites, Sites]:
        """Predicted integer and table index of each latent of the step, both int32 (n, group channels)."""
        return self.model.contexts(self.mean, self.spread)


def prior_steps(model: HyperContext, prior: Prior) -> list[Step]:
    """The steps of the profile without context, one for each group."""
    spans = [slice(start, stop) for start, stop in model.groups()]
    whole = slice(0, len(prior.mean))
    return [Step(model, whole, span, prior.mean[:, span], prior.spread[:, span]) for span in spans]


class Walk:
    """Goes through the steps of one stripe with context and keeps what later steps need.

    The loop is: take a step, code its latents, `learn` their values, take the next.

    Args:
        model: the entropy model.
        prior: of the whole stripe.
    """

    def __init__(self, model: HyperContext, prior: Prior) -> None:
        self._model, self._prior, self._lattice = model, prior, prior.lattice
        self._values, self._activities, self._around = (np.zeros(prior.mean.shape) for _ in range(3))
        self._group = _Group(0, 0)

    @property
    def latents(self) -> Sites:
        """What has been learnt, int32 (sites, channels); zero elsewhere."""
        return self._values.astype(np.int32)

    def steps(self, groups: range) -> Iterator[Step]:
        """The steps of some groups in coding order; each needs the values of those before it (`learn`)."""
        bounds = self._model.groups()
        for group in groups:
            channels = slice(*bounds[group])
            self._group = _Group(len(self._values), channels.stop - channels.start)
            mean, spread = self._from_earlier(group, channels.start)
            for number, phase in enumerate(self._lattice.phases):
                yield self._step(number, phase, channels, mean[phase.places], spread[phase.places])
            self._finish(channels)

    def learn(self, step: Step, values: Sites) -> None:
        """Records the values (n, group channels) of a step."""
        self._group.values[step.sites] = values
        self._group.activities[step.sites] = self._model.activities(values)

    def _from_earlier(self, group: int, start: int) -> tuple[Exact, Exact]:
        """What earlier channels add to the forms of a group, both (sites, group channels)."""
        forms = self._model.forms
        activities = forms.activities[group]
        mean = self._values[:, :start] @ forms.values[group]
        spread = self._activities[:, :start] @ activities[:start]
        spread += self._around[:, :start] @ activities[start:]
        return mean, spread

    def _step(self, number: int, phase: Phase, channels: slice, mean: Exact, spread: Exact) -> Step:
        """Completes, in place, the forms of a phase by its own features."""
        forms, place = self._model.forms, (phase.places, channels)
        of_value, of_spread = forms.own_value[number][:, channels], forms.own_spread[number][:, channels]
        mean += of_value[0] * self._prior.mean[place] + ONE * of_value[-1]
        spread += of_spread[0] * self._prior.spread[place] + ONE * of_spread[-1]
        if phase.neighbours is not None:
            beside = self._group.activities.take(phase.neighbours, axis=0).sum(axis=0)
            mean += of_value[1] * self._group.values.take(phase.neighbours, axis=0).sum(axis=0)
            spread += of_spread[1] * beside + of_spread[2] * beside.sum(axis=1, keepdims=True)
        return Step(self._model, phase.places, channels, _prediction(mean), _prediction(spread))

    def _finish(self, channels: slice) -> None:
        """Hands a decoded group to those that follow."""
        activities = self._group.activities[:-1]
        self._values[:, channels] = self._group.values[:-1]
        self._activities[:, channels] = activities
        self._around[:, channels] = _around(activities, self._lattice)


class _Group:
    """What is known of the group that is being coded; one more site, which stays zero, is all that lies outside.

    Args:
        sites: number of sites.
        channels: of the group.
    """

    def __init__(self, sites: int, channels: int) -> None:
        self.values, self.activities = (np.zeros((sites + 1, channels)) for _ in range(2))


def _prediction(form: Exact) -> Sites:
    """The integer part of a form; scaling by a power of two is exact."""
    floor = np.floor(form * 2.0**-WEIGHT_BITS)
    return np.clip(floor, -_PREDICTION_LIMIT, _PREDICTION_LIMIT).astype(np.int32)


def _around(activities: Exact, lattice: Lattice) -> Exact:
    """Twice the four nearest neighbours and once those along the diagonals, (sites, channels)."""
    inner = lattice.raster(activities)
    padded = np.pad(inner, ((1, 1), (1, 1), (0, 0)))
    down = padded[:-2] + 2.0 * padded[1:-1] + padded[2:]
    both = down[:, :-2] + 2.0 * down[:, 1:-1] + down[:, 2:]
    both -= 4.0 * inner
    return both.reshape(activities.shape).take(lattice.order, axis=0)


@dataclass(frozen=True)
class Chosen:
    """The values of one step as they are to be coded.

    Attributes:
        values: int32 (n, group channels).
        bases: int32 (n, group channels) predicted integers.
        indexes: int32 (n, group channels) tables.
    """

    values: Sites
    bases: Sites
    indexes: Sites


Chooser = Callable[[Step, Sites, Sites], Sites]
"""Picks the values (n, group channels) of a step, given its predicted integers and its table indexes."""


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
