"""Colour JPEG of half colour resolution in a slim sandwich, for PSNR."""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-rgb",
    architecture=SandwichArchitecture(),
    steps=8000,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=200,
    ema=0.999,
    validate_every=500,
)
