"""What the entropy coder alone takes, and could reach at best: asked of a module for each codec, all with the same functions."""

from typing import Protocol

from ..bitstream.container import Container
from ..codecs import l3ic_header, shallow_header
from ..codecs.base import EncodeSettings
from ..errors import RequestError
from ..images import Picture
from ..models.zoo import Model
from . import entropy_l3ic, entropy_shallow
from .timing import Action


class EntropyParts(Protocol):
    """A module `entropy_<codec>.py`. Entropy decoding needs none: it is `Codec.verify`."""

    def entropy_encoder(self, picture: Picture, model: Model, settings: EncodeSettings) -> Action:
        """Prepares what encoding does after the analysis transform, to be timed.

        Raises:
            NicodecError: the errors are those of `Codec.encode`.
        """
        ...

    def ideal_bits(self, coded: Container, model: Model) -> float:
        """Code length in bits of everything entropy-coded in a file, if every symbol cost exactly what its table says.

        Raises:
            FormatError: the file is damaged, or not one of this codec and model.
            ModelError: the model's files are missing or damaged.
        """
        ...


def entropy_parts(model: Model) -> EntropyParts:
    """The module for a model's codec.

    Raises:
        RequestError: there is none.
    """
    modules: dict[int, EntropyParts] = {l3ic_header.NUMBER: entropy_l3ic, shallow_header.NUMBER: entropy_shallow}
    if model.codec not in modules:
        raise RequestError(
            f"the parts of {model.id} cannot be measured one by one: choose a model of nicodec's own codecs"
        )
    return modules[model.codec]
