"""Colour through a gray JPEG in a slim sandwich, for PSNR; starts from a run of sandwich_gray_folded."""

from ...models.sandwich import SandwichArchitecture
from ...models.step_tables import TableShape
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-gray",
    architecture=SandwichArchitecture(bottleneck=1),
    subsampled=False,
    table_shape=TableShape(slope=0.2),
    steps=1500,
    batch=8,
    crop=128,
    learning_rate=5e-4,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
