"""What a standard codec sees inside a sandwich: a detail of the picture, of the file inside, and of what comes out."""

import io
from collections.abc import Iterable

import numpy as np
from PIL import Image

from .. import api
from ..images import Picture
from ..models.zoo import Model
from .strip import Crop, Panel, Pixels
from .sweeps import Coded, score


def panels(picture: Picture, models: Iterable[Model], quality: float, crop: Crop) -> list[Panel]:
    """The original, then for every model two panels: the file inside, and the restored picture.

    Args:
        picture: coded without its metadata and transparency.
        models: sandwiches.
        quality: 0..100.
        crop: what to show, within the picture; of smaller files inside the same place, enlarged.

    Raises:
        RequestError: a model is no sandwich.
        ModelError: a model is damaged.
    """
    bare = Picture(pixels=picture.pixels, deep=picture.deep)
    shown = [Panel("original", f"{picture.source_depth * bare.pixels.shape[2]} bpp", crop.of(bare.pixels))]
    for model in models:
        data = api.encode(bare, model=model, quality=quality)
        inner, suffix = api.extract(data)
        restored = api.decode(data)
        found = score("", bare, Coded(len(data), restored.pixels if restored.deep is None else restored.deep))
        inside = _enlarged(inner, bare.width, bare.height)
        shown.append(Panel(f"{model.id}: inside", f"{suffix[1:]}, {found.bpp:.2f} bpp", crop.of(inside)))
        shown.append(Panel("restored", f"{found.psnr:.2f} dB, {found.msssim:.3f}", crop.of(restored.pixels)))
    return shown


def _enlarged(data: bytes, width: int, height: int) -> Pixels:
    """The pixels of an image file, each repeated if it is smaller than so many, (height, width, 1 or 3)."""
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image)
    factor = -(-height // pixels.shape[0])
    large = pixels.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]
    return large if large.ndim == 3 else large[..., np.newaxis]
