"""The two-layer synthesis of Yang and Mandt without residual branch, behind their plain convolutional analysis."""

from ...models.shallow import Architecture
from ..config import HyperpriorConfig

CONFIG = HyperpriorConfig(
    model="two_layer_cnn",
    architecture=Architecture(
        hyper_latents=320,
        analysis="cnn",
        analysis_width=256,
        linear=False,
        synthesis="two_layer",
        hidden=24,
        residual=False,
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
