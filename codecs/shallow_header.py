"""What the header of a shallow-decoder file says: geometry, profile, quality. Imports no numpy, so that `info` stays instant.

Profile 0 codes latents with context, profile 1 with the hyperprior alone. The codec's bytes in the header begin with the
quality in 1/10, little-endian. FORMAT.md §8 is normative.
"""

from dataclasses import dataclass

from ..bitstream.container import Header
from ..errors import FormatError, RequestError

NUMBER = 2
STRIDE_LOG2 = 4
HYPER_LOG2 = 2
"""log2 of the latent positions per position of the hyper-latent along each axis."""

CONTEXT, FAST = 0, 1
QUALITY_STEPS = 1000
"""Number of steps from the lowest quality to the highest."""

NODES = 16
"""The integer entropy model knows the quality as 0 to NODES."""

STRIPE_POSITIONS = 1 << 14
MIN_STRIPE_ROWS = 16

_QUALITY_BYTES = 2


@dataclass(frozen=True)
class Layout:
    """Which segment holds what.

    Attributes:
        stripes: first and last-plus-one latent row of each stripe.
        bands: number of bands that the channels are divided into.
        alpha: whether an alpha segment follows.
    """

    stripes: tuple[tuple[int, int], ...]
    bands: int
    alpha: bool

    @property
    def segments(self) -> int:
        """Number of segments."""
        return len(self.stripes) * (1 + self.bands) + self.alpha

    def hyper(self, stripe: int) -> int:
        """Index of the segment with the hyper-latents of a stripe."""
        return stripe

    def band(self, band: int, stripe: int) -> int:
        """Index of the segment with one band of a stripe: all stripes of the first band come before the second band."""
        return len(self.stripes) * (1 + band) + stripe


def layout_of(header: Header, bands: int) -> Layout:
    """The layout of a file with that header."""
    return Layout(stripes_of(header.latent_height, header.latent_width), bands, header.alpha)


def stripes_of(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """First and last-plus-one latent row of each stripe: about 2^14 positions, a multiple of 4 and at least 16 rows.

    >>> stripes_of(68, 120), stripes_of(40, 1000)
    (((0, 68),), ((0, 16), (16, 32), (32, 40)))
    """
    rows = max(MIN_STRIPE_ROWS, STRIPE_POSITIONS // width >> HYPER_LOG2 << HYPER_LOG2)
    return tuple((top, min(top + rows, height)) for top in range(0, height, rows))


def quality_steps(quality: float) -> int:
    """A quality from 0 to 100 in the header's steps.

    >>> quality_steps(50), quality_steps(99.96)
    (500, 1000)

    Raises:
        RequestError: it is out of range.
    """
    if not 0 <= quality <= 100:
        raise RequestError(
            f"quality {quality:g} does not exist: choose one from 0 (smallest file) to 100 (best picture)"
        )
    return round(quality * QUALITY_STEPS / 100)


def node_of(steps: int) -> int:
    """The quality as the integer entropy model knows it.

    >>> node_of(0), node_of(31), node_of(32), node_of(1000)
    (0, 0, 1, 16)
    """
    return (steps * NODES + QUALITY_STEPS // 2) // QUALITY_STEPS


def codec_bytes(steps: int) -> bytes:
    """The codec's bytes of a header."""
    return steps.to_bytes(_QUALITY_BYTES, "little")


def quality_of(header: Header) -> int:
    """The quality in steps.

    Raises:
        FormatError: it is missing or out of range.
    """
    data = header.extra[:_QUALITY_BYTES]
    steps = int.from_bytes(data, "little")
    if len(data) < _QUALITY_BYTES or steps > QUALITY_STEPS:
        raise FormatError("the header has no valid quality: get an undamaged copy of the file")
    return steps


def check(header: Header) -> None:
    """Refuses headers that no encoder of this codec writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    if (header.stride_log2, header.align_log2, header.layers, header.depth) != (STRIDE_LOG2, STRIDE_LOG2, 1, 8):
        raise FormatError(
            "the header's geometry is not that of a shallow-decoder file: get an undamaged copy of the file"
        )
    if header.profile not in (CONTEXT, FAST):
        raise FormatError(f"shallow has no profile {header.profile}: get an undamaged copy of the file")
    quality_of(header)


def parameters(header: Header) -> dict[str, float]:
    """What `info` shows."""
    return {"quality": quality_of(header) * 100 / QUALITY_STEPS}
