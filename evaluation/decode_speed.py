"""Times decoding in process, beside a matrix product of as many operations; see `apart`."""

import json
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .. import images
from ..bitstream import container
from ..codecs.base import DecodeRequest, EncodeSettings
from ..codecs.progressive import Progressive
from ..codecs.registry import codec_by_number
from ..errors import ModelError, RequestError
from ..models import zoo
from ..models.zoo import Model
from .apart import measured, require_cores
from .profiles import without_context
from .speed import network_time
from .synthetic import photo
from .timing import Row, median_time

SIZES = ((768, 512), (1920, 1080))
"""Width and height of the pictures."""

RUNS = 7


@dataclass(frozen=True)
class Times:
    """Median seconds.

    Attributes:
        decode: from the bytes of a file to pixels, with the network loaded before.
        entropy: entropy decoding alone.
        network: the synthesis network alone.
        product: the matrix product.
    """

    decode: float
    entropy: float
    network: float
    product: float


def measure(model: Model, width: int, height: int, threads: int, runs: int = RUNS) -> list[Row]:
    """Times the decoding of a picture without and with the context profile, at the model's own quality and effort 1.

    Args:
        model: the model.
        width: of the picture.
        height: of the picture.
        threads: threads of the network and cores of the process.
        runs: how often each part is timed.

    Raises:
        RequestError: there are fewer cores than threads, or the model has levels.
        ModelError: the model is damaged, or its card does not say what decoding takes.
    """
    require_cores(threads)
    codec = codec_by_number(model.codec)
    if isinstance(codec, Progressive):
        raise RequestError(f"{model.id} has levels, which take different times: measure it with level-speed")
    macs = operations(model, "decode", width * height)
    picture = images.Picture(pixels=photo(width, height))
    settings = EncodeSettings(effort=1)
    rows: list[Row] = []
    for profile, chosen in (("without", without_context(settings, model)), ("with", settings)):
        data = container.write(codec.encode(picture, model, chosen))
        times = _timed_apart(model, data, macs, threads, runs)
        rate = 8 * len(data) / (width * height)
        parts = f"entropy {times.entropy:.3f} s, network {times.network:.3f} s, {rate:.2f} bpp"
        comparison = f"decode takes {times.decode / times.product:.2f} times that"
        rows.append((f"{model.id} decode {width}x{height} {profile} context", f"{times.decode:.3f} s, {parts}"))
        rows.append((f"  matrix product of {macs / 1e9:.2f} GMAC", f"{times.product:.3f} s, {comparison}"))
    return rows


def operations(model: Model, direction: Literal["encode", "decode"], pixels: int) -> float:
    """Multiply-accumulates that coding so many pixels takes, by the model's card; of one level where networks run once for
    each.

    Raises:
        ModelError: the card does not say.
    """
    costs = model.card.get("kmac_per_pixel")
    cost = costs.get(direction) if isinstance(costs, dict) else None
    if not isinstance(cost, int | float) or not cost > 0:
        raise ModelError(f"the card of {model.id} has no usable kmac_per_pixel for {direction}: reinstall the model")
    return 1000.0 * cost * pixels


def times_here(model: Model, data: bytes, macs: float, threads: int, runs: int) -> Times:
    """Times in this process what decoding a file takes.

    Args:
        model: that the file is coded with.
        data: the file.
        macs: multiply-accumulates of the matrix product to compare with.
        threads: threads of the network.
        runs: how often each part is timed.

    Raises:
        NicodecError: the file does not decode; the errors are those of `Codec.decode`.
    """
    return Times(
        decode=decode_time(model, data, threads, runs),
        entropy=entropy_time(model, data, runs),
        network=network_time(model, container.read(data), threads, runs),
        product=product_time(macs, runs),
    )


def decode_time(model: Model, data: bytes, threads: int, runs: int) -> float:
    """Median seconds from the bytes of a file to pixels."""
    codec, request = codec_by_number(model.codec), DecodeRequest(threads=threads)
    return median_time(lambda: codec.decode(container.read(data), model, request), runs)


def entropy_time(model: Model, data: bytes, runs: int) -> float:
    """Median seconds of entropy decoding a file."""
    codec, coded = codec_by_number(model.codec), container.read(data)
    return median_time(lambda: codec.verify(coded, model), runs)


def product_time(macs: float, runs: int) -> float:
    """Median seconds of the product of two square float32 matrices with about so many multiply-accumulates."""
    side = max(1, round(macs ** (1 / 3)))
    rng = np.random.default_rng(0)
    one, other = (rng.standard_normal((side, side), np.float32) for _ in range(2))
    result = np.empty_like(one)
    return median_time(lambda: np.matmul(one, other, out=result), runs)


def _timed_apart(model: Model, data: bytes, macs: float, threads: int, runs: int) -> Times:
    """`times_here` in a process that has no more cores than threads."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.nic"
        file.write_bytes(data)
        arguments = [str(model.folder), str(file), *map(str, (macs, threads, runs))]
        return Times(**measured("decode_speed", arguments, threads))


def _main(folder: str, file: str, macs: str, threads: str, runs: str) -> None:
    model = zoo.open_folder(Path(folder))
    print(json.dumps(asdict(times_here(model, Path(file).read_bytes(), float(macs), int(threads), int(runs)))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
