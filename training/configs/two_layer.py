"""The two-layer synthesis of Yang and Mandt (ICCV 2023), with inverse GDN and a residual branch."""

from ...models.shallow import Architecture
from ..published import published

CONFIG = published(
    "two_layer",
    Architecture(
        hyper_latents=320,
        analysis="elic",
        analysis_width=192,
        linear=False,
        synthesis="two_layer",
        hidden=12,
        igdn=True,
        hyper="full",
    ),
    klt=True,
)
