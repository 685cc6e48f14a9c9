"""How well the differentiable JPEG predicts the real one: distortion and rate, at several steps."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from .. import images
from ..extras import training_packages
from ..metrics.psnr import psnr

if TYPE_CHECKING:
    from ..models.jpeg_proxy import EncodeDecodeIntra

STEPS = (4, 10, 20, 40, 80)


@dataclass(frozen=True, kw_only=True)
class Fidelity:
    """The proxy beside libjpeg at one step; means over all pictures.

    Attributes:
        step: of quantisation, the same for all coefficients.
        subsampled: whether colour has half the resolution.
        psnr: of libjpeg in decibels.
        proxy_psnr: of the proxy.
        largest_gap: largest difference between the two on any picture, in decibels.
        bpp: of libjpeg's files.
        proxy_bpp: by the JPEG rate model.
        gaussian_bpp: by the Gaussian one.
        largest_rate_gap: largest difference of the JPEG rate model from the file, as a part of the file, on any picture.
    """

    step: int
    subsampled: bool
    psnr: float
    proxy_psnr: float
    largest_gap: float
    bpp: float
    proxy_bpp: float
    gaussian_bpp: float
    largest_rate_gap: float


@dataclass(frozen=True)
class _One:
    """One picture at one step."""

    psnr: float
    proxy_psnr: float
    bpp: float
    proxy_bpp: float
    gaussian_bpp: float


def measure(paths: Sequence[Path], steps: Sequence[int] = STEPS, *, subsampled: bool = False) -> list[Fidelity]:
    """Compares the two on whole pictures.

    Args:
        paths: of pictures; gray ones are compared as three equal channels.
        steps: of quantisation, 1..255.
        subsampled: whether colour is coded at half the resolution.

    Raises:
        BackendError: Keras is not installed.
        PictureError: a picture cannot be read.
    """
    with training_packages():
        from ..models.jpeg_proxy import EncodeDecodeIntra

    layers = [
        EncodeDecodeIntra(
            use_jpeg_rate_model=by_file, train_qstep=False, convert_to_yuv=True, downsample_chroma=subsampled
        )
        for by_file in (True, False)
    ]
    found: list[list[_One]] = [[] for _ in steps]
    for path in tqdm(paths, "pictures", disable=None):
        pixels = np.broadcast_to(loaded := images.load(path).pixels, (*loaded.shape[:2], 3))
        for ones, step in zip(found, steps, strict=True):
            ones.append(_compare(np.ascontiguousarray(pixels), step, layers, subsampled))
    return [_mean(step, subsampled, ones) for step, ones in zip(steps, found, strict=True)]


def _compare(pixels: npt.NDArray[np.uint8], step: int, layers: Sequence["EncodeDecodeIntra"], subsampled: bool) -> _One:
    from ..models.keras_ops import ops
    from ..models.libjpeg import jpeg

    data = jpeg(pixels, step, subsampled=subsampled)
    with Image.open(io.BytesIO(data)) as image:
        real = np.asarray(image)
    batch = pixels[None].astype(np.float32)
    (restored, bits), (_, gaussian_bits) = (layer(batch, input_qstep=float(step)) for layer in layers)
    count = pixels.shape[0] * pixels.shape[1]
    return _One(
        psnr(pixels, real),
        psnr(pixels, np.rint(ops.convert_to_numpy(restored)[0]).astype(np.uint8)),
        8 * len(data) / count,
        float(bits[0]) / count,
        float(gaussian_bits[0]) / count,
    )


def _mean(step: int, subsampled: bool, ones: Sequence[_One]) -> Fidelity:
    def mean(values: list[float]) -> float:
        return float(np.mean(values))

    return Fidelity(
        step=step,
        subsampled=subsampled,
        psnr=mean([one.psnr for one in ones]),
        proxy_psnr=mean([one.proxy_psnr for one in ones]),
        largest_gap=max(0.0 if one.psnr == one.proxy_psnr else abs(one.psnr - one.proxy_psnr) for one in ones),
        bpp=mean([one.bpp for one in ones]),
        proxy_bpp=mean([one.proxy_bpp for one in ones]),
        gaussian_bpp=mean([one.gaussian_bpp for one in ones]),
        largest_rate_gap=max(abs(one.proxy_bpp / one.bpp - 1.0) for one in ones),
    )
