"""The progressive codec: a residual GRU of a quarter of the published width, sixteen levels."""

from ...models.residual_gru import GruArchitecture
from ..config import ProgressiveConfig

CONFIG = ProgressiveConfig(
    model="residual-gru",
    architecture=GruArchitecture(width=0.25, growth=1.15),
    steps=12000,
    unrolled=((0, 4), (3500, 8), (6000, 10), (8500, 16)),
    batch=16,
    crop=32,
    learning_rate=2e-3,
    warmup=200,
    ema=0.999,
    validate_every=500,
)
