"""What the header of a file of residual-gru says. Imports no numpy, so that `info` stays instant."""

from ..bitstream.container import Header
from . import level_header

NUMBER = 3
ALIGN_LOG2 = 5

parameters = level_header.parameters


def check(header: Header) -> None:
    """Refuses headers that no encoder of this codec writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    level_header.check(header, "residual-gru", ALIGN_LOG2)
