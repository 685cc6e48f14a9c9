"""What a codec of variable rate offers to those who look for a rate or a quality: one picture, coded again and again.

The analysis transform runs once; what a trial costs is quantising and coding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from ..bitstream.container import Container
from ..errors import RequestError
from ..images import Picture
from ..models.zoo import Model
from .base import EncodeSettings, Progress, no_progress


class Trials(Protocol):
    """One picture at any quality. Higher qualities give larger files and better pictures, but for small wiggles."""

    @property
    def lowest(self) -> float:
        """The lowest quality, 0 or more."""
        ...

    @property
    def highest(self) -> float:
        """The highest quality, 100 or less."""
        ...

    @property
    def breaks(self) -> tuple[float, ...]:
        """Qualities, ascending, behind each of which size and quality of the picture may jump, even backwards."""
        ...

    def encode(self, quality: float) -> Container:
        """The file at a quality; the same quality always gives the same file."""
        ...

    def decode(self, container: Container) -> Picture:
        """The picture that a decoder makes of what `encode` gave."""
        ...


@runtime_checkable
class VariableRate(Protocol):
    """A codec that takes the setting `quality`."""

    def trials(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        """Prepares a picture for any number of encodes that differ in quality alone.

        Args:
            picture: of any size.
            model: one of the codec's.
            settings: for all trials; `quality` is passed over.
            progress: told about the analysis.

        Raises:
            RequestError: the settings do not fit the codec, or the model has one quality only.
            ModelError: the model's files are missing or damaged.
            BackendError: the inference runtime is missing or failed.
        """
        ...


@dataclass(frozen=True)
class CodedTrials:
    """Trials made of two functions, with all qualities from 0 to 100.

    Attributes:
        coder: gives the file at a quality.
        decoder: restores the picture from it.
    """

    coder: Callable[[float], Container]
    decoder: Callable[[Container], Picture]
    lowest: float = 0.0
    highest: float = 100.0
    breaks: tuple[float, ...] = ()

    def encode(self, quality: float) -> Container:
        """See `Trials.encode`."""
        return self.coder(quality)

    def decode(self, container: Container) -> Picture:
        """See `Trials.decode`."""
        return self.decoder(container)


def one_quality_only(model: Model) -> RequestError:
    """The error to raise where a quality is asked of a model that has but one."""
    return RequestError(
        f"{model.id} revision {model.revision} has one quality only: leave quality and targets out, "
        "or choose another model"
    )
