"""What can be told about the latents of a file: how large they are, how far from what was predicted, what they cost."""

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
        bits: what they cost: those of their segment where they have one of their own, else the ideal code length under
            the model's tables; None where the codec does not tell.
        zeros: share of latents that are zero.
        size: root of their mean square, in quantisation steps.
        residual: root of the mean square of what is coded, latents less the integers that were predicted; None where
            nothing is predicted, or no latent is coded.
        expected: of the standard deviations of what is coded, as the entropy model expected them, the 10th, 50th and 90th
            percentile over all latents; None where it expects nothing, or no latent is coded.
    """

    first: int
    last: int
    bits: float | None
    zeros: float
    size: float
    residual: float | None
    expected: tuple[float, float, float] | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "channels": [self.first, self.last],
            "bits": None if self.bits is None else round(self.bits, 1),
            "zeros": round(self.zeros, 4),
            "size": round(self.size, 4),
            "residual": None if self.residual is None else round(self.residual, 4),
            "expected": None if self.expected is None else [round(value, 4) for value in self.expected],
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
