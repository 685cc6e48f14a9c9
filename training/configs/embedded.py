"""The embedded codec: sixteen levels of decisions about the coefficients of a KLT, and a learnt synthesis."""

from ...models.embedded import EmbeddedArchitecture
from ..config import EmbeddedConfig

CONFIG = EmbeddedConfig(
    model="embedded",
    architecture=EmbeddedArchitecture(coefficients=160),
    first_price=700.0,
    last_price=1.0,
    steps=6500,
    batch=8,
    crop=192,
    learning_rate=1e-3,
    warmup=200,
    ema=0.998,
    clip=5.0,
    validate_every=500,
)
