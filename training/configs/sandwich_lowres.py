"""Colour JPEG of half the width and height in a slim sandwich, for PSNR."""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-lowres",
    architecture=SandwichArchitecture(downsampling=2),
    steps=8000,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=200,
    ema=0.999,
    validate_every=500,
)
