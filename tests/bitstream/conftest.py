"""Entropy models to test with: valid, and otherwise as odd as the format allows."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from nicodec.bitstream.context import MEAN_STEPS, PHASES, ContextModel, feature_count
from nicodec.bitstream.tables import TableSet

ModelMaker = Callable[..., ContextModel]


def _context_model(
    seed: int = 0, channels: int = 3, codebook: tuple[int, int] = (-15, 16), classes: int = 5
) -> ContextModel:
    rng = np.random.default_rng(seed)
    minimum, maximum = codebook
    largest, span = max(-minimum, maximum), maximum - minimum
    inner = rng.permutation(np.arange(1, channels))[: rng.integers(channels)]
    bounds = np.concatenate([[0], np.sort(inner), [channels]])
    shapes = [(feature_count(a, b, phase), b - a) for a, b in pairwise(bounds.tolist()) for phase in range(PHASES)]
    return ContextModel(
        minimum=minimum,
        maximum=maximum,
        order=rng.permutation(channels),
        bounds=bounds,
        activity=rng.integers(-99, 100, largest + 1),
        mean_weights=tuple(rng.integers(-3000, 3000, shape).astype(np.float64) for shape in shapes),
        spread_weights=tuple(rng.integers(-3000, 3000, shape).astype(np.float64) for shape in shapes),
        thresholds=np.sort(rng.integers(-200, 200, classes - 1)),
        tables=TableSet.from_counts(rng.integers(0, 50, (classes * MEAN_STEPS, 2 * span + 1)), -span),
    )


@pytest.fixture(scope="session")
def context_model() -> ModelMaker:
    """Makes a context model of random weights, order, groups, thresholds and tables."""
    return _context_model
