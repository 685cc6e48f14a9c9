"""One scale over several models: it climbs, and a search on it analyses few of them."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nicodec.bitstream.container import Container
from nicodec.codecs.ladder import LadderTrials, Rung, locate
from nicodec.codecs.rate_control import search
from nicodec.codecs.target import Target
from nicodec.models.zoo import Model

from .rate_scales import BLANK, Synthetic, exponential, smooth


def model_named(name: str) -> Model:
    return Model(id=name, codec=9, number=1, hash=name.encode().ljust(8), revision=1, folder=Path(), card={})


RUNGS = (Rung(model_named("a")), Rung(model_named("b"), 50), Rung(model_named("c"), 50))
STARTS = st.lists(st.floats(0, 90), min_size=1, max_size=5)


@given(STARTS, st.floats(0, 100), st.floats(0, 100))
def test_the_ladder_climbs(starts: list[float], one: float, other: float) -> None:
    rungs = [Rung(RUNGS[0].model, start) for start in starts]
    lower, higher = sorted((one, other))
    assert locate(rungs, lower) <= locate(rungs, higher)
    for quality in (one, other):
        index, own = locate(rungs, quality)
        assert rungs[index].lowest <= own <= 100
    assert locate(rungs, 0) == (0, starts[0])
    index, own = locate(rungs, 100)
    assert index == len(rungs) - 1
    assert own == pytest.approx(100)


def test_rungs_end_where_the_scale_breaks() -> None:
    trials = LadderTrials(RUNGS, lambda _: Synthetic(smooth(100, 200), smooth(25, 40)))
    assert trials.breaks == (50.0, 75.0)
    assert [locate(RUNGS, quality) for quality in (50, 50.1, 75, 75.1)] == [
        (0, 100),
        (1, pytest.approx(50.2)),
        (1, 100),
        (2, pytest.approx(50.2)),
    ]
    assert LadderTrials(RUNGS[:1], lambda _: Synthetic(smooth(1, 2), smooth(1, 2))).breaks == ()


class Jumping:
    """A ladder whose larger models begin worse than the smaller ones end.

    Attributes:
        analysed: the models that were needed.
    """

    def __init__(self) -> None:
        self.analysed: list[str] = []

    def prepare(self, model: Model) -> Synthetic:
        self.analysed.append(model.id)
        level = "abc".index(model.id)
        synthetic = Synthetic(exponential(smooth(5 + level, 7 + level)), smooth(24.5 + 3 * level, 33 + 3 * level))
        encode = synthetic.encode
        synthetic.encode = lambda quality: with_hash(encode(quality), model)  # type: ignore[method-assign]
        return synthetic


def with_hash(container: Container, model: Model) -> Container:
    return replace(container, header=replace(container.header, model_hash=model.hash))


@pytest.mark.parametrize(("least", "model"), [(26, "a"), (32.9, "a"), (33.1, "b"), (35.9, "b"), (36.1, "c")])
def test_a_metric_is_reached_by_the_smallest_model_that_can(least: float, model: str) -> None:
    ladder = Jumping()
    trials = LadderTrials(RUNGS, ladder.prepare)
    found = search(trials, Target("psnr", least), BLANK)
    assert found.container.header.model_hash == model_named(model).hash
    assert least <= found.reached < least + 0.15
    assert len(ladder.analysed) <= 2
    assert len(set(ladder.analysed)) == len(ladder.analysed)


@pytest.mark.parametrize("most", [300, 1000, 3000, 8000])
def test_rates_are_met_on_a_ladder(most: int) -> None:
    ladder = Jumping()
    found = search(LadderTrials(RUNGS, ladder.prepare), Target("size", most), BLANK)
    assert 0.98 * most < found.reached <= most
    assert len(ladder.analysed) <= 2
