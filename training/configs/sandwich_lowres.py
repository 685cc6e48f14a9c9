"""Colour JPEG of half the width and height in a slim sandwich, for PSNR; starts from a run of sandwich_lowres_post."""

from ...models.sandwich import SandwichArchitecture
from ...models.step_tables import TableShape
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-lowres",
    architecture=SandwichArchitecture(downsampling=2),
    table_shape=TableShape(slope=0.1, chroma=0.7),
    qsteps=(4.0, 80.0),
    rate_weight=0.6,
    steps=2000,
    batch=8,
    crop=128,
    learning_rate=5e-4,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
