"""The JPEG-like synthesis of Yang and Mandt (ICCV 2023) behind their residual analysis."""

from ...models.shallow import Architecture
from ..published import published

CONFIG = published(
    "jpegl",
    Architecture(
        hyper_latents=320, analysis="elic", analysis_width=192, linear=False, synthesis="one_layer", hyper="full"
    ),
    klt=True,
)
