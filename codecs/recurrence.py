"""Runs the two networks of a residual GRU over and over, in overlapping tiles where a picture is large.

The decoder gives the same picture in tiles as in one piece: `HALO_BASE` and `HALO_STEP` are how far a code is felt. What
the encoder makes of a code depends on pixels much farther away, by ever less, so that codes near the edge of a tile may
differ from those of a picture in one piece.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..bitstream.code_context import Codes
from ..bitstream.layer_coder import UNKNOWN
from ..errors import ModelError
from ..models.runtime import FloatNetwork, load_float
from ..models.zoo import Model
from .base import Progress, no_progress
from .gru_model import GruShape, Memories, Reconstruction, load
from .samples import STRIDE, Floats, Pixels, to_floats, to_pixels
from .tiling import Span, tiles

HALO_BASE = 36
"""Pixels as far away as the decoder's first iteration carries a code."""

HALO_STEP = 8
"""Pixels farther with every iteration: two positions of the memory at a quarter of the resolution."""

ENCODER_HALO = 10
"""Code positions around a tile that the encoder takes into account."""

WHOLE_PIXELS = 1 << 20
"""Pixels up to which a picture runs in one piece: encoding takes about 1.4 kB of memory for each."""

OUTER_PIXELS = 1024
"""Side of a tile in pixels, with its halo."""

_SIGNS = np.zeros(UNKNOWN + 1, np.float32)
_SIGNS[:2] = -1, 1


@dataclass(frozen=True)
class Networks:
    """What the iterations of one model are made of.

    Attributes:
        encoder: one iteration.
        decoder: one iteration.
        shape: codes, memories, and what the decoder's result is.
    """

    encoder: FloatNetwork
    decoder: FloatNetwork
    shape: GruShape


class Recurrence:
    """The engine of two networks; see `engine.Engine`. Loads each of them when it is first needed.

    Args:
        model: from the zoo.
        backend: inference runtime, see `models.runtime`.
        threads: threads of the networks, None for all processors.

    Raises:
        ModelError: the model's files are missing or damaged.
    """

    def __init__(self, model: Model, backend: str, threads: int | None) -> None:
        self._network = partial(load_float, model, backend=backend, threads=threads)
        self._shape = _shape(model)

    def analyse(self, pixels: Pixels, levels: int, progress: Progress = no_progress) -> Codes:
        """See `Engine.analyse`."""
        networks = Networks(self._network("encoder"), self._network("decoder"), self._shape)
        return analyse(networks, pixels, levels, progress)

    def synthesise(
        self, codes: Sequence[Codes], levels: Sequence[int], progress: Progress = no_progress
    ) -> list[Pixels]:
        """See `Engine.synthesise`."""
        return synthesise(self._restorer(), codes, levels, progress)

    def synthesise_arriving(self, codes: Iterable[Codes]) -> Iterator[Pixels]:
        """See `Engine.synthesise_arriving`."""
        return synthesise_arriving(self._restorer(), codes)

    def _restorer(self) -> "Restorer":
        return Restorer(self._network("decoder"), self._shape)


def _shape(model: Model) -> GruShape:
    shape = load(model).shape
    if shape is None:
        raise ModelError(f"the tables of {model.id} do not say how its networks go together: reinstall the model")
    return shape


class Restorer:
    """The decoder of one tile: takes the codes of one level after the other and gives the picture so far.

    Args:
        network: one iteration of the decoder.
        shape: of the model.
    """

    def __init__(self, network: FloatNetwork, shape: GruShape) -> None:
        self._network = network
        self._shape = shape
        self._memories: tuple[Floats, ...] = ()
        self._picture: Floats | None = None
        self._levels = 0

    def anew(self) -> "Restorer":
        """The same decoder before the first level."""
        return Restorer(self._network, self._shape)

    def add(self, codes: Codes) -> Floats:
        """The picture after one more level.

        Args:
            codes: uint8 (channels, h, w): 0, 1 or `UNKNOWN`.

        Returns:
            float32 (1, 3, 16 h, 16 w), samples 0..1 less one half, not clipped.
        """
        if self._picture is None:
            self._memories = empty(self._shape.decoder_memories, *codes.shape[1:])
        result, *memories = self._network(signed(codes)[None], *self._memories)
        self._memories = tuple(memories)
        if self._shape.reconstruction is Reconstruction.ADDITIVE:
            result = result / np.float32(self._shape.gains[self._levels])
            if self._picture is not None:
                result += self._picture
        self._picture = result
        self._levels += 1
        return self._picture


def analyse(networks: Networks, pixels: Pixels, levels: int, progress: Progress = no_progress) -> Codes:
    """Makes the codes of a picture.

    Args:
        networks: of a residual GRU.
        pixels: uint8 (h, w, 3), sides multiples of 32.
        levels: how many.
        progress: told after every level of every tile.

    Returns:
        uint8 (levels, channels, h/16, w/16), 0 or 1.

    Raises:
        BackendError: the inference runtime failed.
    """
    height, width = (side // STRIDE for side in pixels.shape[:2])
    codes = np.empty((levels, networks.shape.codes, height, width), np.uint8)
    places = _tiles(height, width, ENCODER_HALO)
    for done, (y, x) in enumerate(places):
        tile = to_floats(pixels[y.outer(STRIDE), x.outer(STRIDE)])
        for level, found in enumerate(_coded(networks, tile, levels)):
            codes[level, :, y.core(), x.core()] = found[:, y.inner(), x.inner()]
            progress(done * levels + level + 1, len(places) * levels)
    return codes


def _coded(networks: Networks, pixels: Floats, levels: int) -> Iterator[Codes]:
    """The codes of one tile, level by level, (channels, h, w)."""
    height, width = (side // STRIDE for side in pixels.shape[2:])
    restorer = Restorer(networks.decoder, networks.shape)
    memories = empty(networks.shape.encoder_memories, height, width)
    left = pixels
    for level in range(levels):
        found, *states = networks.encoder(left * np.float32(networks.shape.gains[level]), *memories)
        memories = tuple(states)
        ones = (found[0] > 0).view(np.uint8)
        yield ones
        if level + 1 < levels:
            left = pixels - restorer.add(ones)


def synthesise(
    decoder: Restorer, codes: Sequence[Codes], levels: Sequence[int], progress: Progress = no_progress
) -> list[Pixels]:
    """Restores a picture at several levels.

    Args:
        decoder: before the first level.
        codes: for every level, up to the highest that is wanted, uint8 (channels, h, w) of 0, 1 and `UNKNOWN`.
        levels: which are wanted, ascending.
        progress: told after every level of every tile.

    Returns:
        For each wanted level, uint8 (16 h, 16 w, 3).

    Raises:
        BackendError: the inference runtime failed.
    """
    _, height, width = codes[0].shape
    pictures = [np.empty((height * STRIDE, width * STRIDE, 3), np.uint8) for _ in levels]
    places, count = _tiles(height, width, decoder_halo(levels[-1])), levels[-1] + 1
    for done, (y, x) in enumerate(places):
        restorer = decoder.anew()
        for level in range(count):
            restored = restorer.add(codes[level][:, y.outer(), x.outer()])
            if level in levels:
                pixels = to_pixels(restored[:, :, y.inner(STRIDE), x.inner(STRIDE)])
                pictures[levels.index(level)][y.core(STRIDE), x.core(STRIDE)] = pixels
            progress(done * count + level + 1, len(places) * count)
    return pictures


def synthesise_arriving(decoder: Restorer, codes: Iterable[Codes]) -> Iterator[Pixels]:
    """Restores a picture each time that the codes of one more level arrive; a large one from the start each time.

    Args:
        decoder: before the first level.
        codes: level by level, as for `synthesise`.
    """
    arrived: list[Codes] = []
    for level, layer in enumerate(codes):
        _, height, width = layer.shape
        if height * width * STRIDE**2 <= WHOLE_PIXELS:
            yield to_pixels(decoder.add(layer))
        else:
            arrived.append(layer)
            yield synthesise(decoder, arrived, [level])[0]


def _tiles(height: int, width: int, halo: int) -> list[tuple[Span, Span]]:
    return list(tiles(height, width, halo, STRIDE, WHOLE_PIXELS, OUTER_PIXELS - 2 * STRIDE * halo))


def decoder_halo(level: int) -> int:
    """Code positions around a tile that have a part in it at a level."""
    return -(-(HALO_BASE + HALO_STEP * level) // STRIDE)


def empty(memories: Memories, height: int, width: int) -> tuple[Floats, ...]:
    """Memories before the first iteration, for height x width code positions."""
    return tuple(
        np.zeros((1, channels, height * STRIDE // stride, width * STRIDE // stride), np.float32)
        for channels, stride in memories
    )


def signed(codes: Codes) -> Floats:
    """Codes as a decoder takes them: -1 for 0, 1 for 1, and 0, neither of the two, where a code is not known."""
    return _SIGNS.take(codes)
