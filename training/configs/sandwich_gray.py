"""Colour through a gray JPEG in a slim sandwich, for PSNR."""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-gray",
    architecture=SandwichArchitecture(bottleneck=1),
    subsampled=False,
    steps=8000,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=200,
    ema=0.999,
    validate_every=500,
    stages=(0.02, 0.05),
)
