"""l3ic with 32 latent channels."""

from ..config import L3icConfig

CONFIG = L3icConfig(
    model="l3ic-32c",
    channels=32,
    klt_step=30.0,
    staggered=3,
    target_bpp=0.9,
    mse_weight=0.004,
    msssim_weight=40.0,
    steps=1600,
    learning_rate=1.2e-4,
    dead_zone=0.09,
)
