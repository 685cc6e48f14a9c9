"""Where weights start, beyond what Keras has."""

from collections.abc import Sequence
from typing import Any

import keras

from .keras_ops import ops

_CONTRAST = 2.0
"""By how much differences are amplified: they are smaller than what they are between."""


@keras.saving.register_keras_serializable("nicodec")
class Differences(keras.initializers.Initializer):
    """He's normal initialiser, with filters that see differences between places alone, of some of the channels.

    Neighbouring pixels and blocks are much alike. What tells where they do not fit together would drown in what they have in
    common, and gradient descent would take very long to find it.

    Args:
        channels: the first so many are meant.
        places: how many parts of equal size they have, which show the same at places beside each other.
    """

    def __init__(self, channels: int, places: int) -> None:
        self.channels, self.places = channels, places

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Any:
        """A kernel (height, width, in, out)."""
        kernel = ops.convert_to_numpy(keras.initializers.HeNormal()(shape, "float32")).copy()
        meant = kernel[:, :, : self.channels].reshape(*shape[:2], self.places, -1, shape[3])
        meant -= meant.mean(axis=(0, 1, 2), keepdims=True)
        kernel[:, :, : self.channels] = _CONTRAST * meant.reshape(*shape[:2], self.channels, shape[3])
        return ops.convert_to_tensor(kernel, dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments to build the initialiser again."""
        return {"channels": self.channels, "places": self.places}


def differences(channels: int, places: int) -> Any:
    """`Differences`, typed as anything: Keras says that initialisers are names."""
    return Differences(channels, places)
