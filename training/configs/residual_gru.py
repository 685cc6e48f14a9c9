"""The progressive codec: a residual GRU of a quarter of the published width, sixteen levels."""

from ...models.residual_gru import GruArchitecture
from ..config import ProgressiveConfig

CONFIG = ProgressiveConfig(
    model="residual-gru",
    architecture=GruArchitecture(width=0.25),
    steps=30000,
    unrolled=((0, 4), (3500, 8), (4500, 16)),
    batch=16,
    crop=32,
    learning_rate=2e-3,
    warmup=200,
    ema=0.999,
    validate_every=1000,
)
