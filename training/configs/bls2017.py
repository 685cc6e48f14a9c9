"""The factorized-prior autoencoder of Balle et al. (ICLR 2017): the lowest rung of the ladder, to compare with."""

from ...models.shallow import Architecture
from ..config import HyperpriorConfig

CONFIG = HyperpriorConfig(
    model="bls2017",
    architecture=Architecture(
        latents=256, analysis="bls", analysis_width=256, linear=False, synthesis="bls", hidden=256, hyper="none"
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
