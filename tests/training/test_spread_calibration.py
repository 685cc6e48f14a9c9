"""Spread biases of the integer entropy model: an error that depends on the quality is found and taken back."""

import numpy as np
import pytest

pytestmark = pytest.mark.train
pytest.importorskip("keras")

from nicodec.bitstream.hyper_context import Prior
from nicodec.bitstream.lattice import PHASES
from nicodec.bitstream.linear_forms import (
    ONE,
    SPREAD_FEATURES,
    VALUE_FEATURES,
    WEIGHT_BITS,
    LinearForms,
    earlier_shapes,
)
from nicodec.training import hyper_entropy
from nicodec.training.hyper_entropy import Sample
from nicodec.training.spread_calibration import spread_shifts

NODES = 17
CHANNELS = 6
BOUNDS = (0, 2, CHANNELS)
ERROR = 6


def forms_without_context() -> LinearForms:
    """The prior as it is."""
    values, activities = (
        tuple(np.zeros(shape) for shape in earlier_shapes(np.array(BOUNDS), kinds)) for kinds in (1, 2)
    )
    own_value, own_spread = (np.zeros((PHASES, n, CHANNELS)) for n in (VALUE_FEATURES, SPREAD_FEATURES))
    for weights in (own_value, own_spread):
        weights[:, 0] = 1 << WEIGHT_BITS
    return LinearForms(values, activities, own_value, own_spread)


def test_a_wrong_bias_is_taken_back_where_it_is() -> None:
    rng = np.random.default_rng(0)

    def sample(error: int) -> Sample:
        spread = rng.uniform(-1.5, 3.0, (CHANNELS, 16, 16))
        exact = rng.logistic(0.0, np.logaddexp(0.0, spread)).astype(np.float32)
        features = np.concatenate([np.zeros(spread.shape), np.rint(ONE * spread) + error]).astype(np.int32)
        prior = Prior.of_planes(features, np.zeros(2 * CHANNELS, np.int32))
        return Sample(exact, np.rint(exact).astype(np.int32), prior)

    model = hyper_entropy.fit([sample(0) for _ in range(60)], BOUNDS, forms_without_context())
    nodes = [node for node in range(NODES) for _ in range(4)]
    shifts = spread_shifts(model, [sample(ERROR if node < 8 else 0) for node in nodes], nodes, NODES)
    assert shifts.shape == (NODES, CHANNELS)
    assert np.abs(shifts[:5] + ERROR).max() <= 2
    assert np.abs(shifts[11:]).max() <= 2
