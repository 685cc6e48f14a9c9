"""Colour JPEG of half colour resolution in a slim sandwich, for MS-SSIM; starts from a run of sandwich_rgb."""

from ...models.sandwich import SandwichArchitecture
from ...models.step_tables import FOR_MSSIM
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-msssim",
    architecture=SandwichArchitecture(),
    table_shape=FOR_MSSIM,
    mse_weight=0.1,
    msssim_weight=1.0,
    steps=2000,
    batch=4,
    crop=192,
    learning_rate=5e-4,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
