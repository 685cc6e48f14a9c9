"""The fastest codec: a synthesis of one layer, all qualities in one model.

Its kernel is wider than that of Yang and Mandt, 18: blocks that overlap like this lose nothing to two layers but the
nonlinearity. Started from a run of shallow_two_layer (`--start`) it is as good as that but for 0.2 dB before its first step.
"""

from ...models.shallow import Architecture
from ..config import HyperpriorConfig

CONFIG = HyperpriorConfig(
    model="shallow-jpegl",
    architecture=Architecture(latents=320, hyper_latents=64, analysis="patch", synthesis="one_layer", kernel=28),
    lambdas=(0.00075, 0.0015, 0.003, 0.006, 0.012, 0.024, 0.048, 0.096),
    steps=40000,
    batch=4,
    crop=192,
    learning_rate=4e-4,
    warmup=300,
    ema=0.999,
    validate_every=1000,
)
