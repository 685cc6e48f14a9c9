"""The two-layer synthesis of Yang and Mandt (ICCV 2023), with inverse GDN and a residual branch."""

from ...models.shallow import Architecture
from ..config import HyperpriorConfig

CONFIG = HyperpriorConfig(
    model="two_layer",
    architecture=Architecture(
        hyper_latents=320,
        analysis="elic",
        analysis_width=192,
        linear=False,
        synthesis="two_layer",
        hidden=12,
        igdn=True,
        hyper="full",
    ),
    lambdas=(0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
    klt=True,
    context=False,
    steps=20000,
    batch=2,
    crop=192,
    learning_rate=2e-4,
    warmup=200,
    ema=0.999,
    validate_every=500,
)
