"""Gray JPEG of the luma, colour restored by the post-processor alone: what sandwich_gray is compared with."""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-gray-post",
    architecture=SandwichArchitecture(bottleneck=1, pre=None),
    subsampled=False,
    steps=8000,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=200,
    ema=0.999,
    validate_every=500,
)
