"""l3ic with 64 latent channels."""

from ..config import L3icConfig

CONFIG = L3icConfig(
    model="l3ic-64c",
    channels=64,
    klt_step=18.0,
    staggered=4,
    target_bpp=1.66,
    mse_weight=0.01,
    msssim_weight=90.0,
    steps=4200,
    learning_rate=2e-4,
)
