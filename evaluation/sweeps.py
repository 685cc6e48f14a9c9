"""Runs a codec over pictures at several settings: every picture is coded to a whole file, decoded and compared."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from .. import images
from ..errors import RequestError
from ..image_psnr import psnr_of
from ..metrics.ssim import ms_ssim
from .curves import CurvePoint, PictureScore, mean_point


class Coded(NamedTuple):
    """What became of a picture.

    Attributes:
        size: bytes of the whole coded file.
        pixels: the decoded picture, of the original's shape, uint8 or uint16.
    """

    size: int
    pixels: "npt.NDArray[np.uint8] | Words"


Words = npt.NDArray[np.uint16]

Coding = Callable[[images.Picture], Coded]
"""A codec at one setting: codes a picture without alpha and metadata, and decodes it again."""


def pictures_of(folder: Path) -> list[Path]:
    """The PNG files of a folder, sorted by name.

    Raises:
        RequestError: there are none.
    """
    paths = sorted(folder.glob("*.png"))
    if not paths:
        raise RequestError(f"{folder}: has no PNG files: give a folder of lossless pictures")
    return paths


def measure(label: str, codings: Mapping[str, Coding], paths: Sequence[Path]) -> list[CurvePoint]:
    """Codes every picture at every setting, with a progress bar on a terminal. Transparency is not coded.

    Args:
        label: what the progress bar calls it.
        codings: by the names that the settings get in the result.
        paths: image files, one or more.

    Returns:
        One point for each setting, in the order of `codings`.

    Raises:
        PictureError: an image cannot be read.
    """
    scores: dict[str, list[PictureScore]] = {setting: [] for setting in codings}
    with tqdm(total=len(paths) * len(codings), desc=label, unit="picture", disable=None) as bar:
        for path in paths:
            loaded = images.load(path, deep=True)
            picture = images.Picture(pixels=loaded.pixels, deep=loaded.deep)
            for setting, code in codings.items():
                scores[setting].append(score(path.name, picture, code(picture)))
                bar.update()
    return [mean_point(setting, tuple(found)) for setting, found in scores.items()]


def score(name: str, picture: images.Picture, coded: Coded) -> PictureScore:
    """Compares what became of a picture with the picture, and its file with its size.

    PSNR is in 16 bits if the picture has them, MS-SSIM always in 8.
    """
    shown = images.from_array(coded.pixels, deep=picture.deep is not None)
    decibel = psnr_of(picture, shown)
    return PictureScore(
        picture=name,
        size=coded.size,
        bpp=8 * coded.size / (picture.width * picture.height),
        psnr=decibel if math.isfinite(decibel) else None,
        # Rounding may lift it over 1 by its last bit.
        msssim=min(1.0, ms_ssim(picture.pixels, shown.pixels)),
    )
