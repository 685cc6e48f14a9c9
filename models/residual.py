"""The residual stage that several networks are made of."""

from typing import Any

from keras import layers

SLOPE = 0.1
"""Of leaky ReLUs."""


def residual(x: Any, channels: int, name: str) -> Any:
    """Two convolutions behind leaky ReLUs, added to what they are given, (n, h, w, channels)."""
    y = x
    for number in (1, 2):
        y = layers.LeakyReLU(negative_slope=SLOPE, name=f"{name}_act{number}")(y)
        y = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv{number}")(y)
    return layers.Add(name=f"{name}_sum")([x, y])
