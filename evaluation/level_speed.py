"""Times encoding and decoding at several levels, beside a matrix product of as many operations; see `apart`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tqdm import tqdm

from .. import images
from ..bitstream import container
from ..codecs.base import EncodeSettings
from ..codecs.progressive import progressive
from ..codecs.registry import codec_by_number
from ..models import zoo
from ..models.zoo import Model
from .apart import measured, require_cores
from .decode_speed import decode_time, entropy_time, operations, product_time
from .levels import require_levels
from .synthetic import photo
from .timing import median_time

SIZE = (768, 512)
"""Width and height of the picture."""

LEVELS = (0, 1, 3, 7, 15)

RUNS = 3


@dataclass(frozen=True)
class LevelTimes:
    """Median seconds at one level, with the networks loaded before.

    Attributes:
        level: the last of the file.
        bpp: bits of the whole file per pixel.
        encode: from pixels to the bytes of a file.
        decode: from the bytes of a file to pixels.
        entropy: entropy decoding alone.
        encode_product: matrix products of as many operations as encoding takes.
        decode_product: matrix products of as many operations as decoding takes.
    """

    level: int
    bpp: float
    encode: float
    decode: float
    entropy: float
    encode_product: float
    decode_product: float


def measure(model: Model, levels: Sequence[int], threads: int, runs: int = RUNS) -> list[LevelTimes]:
    """Times a model in a process of its own.

    Args:
        model: a progressive one.
        levels: which, one or more.
        threads: threads of the networks and cores of the process.
        runs: how often each part is timed.

    Raises:
        RequestError: there are fewer cores than threads, or the model lacks a level.
        ModelError: the model is damaged, or its card does not say what coding takes.
    """
    require_cores(threads)
    require_levels(model, levels)
    _operations(model, 0, 1)  # refuses the card here, not in the other process
    numbers = (*SIZE, threads, runs, *levels)
    return [LevelTimes(**times) for times in measured("level_speed", [str(model.folder), *map(str, numbers)], threads)]


def times_here(model: Model, size: tuple[int, int], levels: Sequence[int], threads: int, runs: int) -> list[LevelTimes]:
    """Times a model in this process, with a progress bar on a terminal.

    Args:
        model: a progressive one.
        size: width and height of the picture.
        levels: which, one or more.
        threads: threads of the networks.
        runs: how often each part is timed.

    Raises:
        NicodecError: a level cannot be coded; the errors are those of `Codec.encode`.
    """
    codec = codec_by_number(model.codec)
    pixels = size[0] * size[1]
    picture = images.Picture(pixels=photo(*size))
    whole = codec.encode(picture, model, EncodeSettings(level=max(levels), threads=threads))
    one_level = operations(model, "decode", pixels)
    seconds_per_mac = product_time(one_level, runs) / one_level

    def times(level: int) -> LevelTimes:
        settings = EncodeSettings(level=level, threads=threads)
        data = container.write(progressive(codec, model.id).truncated(whole, level))
        encode_macs, decode_macs = _operations(model, level, pixels)
        return LevelTimes(
            level=level,
            bpp=8 * len(data) / pixels,
            encode=median_time(lambda: container.write(codec.encode(picture, model, settings)), runs),
            decode=decode_time(model, data, threads, runs),
            entropy=entropy_time(model, data, runs),
            encode_product=encode_macs * seconds_per_mac,
            decode_product=decode_macs * seconds_per_mac,
        )

    return [times(level) for level in tqdm(levels, "levels", disable=None)]


def _operations(model: Model, level: int, pixels: int) -> tuple[float, float]:
    """Multiply-accumulates of encoding and of decoding up to a level.

    Where networks run once for each level, to encode one is to decode it too, but for the last: nothing is left to code
    after it.
    """
    encode, decode = operations(model, "encode", pixels), operations(model, "decode", pixels)
    if model.card.get("kmac_is_of") != zoo.ONE_LEVEL:
        return encode, decode
    return (level + 1) * encode - decode, (level + 1) * decode


def _main(folder: str, *numbers: str) -> None:
    width, height, threads, runs, *levels = map(int, numbers)
    found = times_here(zoo.open_folder(Path(folder)), (width, height), levels, threads, runs)
    print(json.dumps([asdict(times) for times in found]))


if __name__ == "__main__":
    _main(*sys.argv[1:])
