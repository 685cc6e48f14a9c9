"""Colour in a gray picture, so that a codec for gray codes both: the fixed start of a sandwich with one channel.

In every 16x16 pixels, the lowest cosines of both colour differences take the places of higher cosines of the luma, in the
four blocks of 8x8 that JPEG codes there, where few codes are spent on luma at low rates. All of it is linear: some filters
of the size of a block, and as many patterns. Trained networks before and behind the codec improve on it.

All but fully saturated colours, blue and yellow most, fit into the range of bytes; what is beyond is clipped.

Source: DCT-II and YCbCr as in JPEG (ITU-T T.81, A.3.3; JFIF 1.02). Which cosines go where was chosen on photos.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from keras import layers
from scipy.fft import idctn

from .colours import FROM_YCC, LUMA, TO_YCC
from .layers import ChannelScale, DepthToSpace

SIDE = 16
"""Pixels along each axis of what is folded at a time."""

PLACES = {(0, 5): 1.0 / 3.0, (1, 4): 1.0 / 3.0, (0, 7): 1.0, (1, 6): 1.0}
"""Rows and columns in the tables of JPEG, of each block, that colour takes over, stronger cosines first; and how large they are
there. At full size a saturated colour would be out of the range of bytes; smaller ones need steps that are as much finer.
"""

_BLOCK = 8
_BLOCKS = (SIDE // _BLOCK) ** 2
_CARRIED = ((0, 0), (0, 1), (1, 0), (1, 1), (0, 2), (2, 0), (1, 2), (2, 1))
"""Cosines of both colours: rows and columns of half-waves in 16 pixels."""

Floats = npt.NDArray[np.float64]


class _Block(NamedTuple):
    """What is analysed and what is drawn, for each of the cosines that are carried.

    Attributes:
        filters: (count, 16, 16, channels of the input).
        patterns: (count, 16, 16, channels of the output).
    """

    filters: Floats
    patterns: Floats


def folded(source: Any, name: str) -> Any:
    """Adds the layers that say by what a gray picture with its colour folded in differs from its luma.

    Args:
        source: Keras tensor of colours (n, h, w, 3), sides multiples of 16.
        name: prefix of the layers' names.

    Returns:
        Keras tensor (n, h, w, 1) in float32.
    """
    waves, carriers, sizes = _cosines(), _carriers(), _sizes()
    colours = sizes * waves[..., None] * np.tile(TO_YCC[1:], (len(_CARRIED), 1))[:, None, None]
    taken = carriers[..., None] * LUMA
    return _add(source, _Block(colours - taken, carriers[..., None]), name)


def unfolded(source: Any, name: str) -> Any:
    """Adds the layers that say by what the colours of a folded picture differ from its gray.

    Args:
        source: Keras tensor of gray (n, h, w, 1), sides multiples of 16.
        name: prefix of the layers' names.

    Returns:
        Keras tensor (n, h, w, 3) in float32.
    """
    waves, carriers, sizes = _cosines(), _carriers(), _sizes()
    restored = waves[..., None] * np.tile(FROM_YCC[1:], (len(_CARRIED), 1))[:, None, None] / sizes
    return _add(source, _Block(carriers[..., None], restored - carriers[..., None]), name)


def _cosines() -> Floats:
    """The cosines that are carried, of the first and of the second colour in turn, (2 * carried, 16, 16), of unit norm."""
    return np.repeat([_cosine(SIDE, *wave) for wave in _CARRIED], 2, axis=0)


def _carriers() -> Floats:
    """What stands for each of them in the gray picture, (2 * carried, 16, 16), of unit norm."""
    drawn = np.zeros((len(PLACES), 2, 2, SIDE, SIDE))
    for number, place in enumerate(PLACES):
        for row, column in np.ndindex(2, 2):
            area = (slice(_BLOCK * k, _BLOCK * (k + 1)) for k in (row, column))
            drawn[number, row, column][tuple(area)] = _cosine(_BLOCK, *place)
    return drawn.reshape(-1, SIDE, SIDE)


def _sizes() -> Floats:
    """How large each of them is drawn, (2 * carried, 1, 1, 1)."""
    return np.repeat(list(PLACES.values()), _BLOCKS)[:, None, None, None]


def _cosine(side: int, row: int, column: int) -> Floats:
    spectrum = np.zeros((side, side))
    spectrum[row, column] = 1.0
    found: Floats = np.asarray(idctn(spectrum, norm="ortho"), np.float64)
    return found


def _add(source: Any, block: _Block, name: str) -> Any:
    """A frozen analysis, a factor of each coefficient that is trained, and a frozen synthesis."""
    filters, patterns = block
    count, channels = len(filters), patterns.shape[-1]
    analysis = layers.Conv2D(
        count,
        SIDE,
        SIDE,
        padding="same",
        use_bias=False,
        name=f"{name}_analysis",
        dtype="float32",
        trainable=False,
    )
    synthesis = layers.Conv2D(
        SIDE**2 * channels,
        1,
        padding="same",
        use_bias=False,
        name=f"{name}_synthesis",
        dtype="float32",
        trainable=False,
    )
    x = synthesis(ChannelScale(name=f"{name}_factors")(analysis(source)))
    analysis.set_weights([filters.transpose(1, 2, 3, 0)])
    synthesis.set_weights([patterns.reshape(1, 1, count, -1)])
    return DepthToSpace(SIDE, name=f"{name}_unfold", dtype="float32")(x)
