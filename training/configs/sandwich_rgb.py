"""Colour JPEG of half colour resolution in a slim sandwich, for PSNR; starts from a run of sandwich_rgb_post."""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-rgb",
    architecture=SandwichArchitecture(),
    steps=4000,
    batch=8,
    crop=128,
    learning_rate=5e-4,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
