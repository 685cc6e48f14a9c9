"""Rate and quality of every level of progressive files.

Every picture is coded once. A level is measured on the whole file truncated to it, and on the picture that it restores.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from .. import images
from ..bitstream import container
from ..bitstream.container import Header
from ..codecs.base import DecodeRequest, EncodeSettings
from ..codecs.progressive import Progressive, progressive
from ..codecs.registry import codec_by_number
from ..errors import RequestError
from ..models.zoo import Model
from .curves import CurvePoint, Metric, PictureScore, mean_point
from .sweeps import Coded, score

_SMALLEST = np.zeros((1, 1, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class PictureLevels:
    """One picture at every level.

    Attributes:
        header: of the file of all levels.
        scores: of the files truncated to each level.
        code_bytes: that the codes of each level take, without its framing.
    """

    header: Header
    scores: tuple[PictureScore, ...]
    code_bytes: tuple[int, ...]

    @property
    def raw_bits(self) -> int:
        """Binary codes of one level."""
        return self.header.channels * self.header.latent_width * self.header.latent_height

    @property
    def raw_bpp(self) -> float:
        """Binary codes of one level per pixel: over the nominal rate as far as the picture is padded."""
        return self.raw_bits / (self.header.width * self.header.height)


@dataclass(frozen=True, kw_only=True)
class LevelMeans:
    """One level over all pictures.

    Attributes:
        level: which.
        nominal_bpp: binary codes up to the level per pixel of a picture without padding.
        raw_bpp: mean of the binary codes up to the level per pixel.
        point: means of the whole files and of the restored pictures.
        saving: part, up to 1, of the level's own binary codes that entropy coding saves, over all pictures together.
        saving_so_far: the same up to the level.
    """

    level: int
    nominal_bpp: float
    raw_bpp: float
    point: CurvePoint
    saving: float
    saving_so_far: float


@dataclass(frozen=True)
class Fall:
    """A level that is no better than the one before.

    Attributes:
        picture: file name.
        level: which.
        metric: in which.
        before: at the level before; None where PSNR is infinite.
        value: at the level; None where PSNR is infinite.
    """

    picture: str
    level: int
    metric: Metric
    before: float | None
    value: float | None


def level_count(model: Model) -> int:
    """How many levels the files of a model have; told by a file of the smallest picture.

    Raises:
        RequestError: they have no levels.
        ModelError: the model is damaged.
    """
    codec = codec_by_number(model.codec)
    if not isinstance(codec, Progressive):
        raise RequestError(f"{model.id} has no levels: choose a progressive model")
    return codec.levels(codec.encode(images.Picture(pixels=_SMALLEST), model, EncodeSettings()).header)


def require_levels(model: Model, levels: Iterable[int]) -> None:
    """Refuses levels that the files of a model do not have.

    Raises:
        RequestError: they lack one, or have none.
        ModelError: the model is damaged.
    """
    count = level_count(model)
    for level in levels:
        if level not in range(count):
            raise RequestError(f"{model.id} has no level {level}: choose from 0 to {count - 1}")


def measure_levels(model: Model, paths: Sequence[Path]) -> list[PictureLevels]:
    """`measure_picture` for every path, with a progress bar on a terminal."""
    return [measure_picture(model, path) for path in tqdm(paths, model.id, unit="picture", disable=None)]


def measure_picture(model: Model, path: Path) -> PictureLevels:
    """Codes a picture and compares every level with it.

    Args:
        model: a progressive one.
        path: image file, coded without its metadata and transparency.

    Raises:
        RequestError: the model has no levels.
        PictureError: the image cannot be read.
        ModelError: the model is damaged.
    """
    picture = images.Picture(pixels=images.load(path).pixels)
    codec = codec_by_number(model.codec)
    levels = progressive(codec, model.id)
    coded = codec.encode(picture, model, EncodeSettings())
    decoded = levels.decode_levels(coded, model, DecodeRequest(), range(levels.levels(coded.header)))
    scores = tuple(
        score(path.name, picture, Coded(len(container.write(levels.truncated(coded, level))), restored.pixels))
        for level, restored in decoded
    )
    sizes = tuple(segment.size for segment in coded.segments[: len(scores)])
    return PictureLevels(header=coded.header, scores=scores, code_bytes=sizes)


def means(name: str, pictures: Sequence[PictureLevels]) -> list[LevelMeans]:
    """The means over one or more pictures of one model, level by level; `name` begins the settings of the points."""
    raw = sum(picture.raw_bits for picture in pictures)
    raw_bpp = math.fsum(picture.raw_bpp for picture in pictures) / len(pictures)
    header = pictures[0].header
    nominal = header.channels / (1 << header.stride_log2) ** 2
    found: list[LevelMeans] = []
    bits_so_far = 0
    for level in range(len(pictures[0].scores)):
        bits = 8 * sum(picture.code_bytes[level] for picture in pictures)
        bits_so_far += bits
        found.append(
            LevelMeans(
                level=level,
                nominal_bpp=(level + 1) * nominal,
                raw_bpp=(level + 1) * raw_bpp,
                point=mean_point(f"{name} level {level}", tuple(picture.scores[level] for picture in pictures)),
                saving=1 - bits / raw,
                saving_so_far=1 - bits_so_far / ((level + 1) * raw),
            )
        )
    return found


def falls(pictures: Iterable[PictureLevels]) -> list[Fall]:
    """Where PSNR or MS-SSIM does not rise from one level of a picture to the next; empty if both always do."""
    return [
        Fall(now.picture, level, metric, _value(before, metric), _value(now, metric))
        for picture in pictures
        for level, (before, now) in enumerate(zip(picture.scores, picture.scores[1:], strict=False), 1)
        for metric in ("psnr", "msssim")
        if not _comparable(_value(now, metric)) > _comparable(_value(before, metric))
    ]


def msssim_at(bpp: float, levels: Sequence[LevelMeans]) -> float | None:
    """MS-SSIM at a rate, on straight lines between the means of the levels; None below that of the first level.

    Where the means lie on a concave curve, which they do for any usual codec, the lines are below it. Beyond the last
    level it is that of the last, whose files are smaller.
    """
    rates = [level.point.bpp for level in levels]
    if bpp < rates[0]:
        return None
    return float(np.interp(bpp, rates, [level.point.msssim or 0.0 for level in levels]))


def _value(found: PictureScore, metric: Metric) -> float | None:
    return found.psnr if metric == "psnr" else found.msssim


def _comparable(value: float | None) -> float:
    return math.inf if value is None else value
