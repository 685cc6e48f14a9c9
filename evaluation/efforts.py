"""What encoder effort buys: bits at equal PSNR, and what it takes in time."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import api, images
from ..models.zoo import Model
from .bd_rate import bd_rate
from .curves import Curve
from .sweeps import Coded, Coding, measure


@dataclass(frozen=True, kw_only=True)
class EffortGain:
    """One effort.

    Attributes:
        effort: 1 to 9.
        bd_rate_percent: rate at equal PSNR against the first effort measured, negative where it needs fewer bits.
        seconds_per_megapixel: to encode, mean over all pictures and qualities.
    """

    effort: int
    bd_rate_percent: float
    seconds_per_megapixel: float


def measure_efforts(
    model: Model, paths: Sequence[Path], qualities: Sequence[float], efforts: Iterable[int]
) -> Iterator[EffortGain]:
    """Measures whole files at one effort after the other.

    Args:
        model: the model.
        paths: image files, one or more.
        qualities: two or more values of the encoder setting `quality`.
        efforts: the first is what all are compared with.

    Raises:
        RequestError: the model does not take the settings, or there are too few qualities for a curve.
        PictureError: an image cannot be read.
        BackendError: an effort, or the comparison, needs packages that are not installed.
    """
    reference: Curve | None = None
    for effort in efforts:
        stopwatch = _Stopwatch(model, effort)
        codings = {f"quality {quality:g}": stopwatch.coding(quality) for quality in qualities}
        curve = Curve(name=f"effort {effort}", points=tuple(measure(f"effort {effort}", codings, paths)))
        reference = reference or curve
        gain = bd_rate(reference, curve).percent
        yield EffortGain(effort=effort, bd_rate_percent=gain, seconds_per_megapixel=stopwatch.seconds_per_megapixel())


class _Stopwatch:
    """Codes at one effort and keeps the time that encoding takes."""

    def __init__(self, model: Model, effort: int) -> None:
        self._model, self._effort = model, effort
        self._seconds = self._pixels = 0.0

    def coding(self, quality: float) -> Coding:
        def code(picture: images.Picture) -> Coded:
            started = time.perf_counter()
            data = api.encode(picture, model=self._model, quality=quality, effort=self._effort)
            self._seconds += time.perf_counter() - started
            self._pixels += picture.width * picture.height
            return Coded(len(data), api.decode(data).pixels)

        return code

    def seconds_per_megapixel(self) -> float:
        return 1e6 * self._seconds / self._pixels
