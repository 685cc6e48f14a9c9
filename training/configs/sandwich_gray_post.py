"""Gray JPEG of the luma, colour restored by the post-processor alone: what sandwich_gray is compared with."""

from ...models.sandwich import SandwichArchitecture
from ...models.step_tables import TableShape
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-gray-post",
    architecture=SandwichArchitecture(bottleneck=1, pre=None, folds=False),
    subsampled=False,
    table_shape=TableShape(slope=0.3),
    steps=1000,
    batch=8,
    crop=128,
    learning_rate=1e-3,
    warmup=100,
    ema=0.998,
    validate_every=500,
)
