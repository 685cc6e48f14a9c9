"""How large a file may declare itself to be before a reader refuses it.

The entropy coder yields symbols for ever, even from no bytes at all, so the work and memory of a decode are bounded
by the header, and the header is bounded here, before anything is allocated. The arithmetic is in FORMAT.md §10.
"""

from dataclasses import dataclass
from typing import Literal

from ..errors import LimitError

LimitName = Literal[
    "side",
    "pixels",
    "channels",
    "layers",
    "segments",
    "latents",
    "chunk",
    "ancillary",
    "ancillary_total",
    "chunk_count",
]

_SUBJECTS: dict[LimitName, str] = {
    "side": "longer side of the picture, in pixels,",
    "pixels": "number of pixels after padding",
    "channels": "number of latent channels",
    "layers": "number of layers",
    "segments": "number of segments",
    "latents": "number of latents",
    "chunk": "size of a chunk, in bytes,",
    "ancillary": "size of an ancillary chunk, in bytes,",
    "ancillary_total": "size of all ancillary chunks together, in bytes,",
    "chunk_count": "number of table and ancillary chunks",
}
_OPTIONS: dict[LimitName, str] = {"pixels": "--max-pixels or "}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The largest declared sizes that are accepted; the defaults are those of FORMAT.md §10.

    Attributes:
        side: width and height of the picture, in pixels.
        pixels: width times height after padding to the codec's alignment.
        channels: latent channels.
        layers: progressive layers.
        segments: segments.
        latents: channels times latent width times latent height.
        chunk: payload of any chunk, in bytes.
        ancillary: payload of one ancillary chunk, in bytes.
        ancillary_total: payloads of all ancillary chunks of a file, in bytes.
        chunk_count: table and ancillary chunks in a file.
    """

    side: int = 65535
    pixels: int = 1 << 28
    channels: int = 1024
    layers: int = 64
    segments: int = 1 << 16
    latents: int = 1 << 29
    chunk: int = 1 << 30
    ancillary: int = 1 << 24
    ancillary_total: int = 1 << 25
    chunk_count: int = 1 << 16

    def check(self, name: LimitName, value: int) -> None:
        """Refuse a declared value over the limit of that name.

        Raises:
            LimitError: it is; the message names the limit, the value and how to raise the limit.
        """
        limit: int = getattr(self, name)
        if value > limit:
            how = f"{_OPTIONS.get(name, '')}Limits({name}={value})"
            raise LimitError(f"the {_SUBJECTS[name]} is {value}, the limit is {limit}; to allow it, use {how}")


DEFAULT_LIMITS = Limits()
