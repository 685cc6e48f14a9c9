"""Colour folded into a gray JPEG and a post-processor alone, for PSNR: where sandwich_gray starts (`--start`)."""

from ...models.sandwich import SandwichArchitecture
from ...models.step_tables import TableShape
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-gray-folded",
    architecture=SandwichArchitecture(bottleneck=1, pre=None),
    subsampled=False,
    table_shape=TableShape(slope=0.2),
    steps=2500,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
