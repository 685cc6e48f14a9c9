"""What a training run needs to know; one instance per file in `training/configs/`."""

from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

from ..errors import RequestError


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of one run; everything that changes the result is here.

    Attributes:
        model: the model id that `export` will write, for instance "l3ic-32c".
        channels: latent channels.
        klt_step: quantisation step of the KLT start in 8-bit units.
        staggered: channels that share the mean of a block at the KLT start.
        target_bpp: bits per pixel on the validation set, coded with independent channels, that the balance of rate and
            distortion is steered to; None keeps it as it is. The context profile is about a fifth smaller.
        mse_weight: weight of the mean squared error (0..255 scale) against one bit per pixel.
        msssim_weight: weight of 1 - MS-SSIM against one bit per pixel.
        steps: optimisation steps.
        batch: crops per step.
        crop: side of a crop in pixels.
        learning_rate: peak of the cosine schedule, reached after `warmup` steps.
        warmup: steps of linear warm-up.
        ema: decay of the weight average per step.
        validate_every: steps between validations (and checkpoints).
        validation_pictures: how many pictures of the validation folder are used.
        dead_zone: how far the shipped encoder moves its rounding thresholds away from zero, in steps. Not used while
            training, when the networks would only learn to undo it.
        dtype_policy: Keras policy for the transforms: "mixed_bfloat16" where the processor has bfloat16 instructions
            (AVX512-BF16, AMX, GPUs), "float32" elsewhere: emulated bfloat16 is ten times slower.
        seed: of initialisers and data order.
    """

    model: str
    channels: int
    klt_step: float
    staggered: int
    target_bpp: float | None
    mse_weight: float
    msssim_weight: float
    steps: int
    batch: int = 4
    crop: int = 128
    learning_rate: float = 5e-4
    warmup: int = 100
    ema: float = 0.995
    validate_every: int = 250
    validation_pictures: int = 8
    dead_zone: float = 0.07
    dtype_policy: str = "float32"
    seed: int = 1

    def to_json(self) -> dict[str, Any]:
        """All settings as plain JSON values."""
        return asdict(self)


def config_names() -> list[str]:
    """Names accepted by `load_config`."""
    return sorted(module.name for module in iter_modules([str(Path(__file__).parent / "configs")]))


def load_config(name: str) -> TrainingConfig:
    """The configuration of that name.

    Raises:
        RequestError: there is none; the message lists those that exist.
    """
    key = name.replace("-", "_")
    if key not in config_names():
        raise RequestError(f"no training configuration {name!r}; choose one of {', '.join(config_names())}")
    config: TrainingConfig = import_module(f".configs.{key}", __package__).CONFIG
    return config
