"""The mean-scale hyperprior of Minnen et al. (NeurIPS 2018), without its serial context model."""

from ...models.shallow import Architecture
from ..published import published

CONFIG = published(
    "mbt2018",
    Architecture(
        hyper_latents=320, analysis="mbt", analysis_width=192, linear=False, synthesis="mbt", hidden=192, hyper="full"
    ),
    klt=False,
)
