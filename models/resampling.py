"""Resizing of image tensors by fixed filters, differentiable, in `keras.ops`.

A filter along one axis is a matrix. Pillow makes it: its own resizing of a unit matrix, with the kernels and the
normalisation at the edges that image programs have agreed on. So what a network is trained with and what Pillow does to a
picture later are the same.
"""

from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import RequestError
from .keras_ops import ops

Method = Literal["box", "bilinear", "bicubic", "lanczos3"]

_FILTERS = {
    "box": Image.Resampling.BOX,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos3": Image.Resampling.LANCZOS,
}


def resize(images: Any, height: int, width: int, method: str) -> Any:
    """Images of another size. When they get smaller the filter gets wider, so that nothing aliases.

    Args:
        images: (n, h, w, c); h and w must be known.
        height: new.
        width: new.
        method: "box", "bilinear", "bicubic" or "lanczos3".

    Returns:
        (n, height, width, c), float32.

    Raises:
        RequestError: there is no such method.
    """
    rows, columns = resizing_matrix(images.shape[1], height, method), resizing_matrix(images.shape[2], width, method)
    return ops.einsum("yh,nhwc,xw->nyxc", rows, ops.cast(images, "float32"), columns)


@lru_cache(maxsize=8)
def resizing_matrix(size: int, new_size: int, method: str) -> npt.NDArray[np.float32]:
    """What resizing multiplies an axis by, (new_size, size); its rows sum to 1.

    >>> resizing_matrix(4, 2, "box").tolist()
    [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]

    Raises:
        RequestError: there is no such method.
    """
    if method not in _FILTERS:
        raise RequestError(f"there is no resizing method {method!r}: choose one of {', '.join(_FILTERS)}")
    unit = Image.fromarray(np.eye(size, dtype=np.float32))
    return np.asarray(unit.resize((size, new_size), _FILTERS[method]))
