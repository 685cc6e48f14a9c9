"""l3ic with 16 latent channels."""

from ..config import L3icConfig

CONFIG = L3icConfig(
    model="l3ic-16c",
    channels=16,
    klt_step=45.0,
    staggered=2,
    target_bpp=0.55,
    mse_weight=0.006,
    msssim_weight=20.0,
    steps=1000,
    learning_rate=1.2e-4,
)
