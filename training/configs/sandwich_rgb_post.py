"""Colour JPEG of half colour resolution and a post-processor alone, for PSNR: where sandwich_rgb starts (`--start`)."""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-rgb-post",
    architecture=SandwichArchitecture(pre=None),
    steps=5000,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
