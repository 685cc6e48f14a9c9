"""The l3ic codec: one forward pass each way, a 5-bit latent at 1/8 resolution, 16, 32 or 64 channels.

Segments: the latents in one of two ways (`bitstream/planes.py`), then, if the header has alpha, one alpha segment.
Header fields: codec 1; model 1, 2, 3 for 16, 32, 64 channels; stride and alignment 8; profile and latent step as in
`l3ic_header.py`.

An encoder that looks for the best latent step analyses a picture once with `analyse_picture` and then calls
`code_latents` as often as it likes. Quality is the latent step: from 4 at quality 0 to the model's own at 100,
logarithmic between. The models together make one scale, in which a larger model takes over at its step 2 where the one
before it has come to its own.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from ..bitstream import planes
from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..bitstream.context import Planes
from ..bitstream.planes import LatentTables
from ..errors import FormatError, ModelError, RequestError
from ..images import Picture
from ..models.quantiser import quantise
from ..models.runtime import load_network
from ..models.zoo import Model
from . import entropy_file, l3ic_header
from .alpha import decode_alpha, encode_alpha
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .ladder import Rung
from .metadata import chunks_of, picture_of
from .padding import padded
from .segments import payload_of
from .statistics import GroupStatistics
from .tiling import analyse, analyse_to_symbols, synthesise
from .trials import CodedTrials, Trials, one_quality_only

_STRIDE = 1 << l3ic_header.STRIDE_LOG2
_CODEBOOK = (-15, 16)
_TAKE_OVER = 50.0
"""Quality at which a model continues the scale of the one with half its channels: there they give files of one size."""

_HALO = 6  # the receptive field of both transforms reaches 38 pixels, under 5 latent positions

Symbols = npt.NDArray[np.int8]


def analyse_picture(
    picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
) -> npt.NDArray[np.float32]:
    """Runs the analysis transform over a whole picture.

    Returns:
        Latents in steps of the model, not quantised: float32 (channels, latent height, latent width).

    Raises:
        ModelError: the model's files are missing or damaged.
        BackendError: the inference runtime is missing or failed.
    """
    network = load_network(model, "encoder", backend=settings.backend, threads=settings.threads)
    channels = _tables(model).context.channels
    return analyse(network, padded(picture.pixels, _STRIDE), channels, _STRIDE, _HALO, progress)


def code_latents(
    latents: npt.NDArray[np.float32], picture: Picture, model: Model, settings: EncodeSettings, step: float = 1.0
) -> Container:
    """Quantises and codes what `analyse_picture` gave.

    Args:
        latents: float32 (channels, latent height, latent width). Those that are multiples of the step already, within the
            codebook, keep their value.
        picture: the picture that they belong to, for everything but its colours.
        model: that of the analysis.
        settings: of which only the profile matters here.
        step: latent step in steps of the model, rounded to one that the header can hold. Larger ones give smaller files;
            under 1, the ends of the codebook clip ever more latents.

    Raises:
        RequestError: the step is out of range, or not 1 and the model's decoder takes integers alone; or the latents are
            not of the picture's size.
        ModelError: the model's files are damaged, or a latent is not finite.
    """
    expected = (_tables(model).context.channels, -(-picture.height // _STRIDE), -(-picture.width // _STRIDE))
    if latents.shape != expected:
        raise RequestError(
            f"latents of shape {latents.shape} are not those of the picture, {expected}: analyse it again"
        )
    step = _checked_step(step, model)
    return _packed(_quantiser(model, step)(latents), picture, model, settings, step)


def encode_picture(
    picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress, step: float = 1.0
) -> Container:
    """The same as `code_latents` of `analyse_picture`, without ever holding the latents of a whole large picture."""
    step = _checked_step(step, model)
    quantiser = _quantiser(model, step)
    network = load_network(model, "encoder", backend=settings.backend, threads=settings.threads)
    channels = _tables(model).context.channels
    pixels = padded(picture.pixels, _STRIDE)
    symbols = analyse_to_symbols(network, pixels, channels, _STRIDE, _HALO, progress, quantiser)
    return _packed(symbols, picture, model, settings, step)


class L3ic:
    """See the module."""

    id = "l3ic"
    number = l3ic_header.NUMBER

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """See `Codec.encode`."""
        if settings.quality is None:
            return encode_picture(picture, model, settings, progress)
        _require_fractions(model)
        return encode_picture(picture, model, settings, progress, l3ic_header.step_of_quality(settings.quality))

    def trials(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        """See `VariableRate.trials`."""
        _require_fractions(model)
        latents = analyse_picture(picture, model, settings, progress)
        request = DecodeRequest(backend=settings.backend, threads=settings.threads)

        def encode(quality: float) -> Container:
            return code_latents(latents, picture, model, settings, l3ic_header.step_of_quality(quality))

        return CodedTrials(encode, lambda container: self.decode(container, model, request))

    def ladder(self, models: Sequence[Model]) -> tuple[Rung, ...]:
        """See `Laddered.ladder`: the models that take a latent step, by rising number of channels."""
        flexible = sorted((model for model in models if _takes_fractions(model)), key=_channels)
        return tuple(Rung(model, _TAKE_OVER if index else 0.0) for index, model in enumerate(flexible))

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `Codec.decode`."""
        header = container.header
        symbols = self._symbols(container, model, request.channels)
        network = load_network(model, "decoder", backend=request.backend, threads=request.threads)
        pixels = synthesise(network, symbols, l3ic_header.latent_step(header), _STRIDE, _HALO, progress)
        pixels = pixels[: header.height, : header.width]
        if header.space is ColourSpace.GRAY:
            pixels = pixels[:, :, 1:2]
        return picture_of(np.ascontiguousarray(pixels), _alpha(container), container)

    def decode_planes(self, container: Container, model: Model, channels: tuple[int, ...]) -> Planes:
        """Decodes single latent channels, from a file with independent channels without touching the others.

        Returns:
            int32 (len(channels), latent height, latent width) within the codebook: multiples of the latent step.

        Raises:
            RequestError: a channel does not exist.
            FormatError: a segment is missing or damaged.
        """
        header = container.header
        tables = _checked_tables(header, model)
        _check_channels(channels, header.channels)
        if not l3ic_header.is_independent(header):
            return _decode_context(container, tables)[list(channels)]
        stack = [_decode_channel(container, tables, channel) for channel in channels]
        return np.stack(stack) if stack else np.empty((0, header.latent_height, header.latent_width), np.int32)

    def verify(self, container: Container, model: Model) -> None:
        """See `Codec.verify`."""
        self._symbols(container, model, None)
        _alpha(container)

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """See `Codec.describe`."""
        header = container.header
        _check_header(header)
        stripes = planes.stripe_rows(header.latent_height, header.latent_width)
        return tuple(_describe(segment, header, stripes) for segment in container.segments)

    def statistics(self, container: Container, model: Model) -> tuple[GroupStatistics, ...]:
        """See `WithStatistics.statistics`; one group for each channel."""
        apart = l3ic_header.is_independent(container.header)
        return tuple(
            GroupStatistics(
                first=channel,
                last=channel,
                bits=8.0 * len(payload_of(container, channel)) if apart else None,
                zeros=float(np.mean(plane == 0)),
                size=float(np.sqrt(np.mean(np.square(plane, dtype=np.float64)))),
                residual=None,
                expected=None,
            )
            for channel, plane in enumerate(self._symbols(container, model, None))
        )

    def _symbols(self, container: Container, model: Model, channels: frozenset[int] | None) -> Symbols:
        header = container.header
        tables = _checked_tables(header, model)
        symbols = np.zeros((header.channels, header.latent_height, header.latent_width), np.int8)
        if channels is None:
            _fill(symbols, container, tables)
            return symbols
        if not l3ic_header.is_independent(header):
            raise RequestError("the file's channels depend on each other; encode it with --independent-channels first")
        wanted = tuple(sorted(channels))
        symbols[list(wanted)] = self.decode_planes(container, model, wanted)
        return symbols


@lru_cache(maxsize=8)
def _tables(model: Model) -> LatentTables:
    """The model's integer tables."""
    tables = entropy_file.read(model, LatentTables.from_arrays)
    if (tables.context.minimum, tables.context.maximum) != _CODEBOOK:
        raise ModelError(
            f"the tables in {model.folder} are for another codebook than that of l3ic; reinstall the model"
        )
    return tables


def _checked_tables(header: Header, model: Model) -> LatentTables:
    """The tables that decode a file with that header.

    Raises:
        FormatError: the header is not one of l3ic, or not one of this model.
        ModelError: the model's files are missing or damaged.
    """
    _check_header(header)
    if l3ic_header.latent_step(header) != 1.0 and not _takes_fractions(model):
        raise FormatError(
            f"the header has a latent step, which {model.id} revision {model.revision} cannot take: "
            "get an undamaged copy of the file"
        )
    tables = _tables(model)
    if header.channels != tables.context.channels:
        raise FormatError(
            f"the header has {header.channels} channels, model {model.id} {tables.context.channels}: "
            "get an undamaged copy of the file"
        )
    return tables


def _quantiser(model: Model, step: float) -> Callable[[npt.NDArray[np.float32]], Symbols]:
    """The model's quantiser.

    Raises:
        ModelError: the card has no dead zone that can be used.
    """
    dead_zone = model.card["architecture"].get("dead_zone", 0.0)
    if not isinstance(dead_zone, int | float) or not 0 <= dead_zone < 0.5:
        raise ModelError(f"the card of {model.id} has the dead zone {dead_zone!r}, not 0 to 0.5: reinstall the model")
    return partial(quantise, step_ratio=step, dead_zone=dead_zone, codebook=_CODEBOOK)


def _checked_step(step: float, model: Model) -> float:
    """The step that the header can hold.

    Raises:
        RequestError: it is out of range, or the model's decoder takes integers alone.
    """
    representable = l3ic_header.representable_step(step)
    if representable != 1.0 and not _takes_fractions(model):
        raise RequestError(
            f"{model.id} revision {model.revision} takes no latent step: update nicodec, or choose another model"
        )
    return representable


def _require_fractions(model: Model) -> None:
    """Refuses a model whose latents cannot be scaled.

    Raises:
        RequestError: its decoder takes integers alone.
    """
    if not _takes_fractions(model):
        raise one_quality_only(model)


def _channels(model: Model) -> int:
    """Number of latent channels.

    Raises:
        ModelError: the card does not say.
    """
    channels = model.card["architecture"].get("channels")
    if not isinstance(channels, int):
        raise ModelError(f"the card of {model.id} has the channels {channels!r}, not a number: reinstall the model")
    return channels


def _takes_fractions(model: Model) -> bool:
    """Whether the decoder's input is declared as float32, as the card says so that no network has to be loaded.

    A card that says so wrongly does no harm: the runtime refuses to round fractions for a graph of integers.
    """
    return bool(model.card["architecture"].get("latent_type") == "float32")


def _packed(symbols: Symbols, picture: Picture, model: Model, settings: EncodeSettings, step: float) -> Container:
    payloads = _payloads(symbols, _tables(model), settings.independent_channels)
    if picture.alpha is not None:
        payloads.append(encode_alpha(picture.alpha))
    profile, extra = l3ic_header.profile_fields(settings.independent_channels, step)
    header = Header(
        width=picture.width,
        height=picture.height,
        space=ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB,
        alpha=picture.alpha is not None,
        codec=l3ic_header.NUMBER,
        model=model.number,
        model_hash=model.hash,
        channels=len(symbols),
        stride_log2=l3ic_header.STRIDE_LOG2,
        align_log2=l3ic_header.STRIDE_LOG2,
        segments=len(payloads),
        profile=profile,
        extra=extra,
    )
    segments = tuple(Segment(index, payload) for index, payload in enumerate(payloads))
    return Container(header, segments, chunks_of(picture))


def _payloads(symbols: Symbols, tables: LatentTables, independent: bool) -> list[bytes]:
    if independent:
        return [planes.encode_channel(plane.astype(np.int32), tables.shared) for plane in symbols]
    return [
        planes.encode_stripe(symbols[:, top:bottom].astype(np.int32), tables.context)
        for top, bottom in planes.stripe_rows(*symbols.shape[1:])
    ]


def _fill(symbols: Symbols, container: Container, tables: LatentTables) -> None:
    """Decodes everything into int8 (channels, h, w), piece by piece so that memory stays small."""
    if l3ic_header.is_independent(container.header):
        for channel in range(len(symbols)):
            symbols[channel] = _decode_channel(container, tables, channel)
        return
    for index, (top, bottom) in enumerate(planes.stripe_rows(*symbols.shape[1:])):
        payload = payload_of(container, index)
        symbols[:, top:bottom] = planes.decode_stripe(payload, tables.context, bottom - top, symbols.shape[2])


def _decode_context(container: Container, tables: LatentTables) -> Planes:
    header = container.header
    symbols = np.zeros((header.channels, header.latent_height, header.latent_width), np.int8)
    _fill(symbols, container, tables)
    return symbols.astype(np.int32)


def _decode_channel(container: Container, tables: LatentTables, channel: int) -> Planes:
    header = container.header
    payload = payload_of(container, channel)
    return planes.decode_channel(payload, tables.shared, header.latent_height, header.latent_width)


def _alpha(container: Container) -> npt.NDArray[np.uint8] | None:
    header = container.header
    if not header.alpha:
        return None
    return decode_alpha(payload_of(container, header.segments - 1), header.height, header.width)


def _check_header(header: Header) -> None:
    """Refuses headers that no l3ic encoder writes.

    Raises:
        FormatError: a field contradicts the codec.
    """
    l3ic_header.check(header)
    if l3ic_header.is_independent(header):
        expected = header.channels
    else:
        expected = len(planes.stripe_rows(header.latent_height, header.latent_width))
    if header.segments != expected + header.alpha:
        raise FormatError(f"{header.segments} segments where {expected + header.alpha} belong: get an undamaged copy")


def _check_channels(channels: tuple[int, ...], count: int) -> None:
    wrong = [channel for channel in channels if not 0 <= channel < count]
    if wrong:
        raise RequestError(f"channel {wrong[0]} does not exist; the file has channels 0 to {count - 1}")


def _describe(segment: Segment, header: Header, stripes: list[tuple[int, int]]) -> SegmentInfo:
    content, table = f"channel {segment.index}", "context"
    symbols: tuple[int, int] | None = _CODEBOOK
    if header.alpha and segment.index == header.segments - 1:
        content, table, symbols = "alpha", "none", (0, 255)
    elif not l3ic_header.is_independent(header):
        top, bottom = stripes[segment.index]
        content = f"latent rows {top}-{bottom - 1}"
    else:
        table, symbols = _describe_table(segment)
    return SegmentInfo(segment.index, content, segment.size, segment.crc32, table, symbols)


def _describe_table(segment: Segment) -> tuple[str, tuple[int, int] | None]:
    """Table and symbols of a channel segment; one that was cut off may have lost its table."""
    try:
        choice = planes.read_channel_table(segment.payload)
    except FormatError:
        if segment.complete:
            raise
        return "cut off", None
    if choice.own is None:
        return f"shared {choice.shared}", _CODEBOOK
    return f"own ({choice.start - 1} bytes)", (choice.own.minimum, choice.own.maximum)
