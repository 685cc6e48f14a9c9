"""The shallow architectures have the published cost, and ours the cost that was promised."""

from typing import Any

import pytest

pytestmark = pytest.mark.train

pytest.importorskip("keras")

from nicodec.models import shallow
from nicodec.models.complexity import macs_per_pixel
from nicodec.models.shallow import Architecture


def cost(model: Any, stride: int) -> float:
    return macs_per_pixel(model, stride) / 1000


@pytest.mark.parametrize(
    ("architecture", "published"),
    [
        (Architecture(analysis="mbt", analysis_width=192, linear=False), 93.8),
        (Architecture(analysis="elic", analysis_width=192, linear=False), 255.4),
    ],
    ids=["mbt2018", "elic"],
)
def test_the_analysis_costs_what_was_published(architecture: Architecture, published: float) -> None:
    """Yang and Mandt 2023, table of FLOPs, two FLOPs for a multiply-accumulate."""
    assert cost(shallow.analysis(architecture), 1) == pytest.approx(published, rel=0.005)


@pytest.mark.parametrize(
    ("architecture", "published"),
    [
        (Architecture(synthesis="mbt", hidden=192), 93.8),
        (Architecture(synthesis="one_layer"), 1.2165),
        (Architecture(synthesis="two_layer", hidden=12), 5.34),
        (Architecture(synthesis="two_layer", hidden=24, residual=False), 5.6745),
    ],
    ids=["mbt2018", "jpegl", "two-layer", "two-layer-24"],
)
def test_the_synthesis_costs_what_was_published(architecture: Architecture, published: float) -> None:
    assert cost(shallow.synthesis(architecture), shallow.STRIDE) == pytest.approx(published, rel=0.03)


def test_the_full_hyper_synthesis_costs_what_was_published() -> None:
    architecture = Architecture(hyper="full", hyper_latents=320)
    assert cost(shallow.hyper_synthesis(architecture), shallow.HYPER_STRIDE) == pytest.approx(15.18, rel=0.005)


def test_the_cheap_hyper_synthesis_is_cheap() -> None:
    assert cost(shallow.hyper_synthesis(Architecture()), shallow.HYPER_STRIDE) < 3.0
