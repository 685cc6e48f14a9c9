"""Times sandwiches beside their standard codec and a matrix product of as many operations; see `apart`."""

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import images
from ..bitstream import container
from ..codecs import sandwich_header, sandwich_model, standard
from ..codecs.base import EncodeSettings
from ..codecs.encoding import around_standard
from ..codecs.registry import codec_by_number
from ..models import zoo
from ..models.zoo import Model
from .apart import measured, require_cores
from .decode_speed import decode_time, entropy_time, operations, product_time
from .synthetic import photo
from .timing import median_time

SIZE = (768, 512)
"""Width and height of the picture."""

RUNS = 5


@dataclass(frozen=True)
class SandwichTimes:
    """Median seconds at the model's own quality, with the networks loaded before.

    Attributes:
        bpp: bits of the whole file per pixel.
        encode: from pixels to the bytes of a file.
        decode: from the bytes of a file to pixels.
        standard_encode: of that, writing the standard file.
        standard_decode: of that, reading the standard file.
        encode_product: a matrix product of as many operations as encoding takes.
        decode_product: a matrix product of as many operations as decoding takes.
    """

    bpp: float
    encode: float
    decode: float
    standard_encode: float
    standard_decode: float
    encode_product: float
    decode_product: float


def measure(model: Model, threads: int, runs: int = RUNS) -> SandwichTimes:
    """Times a model in a process of its own.

    Args:
        model: a sandwich.
        threads: threads of the networks and cores of the process.
        runs: how often each part is timed.

    Raises:
        RequestError: there are fewer cores than threads, or the model is no sandwich.
        ModelError: the model is damaged, or its card does not say what coding takes.
    """
    require_cores(threads)
    around_standard(model)
    for direction in ("encode", "decode"):
        operations(model, direction, 1)  # refuses the card here, not in the other process
    numbers = (*SIZE, threads, runs)
    return SandwichTimes(**measured("sandwich_speed", [str(model.folder), *map(str, numbers)], threads))


def times_here(model: Model, size: tuple[int, int], threads: int, runs: int) -> SandwichTimes:
    """Times a model in this process.

    Args:
        model: a sandwich.
        size: width and height of the picture.
        threads: threads of the networks.
        runs: how often each part is timed.

    Raises:
        NicodecError: the picture cannot be coded; the errors are those of `Codec.encode`.
    """
    codec, settings = codec_by_number(model.codec), EncodeSettings(threads=threads)
    picture = images.Picture(pixels=photo(*size))
    pixels = size[0] * size[1]
    coded = codec.encode(picture, model, settings)
    data = container.write(coded)
    inner = sandwich_header.inner_of(coded.header)
    inside = images.load(around_standard(model).inner_file(coded)[0]).pixels
    step, shape = sandwich_header.step_of(coded.header), sandwich_model.load(model)

    def write_standard() -> bytes:
        return standard.encode(inner, inside, step, shape.tables, subsampled=shape.subsampled)

    return SandwichTimes(
        bpp=8 * len(data) / pixels,
        encode=median_time(lambda: container.write(codec.encode(picture, model, settings)), runs),
        decode=decode_time(model, data, threads, runs),
        standard_encode=median_time(write_standard, runs),
        standard_decode=entropy_time(model, data, runs),
        encode_product=product_time(operations(model, "encode", pixels), runs),
        decode_product=product_time(operations(model, "decode", pixels), runs),
    )


def _main(folder: str, *numbers: str) -> None:
    width, height, threads, runs = map(int, numbers)
    print(json.dumps(asdict(times_here(zoo.open_folder(Path(folder)), (width, height), threads, runs))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
