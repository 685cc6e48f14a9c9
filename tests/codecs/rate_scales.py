"""Scales of quality made of curves, to search without a codec."""

import math
from collections.abc import Callable

import numpy as np

from nicodec.bitstream.container import Container, Header, Segment
from nicodec.codecs.target import Kind
from nicodec.images import Picture

Curve = Callable[[float], float]

SIDE = 64
BLANK = Picture(pixels=np.zeros((SIDE, SIDE, 1), np.uint8))
WRONG_BYTES = 4


class Synthetic:
    """Trials of a black picture: files of any size, and pictures in which some samples are wrong by 16.

    Args:
        size: payload bytes at a quality, `WRONG_BYTES` or more.
        decibel: PSNR at a quality, about 24.05 (all samples wrong) to 60 (one wrong); it counts as one wrong at least.

    Attributes:
        tried: every quality that was encoded.
    """

    lowest = 0.0
    highest = 100.0
    breaks: tuple[float, ...] = ()

    def __init__(self, size: Curve, decibel: Curve) -> None:
        self._size = size
        self._decibel = decibel
        self.tried: list[float] = []

    def encode(self, quality: float) -> Container:
        self.tried.append(quality)
        wrong = round(SIDE * SIDE * 255**2 / 256 * 10 ** (-self._decibel(quality) / 10))
        wrong = min(max(wrong, 1), SIDE * SIDE)
        payload = wrong.to_bytes(WRONG_BYTES, "little") + bytes(round(self._size(quality)) - WRONG_BYTES)
        return Container(header(), (Segment(0, payload),))

    def decode(self, container: Container) -> Picture:
        pixels = np.zeros(SIDE * SIDE, np.uint8)
        pixels[: int.from_bytes(container.segments[0].payload[:WRONG_BYTES], "little")] = 16
        return Picture(pixels=pixels.reshape(SIDE, SIDE, 1))


def header() -> Header:
    return Header(
        width=SIDE, height=SIDE, codec=9, model=1, model_hash=bytes(8), channels=1, stride_log2=0, align_log2=0
    )


def smooth(low: float, high: float, bend: float = 0.0) -> Curve:
    """From low at quality 0 to high at 100, with a bend of -1 to 1."""

    def curve(quality: float) -> float:
        x = quality / 100
        return low + (high - low) * (x + bend * x * (1 - x))

    return curve


def exponential(curve: Curve) -> Curve:
    return lambda quality: math.exp(curve(quality))


def meets(kind: Kind, value: float, target: float) -> bool:
    return value <= target if kind in ("size", "bpp") else value >= target
