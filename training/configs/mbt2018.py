"""The mean-scale hyperprior of Minnen et al. (NeurIPS 2018), without its serial context model."""

from ...models.shallow import Architecture
from ..config import HyperpriorConfig

CONFIG = HyperpriorConfig(
    model="mbt2018",
    architecture=Architecture(
        hyper_latents=320, analysis="mbt", analysis_width=192, linear=False, synthesis="mbt", hidden=192, hyper="full"
    ),
    lambdas=(0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
    klt=False,
    context=False,
    steps=20000,
    batch=2,
    crop=192,
    learning_rate=2e-4,
    warmup=200,
    ema=0.999,
    validate_every=500,
)
