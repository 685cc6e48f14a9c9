"""What runs the networks of a codec of levels."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from ..bitstream.code_context import Codes
from .base import Progress, no_progress
from .samples import Pixels


class Engine(Protocol):
    """Makes codes of pictures and pictures of codes."""

    def analyse(self, pixels: Pixels, levels: int, progress: Progress = no_progress) -> Codes:
        """Makes the codes of a picture.

        Args:
            pixels: uint8 (h, w, 3), sides multiples of the codec's alignment.
            levels: how many.
            progress: told how much is done.

        Returns:
            uint8 (levels, channels, h/16, w/16), 0 or 1.

        Raises:
            RequestError: the model cannot take a picture of that size.
            ModelError: the model's files are missing or damaged.
            BackendError: the inference runtime is missing or failed.
        """
        ...

    def synthesise(
        self, codes: Sequence[Codes], levels: Sequence[int], progress: Progress = no_progress
    ) -> list[Pixels]:
        """Restores a picture at several levels.

        Args:
            codes: for every level, up to the highest that is wanted, uint8 (channels, h, w) of 0, 1 and `UNKNOWN`.
            levels: which are wanted, ascending.
            progress: told how much is done.

        Returns:
            For each wanted level, uint8 (16 h, 16 w, 3).

        Raises:
            NicodecError: the errors are those of `analyse`.
        """
        ...

    def synthesise_arriving(self, codes: Iterable[Codes]) -> Iterator[Pixels]:
        """Restores a picture each time that the codes of one more level arrive.

        Args:
            codes: level by level, as for `synthesise`.

        Raises:
            NicodecError: the errors are those of `analyse`.
        """
        ...
