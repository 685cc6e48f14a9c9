"""What a training run needs to know; one instance per file in `training/configs/`."""

from dataclasses import asdict, dataclass, replace
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt

from ..errors import RequestError
from ..models import colour_folding
from ..models.embedded import EmbeddedArchitecture
from ..models.residual_gru import ITERATIONS, GruArchitecture
from ..models.sandwich import SandwichArchitecture
from ..models.shallow import Architecture
from ..models.step_tables import FOR_PSNR, Tables, TableShape


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """What every run needs.

    Attributes:
        model: the model id that `export` will write, for instance "l3ic-32c".
        steps: optimisation steps.
        batch: crops per step.
        crop: side of a crop in pixels.
        learning_rate: peak of the cosine schedule, reached after `warmup` steps.
        warmup: steps of linear warm-up.
        ema: decay of the weight average per step.
        clip: largest norm of the gradient of all weights together; larger ones are scaled down to it.
        validate_every: steps between validations (and checkpoints).
        validation_pictures: how many pictures of the validation folder are used.
        dtype_policy: Keras policy for the transforms: "mixed_bfloat16" where the processor has bfloat16 instructions
            (AVX512-BF16, AMX, GPUs), "float32" elsewhere: emulated bfloat16 is ten times slower.
        seed: of initialisers and data order.
    """

    family: ClassVar[str]
    """Which kind of codec; names the module in `training/` that builds and measures it."""

    model: str
    steps: int
    batch: int = 4
    crop: int = 128
    learning_rate: float = 5e-4
    warmup: int = 100
    ema: float = 0.995
    clip: float = 1.0
    validate_every: int = 250
    validation_pictures: int = 8
    dtype_policy: str = "float32"
    seed: int = 1

    def __post_init__(self) -> None:
        """Checks the schedule.

        Raises:
            RequestError: there are no steps after the warm-up.
        """
        if self.steps <= self.warmup:
            raise RequestError(f"{self.steps} steps are over before {self.warmup} of warm-up: raise steps")

    @property
    def drawn(self) -> int:
        """Crops that a step draws from the training pictures."""
        return self.batch

    def of_length(self, steps: int) -> Self:
        """The same run over so many steps, at most a tenth of them warm-up."""
        return replace(self, steps=steps, warmup=min(self.warmup, steps // 10))

    def to_json(self) -> dict[str, Any]:
        """All settings as plain JSON values."""
        return {"family": self.family, **asdict(self)}


@dataclass(frozen=True, kw_only=True)
class L3icConfig(RunConfig):
    """A run of l3ic.

    Attributes:
        channels: latent channels.
        klt_step: quantisation step of the KLT start in 8-bit units.
        staggered: channels that share the mean of a block at the KLT start.
        target_bpp: bits per pixel on the validation set, coded with independent channels, that the balance of rate and
            distortion is steered to; None keeps it as it is. The context profile is about a fifth smaller.
        mse_weight: weight of the mean squared error (0..255 scale) against one bit per pixel.
        msssim_weight: weight of 1 - MS-SSIM against one bit per pixel.
        dead_zone: how far the shipped encoder moves its rounding thresholds away from zero, in steps. Not used while
            training, when the networks would only learn to undo it.
    """

    family: ClassVar[str] = "l3ic"

    channels: int
    klt_step: float
    staggered: int
    target_bpp: float | None
    mse_weight: float
    msssim_weight: float
    dead_zone: float = 0.07


@dataclass(frozen=True, kw_only=True)
class HyperpriorConfig(RunConfig):
    """A run of a hyperprior codec with a shallow (or, for comparison, deep) synthesis.

    Attributes:
        architecture: the transforms.
        lambdas: weight of the mean squared error (0..255 scale) against one bit per pixel at each anchor of the quality
            scale, ascending; a single one trains a fixed-rate model.
        klt: start the transforms as a KLT.
        clip: see `RunConfig`; far above the usual norm of 1 to 6, so that batches in which the prior was surprised, whose
            gradients are the largest, keep their weight.
        context: whether rates count with the context model, or under the hyperprior alone.
    """

    family: ClassVar[str] = "hyperprior"

    architecture: Architecture
    lambdas: tuple[float, ...]
    klt: bool = True
    clip: float = 20.0
    context: bool = True


@dataclass(frozen=True, kw_only=True)
class ProgressiveConfig(RunConfig):
    """A run of the residual GRU.

    Attributes:
        architecture: the networks.
        unrolled: iterations of a step of training, from which step on, ascending. All sixteen share their weights: few
            teach the networks what pictures look like, at a fraction of the cost.
        candidates: crops that are drawn for every one that is trained on: the hardest are taken.
        softened: steps over which codes become binary; before, part of what they lose by it is given back.
    """

    family: ClassVar[str] = "progressive"

    architecture: GruArchitecture
    unrolled: tuple[tuple[int, int], ...] = ((0, ITERATIONS),)
    candidates: int = 3
    softened: int = 1000

    @property
    def drawn(self) -> int:
        """See `RunConfig.drawn`."""
        return self.batch * self.candidates

    def of_length(self, steps: int) -> Self:
        """See `RunConfig.of_length`; its stages get shorter or longer too."""
        scale = steps / self.steps
        stages = tuple((round(start * scale), count) for start, count in self.unrolled)
        return replace(super().of_length(steps), unrolled=stages, softened=round(self.softened * scale))

    def binary_at(self, step: int) -> float:
        """How binary codes are at a step, 0 to 1."""
        return min(1.0, step / self.softened) if self.softened else 1.0

    def iterations_at(self, step: int) -> int:
        """Iterations of a step."""
        return [count for start, count in self.unrolled if start <= step][-1]


@dataclass(frozen=True, kw_only=True)
class EmbeddedConfig(RunConfig):
    """A run of the embedded codec.

    Attributes:
        architecture: the networks.
        first_price: of a bit in the first level, in squared error of a block (0..255 scale), when trees are grown.
        last_price: that in the last level; between, it falls by the same factor from each level to the next.
        masking: power of a block's variance that its errors are divided by when trees are grown.
        masking_floor: what is added to that variance (0..255 scale).
        levels: how many.
        codes: binary codes per position and level.
        msssim_share: share of MS-SSIM in the loss; the rest is squared error. Both count relative to the start.
    """

    family: ClassVar[str] = "embedded"

    architecture: EmbeddedArchitecture
    first_price: float
    last_price: float
    masking: float = 0.5
    masking_floor: float = 50.0
    levels: int = 16
    codes: int = 32
    msssim_share: float = 0.5

    @property
    def prices(self) -> list[float]:
        """Of a bit, for each level."""
        prices: list[float] = np.geomspace(self.first_price, self.last_price, self.levels).tolist()
        return prices


@dataclass(frozen=True, kw_only=True)
class SandwichConfig(RunConfig):
    """A run of networks around a standard codec.

    Attributes:
        architecture: the networks.
        depth: bits per sample of the pictures; more than 8 are made by halving the resolution of crops.
        subsampled: whether the standard codec stores colour at half the resolution.
        table_shape: of the quantisation tables, for JPEG.
        qsteps: smallest and largest quantisation step that is trained for.
        mse_weight: weight of the squared error, relative to that of the codec without a sandwich.
        msssim_weight: weight of one minus MS-SSIM, relative likewise.
        rate_weight: weight of bits, relative likewise. By how many percent the error of the plain codec falls where its bits grow
            by one percent: with JPEG on photos 1.3, and less where the error has other causes.
        range_weight: weight of how far samples to be coded are out of range, over the step.
        stages: from which part of the run on the U-Net behind the codec counts, and from which the one before it; until
            then, networks of single pixels are trained alone, which finds better minima where colours must be folded.
    """

    family: ClassVar[str] = "sandwich"

    architecture: SandwichArchitecture
    depth: int = 8
    subsampled: bool = True
    table_shape: TableShape = FOR_PSNR
    qsteps: tuple[float, float] = (8.0, 240.0)
    mse_weight: float = 1.0
    msssim_weight: float = 0.0
    rate_weight: float = 1.3
    range_weight: float = 0.1
    stages: tuple[float, float] = (0.0, 0.0)

    def gates_at(self, step: int) -> npt.NDArray[np.float32]:
        """Whether the U-Nets before and behind the codec count at a step, (2,)."""
        post, pre = (start * self.steps for start in self.stages)
        return np.array([step >= pre, step >= post], np.float32)

    @property
    def tables(self) -> Tables:
        """Relative quantisation tables; where colour is folded into gray, its cosines have steps of their own."""
        return self.table_shape.tables(colour_folding.PLACES if self.architecture.folded else {})


Config = L3icConfig | HyperpriorConfig | ProgressiveConfig | EmbeddedConfig | SandwichConfig
_KINDS = (L3icConfig, HyperpriorConfig, ProgressiveConfig, EmbeddedConfig, SandwichConfig)
_FAMILIES: dict[str, type[Any]] = {kind.family: kind for kind in _KINDS}


def config_from_json(values: dict[str, Any]) -> Config:
    """The configuration that `to_json` described; without a family it is one of l3ic.

    Raises:
        RequestError: a setting is unknown or missing.
    """
    rest = dict(values)
    kind = _FAMILIES.get(rest.pop("family", L3icConfig.family))
    try:
        if kind is None:
            raise TypeError(f"unknown family {values['family']!r}")
        if kind is HyperpriorConfig:
            rest |= {"architecture": Architecture(**rest["architecture"]), "lambdas": tuple(rest["lambdas"])}
        if kind is ProgressiveConfig:
            rest |= {"architecture": GruArchitecture(**rest["architecture"])}
            rest |= {"unrolled": tuple((start, count) for start, count in rest["unrolled"])}
        if kind is EmbeddedConfig:
            rest |= {"architecture": EmbeddedArchitecture(**rest["architecture"])}
        if kind is SandwichConfig:
            rest |= {"architecture": SandwichArchitecture.from_json(rest["architecture"])}
            rest |= {"table_shape": TableShape(**rest["table_shape"])}
            rest |= {name: tuple(rest[name]) for name in ("qsteps", "stages")}
        found: Config = kind(**rest)
        return found
    except (KeyError, TypeError) as error:
        raise RequestError(f"the run's configuration does not fit this version: {error}") from error


def config_names() -> list[str]:
    """Names accepted by `load_config`."""
    return sorted(module.name for module in iter_modules([str(Path(__file__).parent / "configs")]))


def load_config(name: str) -> Config:
    """The configuration of that name.

    Raises:
        RequestError: there is none; the message lists those that exist.
    """
    key = name.replace("-", "_")
    if key not in config_names():
        raise RequestError(f"no training configuration {name!r}; choose one of {', '.join(config_names())}")
    config: Config = import_module(f".configs.{key}", __package__).CONFIG
    return config
