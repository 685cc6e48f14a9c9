"""What the configurations of published models share: their ladder of rates, and a schedule that a workstation can run."""

from ..models.shallow import Architecture
from .config import HyperpriorConfig


def published(model: str, architecture: Architecture, *, klt: bool) -> HyperpriorConfig:
    """The configuration of a published model, trained for all its rates at once and measured without context.

    The lambdas are those of Yang and Mandt (ICCV 2023), who trained one model for each on 1.8 million batches.

    Args:
        model: name of the run.
        architecture: the transforms.
        klt: start the synthesis as a KLT.
    """
    return HyperpriorConfig(
        model=model,
        architecture=architecture,
        lambdas=(0.00125, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08),
        klt=klt,
        context=False,
        steps=20000,
        batch=2,
        crop=192,
        learning_rate=2e-4,
        warmup=200,
        ema=0.99,
        validate_every=500,
    )
