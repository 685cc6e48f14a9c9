"""What a synthesis makes of one latent alone."""

from typing import Any

import numpy as np
import numpy.typing as npt

from .keras_ops import ops

_POSITIONS = 5  # along each side, the impulse in the middle: more than a shallow synthesis spreads one over


def responses(synthesis: Any, sizes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """How the pixels change with one latent of each channel in turn, all others being zero.

    Args:
        synthesis: a Keras model from latents (n, h, w, channels).
        sizes: what that latent is, not zero, (channels,).

    Returns:
        Change of the pixels per unit of the latent, (channels, side, side, 3), the block of the latent in the centre.
    """
    channels = len(sizes)
    impulses = np.zeros((channels, _POSITIONS, _POSITIONS, channels), np.float32)
    impulses[np.arange(channels), _POSITIONS // 2, _POSITIONS // 2, np.arange(channels)] = sizes
    still = ops.convert_to_numpy(synthesis(np.zeros_like(impulses[:1])))
    changed = synthesis.predict(impulses, batch_size=32, verbose=0)
    return np.asarray((changed - still) / sizes[:, None, None, None], np.float32)
