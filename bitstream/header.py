"""The header of a .nic file: the HEAD chunk.

Layout: FORMAT.md §3.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from ..errors import FormatError, RequestError
from .limits import DEFAULT_LIMITS, Limits
from .wire import VARINT_LIMIT, Cursor, encode_varint

MODEL_HASH_BYTES = 8
HEADER_BYTES = 1024

_SPACE_MASK = 0b111
_ALPHA_SHIFT = 7
_NIBBLE = 0b1111
_RANGES = (
    ("width", 1, VARINT_LIMIT - 1),
    ("height", 1, VARINT_LIMIT - 1),
    ("depth", 1, 16),
    ("codec", 0, 255),
    ("model", 0, VARINT_LIMIT - 1),
    ("channels", 1, VARINT_LIMIT - 1),
    ("stride_log2", 0, 15),
    ("align_log2", 0, 15),
    ("layers", 1, VARINT_LIMIT - 1),
    ("segments", 1, VARINT_LIMIT - 1),
    ("profile", 0, 15),
)


class ColourSpace(IntEnum):
    """What the colour samples of a pixel mean; alpha is counted apart."""

    RGB = 0
    GRAY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """Everything about a file that is known without decoding it.

    Attributes:
        width: true width of the picture in pixels, at least 1.
        height: true height of the picture in pixels, at least 1.
        depth: bits per sample, 1 to 16.
        space: meaning of the colour samples.
        alpha: whether the picture has an alpha channel.
        codec: number of the codec, 0 to 255; it says what the segments mean.
        model: number of the model within the codec.
        model_hash: first 8 bytes of the SHA-256 that identifies the model's weights.
        channels: latent channels, at least 1.
        stride_log2: log2 of the picture pixels per latent along each axis, 0 to 15.
        align_log2: log2 of the multiple that both sides are padded to, `stride_log2` to 15.
        layers: progressive layers, at least 1.
        segments: segments in the file, at least 1.
        profile: four bits whose meaning the codec defines, 0 to 15.
        extra: the codec's own fields, then bytes after the last field known to this version; kept as they are.

    Raises:
        RequestError: a field is out of the range that the format can hold.
    """

    width: int
    height: int
    codec: int
    model: int
    model_hash: bytes
    channels: int
    stride_log2: int
    align_log2: int
    depth: int = 8
    space: ColourSpace = ColourSpace.RGB
    alpha: bool = False
    layers: int = 1
    segments: int = 1
    profile: int = 0
    extra: bytes = b""

    def __post_init__(self) -> None:
        for name, low, high in _RANGES:
            value: int = getattr(self, name)
            if not low <= value <= high:
                raise RequestError(f"{name} is {value}, the header holds {low} to {high}")
        if self.align_log2 < self.stride_log2:
            raise RequestError(f"align_log2 {self.align_log2} is less than stride_log2 {self.stride_log2}")
        if len(self.model_hash) != MODEL_HASH_BYTES:
            raise RequestError(f"the model hash has {len(self.model_hash)} bytes, the header holds {MODEL_HASH_BYTES}")

    @property
    def padded_width(self) -> int:
        """Width in pixels after padding on the right, as the transform sees it."""
        return _round_up(self.width, self.align_log2)

    @property
    def padded_height(self) -> int:
        """Height in pixels after padding at the bottom, as the transform sees it."""
        return _round_up(self.height, self.align_log2)

    @property
    def latent_width(self) -> int:
        """Width of a latent plane."""
        return self.padded_width >> self.stride_log2

    @property
    def latent_height(self) -> int:
        """Height of a latent plane."""
        return self.padded_height >> self.stride_log2

    def check_limits(self, limits: Limits) -> None:
        """Refuse sizes over the limits.

        Raises:
            LimitError: a size is over its limit.
        """
        limits.check("side", max(self.width, self.height))
        limits.check("pixels", self.padded_width * self.padded_height)
        limits.check("channels", self.channels)
        limits.check("layers", self.layers)
        limits.check("segments", self.segments)
        limits.check("latents", self.channels * self.latent_width * self.latent_height)

    def to_bytes(self) -> bytes:
        """Return the payload of the HEAD chunk.

        Raises:
            RequestError: `extra` makes it longer than the format allows.
        """
        payload = b"".join(
            (
                encode_varint(self.width),
                encode_varint(self.height),
                bytes((self.depth - 1 | self.space << 4 | self.alpha << _ALPHA_SHIFT, self.codec)),
                encode_varint(self.model),
                self.model_hash,
                encode_varint(self.channels),
                bytes((self.stride_log2 | self.align_log2 << 4,)),
                encode_varint(self.layers),
                encode_varint(self.segments),
                bytes((self.profile,)),
                self.extra,
            )
        )
        if len(payload) > HEADER_BYTES:
            raise RequestError(f"the header has {len(payload)} bytes, the format allows {HEADER_BYTES}; shorten extra")
        return payload

    @classmethod
    def from_bytes(cls, payload: bytes, limits: Limits = DEFAULT_LIMITS) -> Self:
        """Read the payload of a HEAD chunk.

        Args:
            payload: the payload, its checksum already verified.
            limits: the sizes to accept.

        Raises:
            FormatError: a field is invalid or missing.
            LimitError: a size is over its limit.
        """
        cursor = Cursor(payload, "the header")
        try:
            header = cls._parse(cursor)
        except RequestError as error:
            raise FormatError(f"the header is invalid: {error}") from None
        header.check_limits(limits)
        return header

    @classmethod
    def _parse(cls, cursor: Cursor) -> Self:
        width, height = cursor.varint(), cursor.varint()
        samples, codec = cursor.u8(), cursor.u8()
        model, model_hash, channels = cursor.varint(), cursor.take(MODEL_HASH_BYTES), cursor.varint()
        geometry = cursor.u8()
        layers, segments, flags = cursor.varint(), cursor.varint(), cursor.u8()
        if flags > _NIBBLE:
            raise FormatError(
                f"reserved flags are set in the header (0x{flags:02x}); a newer nicodec may read the file"
            )
        return cls(
            width=width,
            height=height,
            depth=(samples & _NIBBLE) + 1,
            space=_colour_space(samples >> 4 & _SPACE_MASK),
            alpha=bool(samples >> _ALPHA_SHIFT),
            codec=codec,
            model=model,
            model_hash=model_hash,
            channels=channels,
            stride_log2=geometry & _NIBBLE,
            align_log2=geometry >> 4,
            layers=layers,
            segments=segments,
            profile=flags,
            extra=cursor.rest(),
        )


def _round_up(size: int, log2: int) -> int:
    return (size + (1 << log2) - 1) >> log2 << log2


def _colour_space(number: int) -> ColourSpace:
    try:
        return ColourSpace(number)
    except ValueError:
        raise FormatError(f"colour space {number} is unknown; a newer nicodec may read the file") from None
