"""The two-layer synthesis of Yang and Mandt without residual branch, behind their plain convolutional analysis."""

from ...models.shallow import Architecture
from ..published import published

CONFIG = published(
    "two_layer_cnn",
    Architecture(
        hyper_latents=320,
        analysis="cnn",
        analysis_width=256,
        linear=False,
        synthesis="two_layer",
        hidden=24,
        residual=False,
        hyper="full",
    ),
    klt=True,
)
