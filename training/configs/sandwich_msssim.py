"""Colour JPEG of half colour resolution in a slim sandwich, for MS-SSIM."""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-msssim",
    architecture=SandwichArchitecture(),
    mse_weight=0.05,
    msssim_weight=400.0,
    steps=8000,
    batch=8,
    crop=192,
    learning_rate=1e-3,
    warmup=200,
    ema=0.999,
    validate_every=500,
)
