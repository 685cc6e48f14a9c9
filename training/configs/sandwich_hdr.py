"""Pictures of 12 bits through a colour JPEG of 8 in a slim sandwich, for PSNR; starts from a run of sandwich_rgb.

There are no training pictures of more than 8 bits: crops of 8 bits at half their resolution stand in for them. The mean of
four samples has two bits more.
"""

from ...models.sandwich import SandwichArchitecture
from ..config import SandwichConfig

CONFIG = SandwichConfig(
    model="sandwich-hdr",
    architecture=SandwichArchitecture(),
    depth=12,
    qsteps=(2.0, 200.0),
    steps=800,
    batch=8,
    crop=256,
    learning_rate=3e-4,
    warmup=50,
    ema=0.998,
    validate_every=500,
)
