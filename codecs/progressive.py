"""What a codec offers whose files hold one picture at several levels, each an addition to the one before."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

from ..bitstream.container import Container, Header, Segment
from ..errors import RequestError
from ..images import Picture
from ..models.zoo import Model
from .base import DecodeRequest, Progress, no_progress


@runtime_checkable
class Progressive(Protocol):
    """A codec of which a file that is cut off decodes to what arrived."""

    def levels(self, header: Header) -> int:
        """How many levels a file has: 0 to this less one.

        Raises:
            FormatError: the header is not one of the codec's.
        """
        ...

    def decode_levels(
        self,
        container: Container,
        model: Model,
        request: DecodeRequest,
        levels: Iterable[int],
        progress: Progress = no_progress,
    ) -> Iterator[tuple[int, Picture]]:
        """Restores several levels, each as soon as it can be, in one pass over the file if the picture is not too large.

        Args:
            container: of which what is needed has arrived.
            model: of the file.
            request: how to decode; its level is passed over.
            levels: which, ascending.
            progress: told after every level of every tile.

        Raises:
            FormatError: a segment is missing or damaged.
        """
        ...

    def decode_arriving(
        self, header: Header, segments: Iterable[Segment], model: Model, request: DecodeRequest
    ) -> Iterator[tuple[int, Picture]]:
        """Restores one level after the other, each when its segment arrives; without metadata.

        Alpha comes after all levels: the last level then comes once more, with it.

        Raises:
            FormatError: a segment is damaged.
        """
        ...

    def truncated(self, container: Container, level: int) -> Container:
        """The same file up to a level, with nothing encoded again.

        Raises:
            RequestError: it has no such level.
        """
        ...


def progressive(codec: object, name: str) -> Progressive:
    """The codec, if it is one of levels.

    Raises:
        RequestError: it is not.
    """
    if not isinstance(codec, Progressive):
        raise RequestError(f"{name} has no levels: leave the level out, or use a file of a progressive model")
    return codec


def require_level(level: int, levels: int) -> None:
    """Refuses a level that a file does not have.

    Raises:
        RequestError: it does not.
    """
    if type(level) is not int or level not in range(levels):
        raise RequestError(f"the file has no level {level}: choose one from 0 to {levels - 1}")
