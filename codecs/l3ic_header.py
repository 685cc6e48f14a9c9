"""What the header of an l3ic file says: geometry, profile, latent step. Imports no numpy, so that `info` stays instant.

Profiles: bit 0 is set if the channels are independent, bit 1 if the latents have a step of their own. Then the codec's
bytes in the header begin with that step, little-endian, in 1/4096 of the model's. FORMAT.md §8 is normative.
"""

from ..bitstream.container import Header
from ..errors import FormatError, RequestError

NUMBER = 1
STRIDE_LOG2 = 3

CONTEXT, INDEPENDENT = 0, 1
STEPPED = 2
"""Added to either profile if the file has a latent step."""

STEP_RANGE = (0.25, 4.0)
"""Smallest and largest latent step, in steps of the model."""

_UNIT = 4096
_LOW, _HIGH = (int(bound * _UNIT) for bound in STEP_RANGE)
_STEP_BYTES = 2
_PROFILES = range(4)


def profile_fields(independent: bool, step: float) -> tuple[int, bytes]:
    """The profile and the codec's bytes of a header.

    Args:
        independent: whether every channel is coded on its own.
        step: latent step as `representable_step` returns it.
    """
    if step == 1.0:
        return int(independent), b""
    return STEPPED + independent, int(step * _UNIT).to_bytes(_STEP_BYTES, "little")


def representable_step(step: float) -> float:
    """The latent step nearest to the given one that a header can hold.

    >>> representable_step(1.3)
    1.300048828125

    Raises:
        RequestError: it is out of range.
    """
    low, high = STEP_RANGE
    if not low <= step <= high:
        raise RequestError(f"a latent step of {step:g} does not fit the file: choose one from {low:g} to {high:g}")
    return round(step * _UNIT) / _UNIT


def step_of_quality(quality: float) -> float:
    """The latent step at a quality from 0, the coarsest step, to 100, the model's own step; logarithmic between.

    >>> [step_of_quality(quality) for quality in (0, 50, 100)]
    [4.0, 2.0, 1.0]

    Raises:
        RequestError: it is out of range.
    """
    if not 0 <= quality <= 100:
        raise RequestError(
            f"quality {quality:g} does not exist: choose one from 0 (smallest file) to 100 (best picture)"
        )
    return float(STEP_RANGE[1] ** (1 - quality / 100))


def is_independent(header: Header) -> bool:
    """Whether every channel is a segment of its own."""
    return bool(header.profile & INDEPENDENT)


def latent_step(header: Header) -> float:
    """What one step of the file's latents is, in steps of the model; 1 in a file without a step of its own.

    Raises:
        FormatError: the profile calls for a step, and none that an encoder writes is there.
    """
    if header.profile not in (STEPPED + CONTEXT, STEPPED + INDEPENDENT):
        return 1.0
    units = int.from_bytes(header.extra[:_STEP_BYTES], "little")
    if len(header.extra) < _STEP_BYTES or not _LOW <= units <= _HIGH or units == _UNIT:
        raise FormatError("the header has no valid latent step: get an undamaged copy of the file")
    return units / _UNIT


def check(header: Header) -> None:
    """Refuses headers that no l3ic encoder writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    if (header.stride_log2, header.align_log2, header.layers, header.depth) != (STRIDE_LOG2, STRIDE_LOG2, 1, 8):
        raise FormatError("the header's geometry is not that of l3ic: get an undamaged copy of the file")
    if header.profile not in _PROFILES:
        raise FormatError(f"l3ic has no profile {header.profile}: get an undamaged copy of the file")
    latent_step(header)


def parameters(header: Header) -> dict[str, float]:
    """What the codec's own header fields say, by name; for `info`, which shows headers that `check` refuses too.

    Raises:
        FormatError: as for `latent_step`.
    """
    return {"latent_step": latent_step(header)}
