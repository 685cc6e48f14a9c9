"""The default codec: two-layer synthesis, all qualities in one model."""

from ...models.shallow import Architecture
from ..config import HyperpriorConfig

CONFIG = HyperpriorConfig(
    model="shallow-two-layer",
    architecture=Architecture(latents=320, hyper_latents=64, analysis="patch", synthesis="two_layer", hidden=12),
    lambdas=(0.00075, 0.0015, 0.003, 0.006, 0.012, 0.024, 0.048, 0.096),
    steps=40000,
    batch=4,
    crop=192,
    learning_rate=4e-4,
    warmup=300,
    ema=0.9997,
    validate_every=1000,
)
