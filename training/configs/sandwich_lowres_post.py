"""Colour JPEG of half the width and height and a post-processor alone, for PSNR: where sandwich_lowres starts (`--start`)."""

from ...models.sandwich import SandwichArchitecture
from ...models.step_tables import TableShape
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-lowres-post",
    architecture=SandwichArchitecture(downsampling=2, pre=None),
    table_shape=TableShape(slope=0.1, chroma=0.7),
    qsteps=(4.0, 80.0),
    rate_weight=0.6,
    steps=4000,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
