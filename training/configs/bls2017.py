"""The factorized-prior autoencoder of Balle et al. (ICLR 2017): the lowest rung of the ladder, to compare with."""

from ...models.shallow import Architecture
from ..published import published

CONFIG = published(
    "bls2017",
    Architecture(
        latents=256, analysis="bls", analysis_width=256, linear=False, synthesis="bls", hidden=256, hyper="none"
    ),
    klt=False,
)
