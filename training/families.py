"""What the training loop must know about a kind of codec, and where each kind says it."""

from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from ..models.zoo import Model
from .config import Config
from .data import Pixels


class Family(Protocol):
    """A module `training/<family>_family.py`."""

    def columns(self, config: Any) -> tuple[str, ...]:
        """Names of all numbers that are logged: the codec's metrics and what `measure` returns."""
        ...

    def build(self, config: Any) -> Any:
        """A codec with freshly initialised weights: a Keras model whose loss is complete."""
        ...

    def start(self, codec: Any, config: Any, packed: Pixels, source: Path | Model | None) -> None:
        """Initialises a codec from the folder of a run, from a model, or from the statistics of the crops.

        Raises:
            RequestError: the source cannot be used.
        """
        ...

    def inputs(self, config: Any, step: int, crops: Pixels) -> tuple[Any, Any]:
        """The x and y of one step for `train_on_batch`; depends on the arguments alone."""
        ...

    def measure(self, codec: Any, config: Any, pictures: list[Pixels]) -> dict[str, float]:
        """Rate and distortion on whole validation pictures."""
        ...

    def steer(self, codec: Any, config: Any, numbers: dict[str, float]) -> None:
        """Adjusts the training objective to what `measure` found."""
        ...


def family_of(config: Config) -> Family:
    """The family that a configuration belongs to."""
    return cast(Family, import_module(f".{config.family}_family", __package__))
