"""Finds the quality that meets a target: a file size, a rate, or a distortion.

A search codes the picture at a few qualities, which are multiples of 0.1. It first tries the breaks of the scale, then
follows the secant of log size or of the metric, and halves the interval where that is too slow. It ends when a trial
meets the target within `SIZE_TOLERANCE` or `METRIC_TOLERANCE`, when no quality is left between one that is too low and one
that is too high, or after `MOST_TRIALS` trials. What it returns always meets the target, however uneven the scale is.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from ..bitstream import container as nic
from ..bitstream.container import Container
from ..errors import RequestError
from ..images import Picture
from .base import Progress, no_progress
from .target import Target, decibel
from .trials import Trials

SIZE_TOLERANCE = 0.005
"""How much smaller than the target a file may be, as a share of it, for the search to end."""

METRIC_TOLERANCE = 0.03
"""How much better than the target a picture may be for the search to end: decibel, of MS-SSIM as -10 log10(1 - MS-SSIM)."""

MOST_TRIALS = 8
"""Trials after which the best one counts. If none of them meets the target, the ends of the scale are tried too, 2 at most."""

_NOTCHES = 10  # for each unit of quality
_ROUNDING = 1e-6
# Where nothing is known yet: the whole scale usually spans a factor of 20 in size, and 12 dB.
_USUAL_SIZE_SLOPE = 0.003
_USUAL_METRIC_SLOPE = 0.012


@dataclass(frozen=True)
class Found:
    """How a search ended.

    Attributes:
        container: the file.
        quality: at which it is coded; coding at this quality gives the same file.
        trials_used: how many encodes the search took.
        reached: what the file has or reaches of what the target asks for, in the same unit.
    """

    container: Container
    quality: float
    trials_used: int
    reached: float


def search(
    trials: Trials,
    target: Target,
    picture: Picture,
    progress: Progress = no_progress,
    write: Callable[[Container], bytes] = nic.write,
) -> Found:
    """Looks for the best quality whose file is not over a target of rate, or the smallest file that reaches a metric.

    Args:
        trials: the picture at any quality.
        target: what to meet. A rate that even the highest quality does not need is met by the highest quality, a metric
            that even the lowest quality exceeds by the lowest.
        picture: what was coded.
        progress: told after every trial, with `MOST_TRIALS` as the number of all.
        write: makes a whole file of a container; its size is what counts.

    Raises:
        RequestError: the target cannot be reached; the message names what can.
    """
    return _Search(trials, target, picture, progress, write).run()


@dataclass(frozen=True)
class _Trial:
    """One encode.

    Attributes:
        notch: quality in tenths.
        size: bytes of the whole file.
        value: what it has or reaches of what the target asks for.
        fits: whether it meets the target.
        excess: how far it is over the target: logarithm of sizes, or decibel.
    """

    notch: int
    size: int
    value: float
    fits: bool
    excess: float


class _Search:
    """The state of one search."""

    def __init__(
        self,
        trials: Trials,
        target: Target,
        picture: Picture,
        progress: Progress,
        write: Callable[[Container], bytes],
    ) -> None:
        self._trials = trials
        self._target = target
        self._picture = picture
        self._progress = progress
        self._write = write
        self._lowest, self._highest = (round(_NOTCHES * end) for end in (trials.lowest, trials.highest))
        # Rounded down, to qualities that still come before the break.
        self._breaks = [math.floor(_NOTCHES * quality + _ROUNDING) for quality in trials.breaks]
        self._done: list[_Trial] = []
        self._best: tuple[_Trial, Container] | None = None
        # Every quality that is worth trying lies between these two, of which one is too low and the other too high.
        self._below, self._above = self._lowest - 1, self._highest + 1
        self._widths: list[int] = []

    def run(self) -> Found:
        """Tries until the search ends; see `search`."""
        while len(self._done) < MOST_TRIALS and not self._is_met() and self._above - self._below > 1:
            self._try(self._next())
        # The end where a trial fits if any does; then the other one, to name it or in case the scale runs backwards.
        for end in (self._lowest, self._highest) if self._target.is_rate else (self._highest, self._lowest):
            if self._best is None and all(trial.notch != end for trial in self._done):
                self._try(end)
        if self._best is None:
            raise self._unreachable()
        self._progress(MOST_TRIALS, MOST_TRIALS)
        best, coded = self._best
        return Found(coded, best.notch / _NOTCHES, len(self._done), best.value)

    def _is_met(self) -> bool:
        """Whether the best trial is as close to the target as need be."""
        return self._best is not None and abs(self._best[0].excess) <= self._tolerance

    @property
    def _tolerance(self) -> float:
        return SIZE_TOLERANCE if self._target.is_rate else METRIC_TOLERANCE

    def _try(self, notch: int) -> None:
        coded = self._trials.encode(notch / _NOTCHES)
        trial = self._judged(notch, coded)
        self._done.append(trial)
        self._progress(min(len(self._done), MOST_TRIALS), MOST_TRIALS)
        if trial.fits and (self._best is None or self._is_better(trial, self._best[0])):
            self._best = trial, coded
        if trial.fits == self._target.is_rate:
            self._below = max(self._below, notch)
        else:
            self._above = min(self._above, notch)

    def _is_better(self, trial: _Trial, other: _Trial) -> bool:
        if self._target.is_rate:
            return trial.notch > other.notch
        return (trial.size, trial.notch) < (other.size, other.notch)

    def _judged(self, notch: int, coded: Container) -> _Trial:
        size, wanted = len(self._write(coded)), self._target.value
        if self._target.is_rate:
            value = 8 * size / self._pixels if self._target.kind == "bpp" else float(size)
            return _Trial(notch, size, value, value <= wanted, math.log(value / wanted))
        value = self._target.measured(self._picture, self._trials.decode(coded))
        excess = decibel(self._target.kind, value) - decibel(self._target.kind, wanted)
        return _Trial(notch, size, value, value >= wanted, excess)

    @property
    def _pixels(self) -> int:
        return self._picture.width * self._picture.height

    def _next(self) -> int:
        """The quality to try, in tenths, strictly between those that are too low and too high."""
        breaks = [at for at in self._breaks if self._below < at < self._above]
        if breaks:
            return breaks[len(breaks) // 2]
        self._widths.append(self._above - self._below)
        return min(max(round(self._guess()), self._below + 1), self._above - 1)

    def _guess(self) -> float:
        bracketed = self._below >= self._lowest and self._above <= self._highest
        middle = (max(self._below, self._lowest) + min(self._above, self._highest)) / 2
        known = self._nearest()
        is_slow = bracketed and len(self._widths) > 2 and 2 * self._widths[-1] > self._widths[-3]
        if not known or is_slow:
            return middle
        slope = self._slope(known)
        if slope > 0:
            guess = known[0].notch + (self._aim - known[0].excess) / slope
            guess = min(max(guess, self._lowest), self._highest)
            return guess if self._below < guess < self._above else middle
        if bracketed:
            return middle
        return self._highest if self._above > self._highest else self._lowest

    @property
    def _aim(self) -> float:
        """The excess to aim at: just on the side of the target where trials fit."""
        return -self._tolerance / 2 if self._target.is_rate else self._tolerance / 2

    def _nearest(self) -> list[_Trial]:
        """The one or two trials nearest to the target that lie between the same breaks as the next one."""
        section = self._section(self._below + 1)
        known = [trial for trial in self._done if self._section(trial.notch) == section]
        return sorted(known, key=lambda trial: abs(trial.excess - self._aim))[:2]

    def _section(self, notch: int) -> int:
        return sum(at < notch for at in self._breaks)

    def _slope(self, known: list[_Trial]) -> float:
        """Excess for each tenth of quality."""
        if len(known) == 1:
            return _USUAL_SIZE_SLOPE if self._target.is_rate else _USUAL_METRIC_SLOPE
        first, second = known
        return (first.excess - second.excess) / (first.notch - second.notch)

    def _unreachable(self) -> RequestError:
        values = [trial.value for trial in self._done]
        reachable = self._target.range_text(min(values), max(values))
        return RequestError(
            f"the target of {self._target} is not reachable for this picture: {reachable}; choose one within"
        )
