"""What can be told about the latents of a file: how large they are, how large they were expected to be, what they cost."""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ..bitstream.container import Container
from ..models.zoo import Model


@dataclass(frozen=True, kw_only=True)
class GroupStatistics:
    """The latents of some channels.

    Attributes:
        first: first channel.
        last: last channel.
        bits: what they cost, None where channels are not coded apart.
        zeros: share of latents that are zero.
        deviation: root of the mean square of the latents, in quantisation steps.
        predicted: of the standard deviations that the entropy model expected, the 10th, 50th and 90th percentile, in
            quantisation steps; None if it expects the same of all latents of a channel.
    """

    first: int
    last: int
    bits: float | None
    zeros: float
    deviation: float
    predicted: tuple[float, float, float] | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "channels": [self.first, self.last],
            "bits": None if self.bits is None else round(self.bits, 1),
            "zeros": round(self.zeros, 4),
            "deviation": round(self.deviation, 4),
            "predicted_deviation": None if self.predicted is None else [round(value, 4) for value in self.predicted],
        }


@runtime_checkable
class WithStatistics(Protocol):
    """A codec that knows the statistics of its latents."""

    def statistics(self, container: Container, model: Model) -> tuple[GroupStatistics, ...]:
        """Decodes the latents, without running a network, and tells about every group of channels.

        Raises:
            FormatError: something does not decode.
            ModelError: the model's files are missing or damaged.
        """
        ...
