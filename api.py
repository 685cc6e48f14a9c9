"""The Python interface: pictures to .nic data and back, one call each.

    >>> import nicodec
    >>> data = nicodec.encode("photo.jpg", quality=60)  # doctest: +SKIP
    >>> nicodec.info(data).bpp  # doctest: +SKIP
    0.71
    >>> array = nicodec.to_array(nicodec.decode(data))  # doctest: +SKIP
    >>> small = nicodec.encode("photo.jpg", target_size=50_000)  # doctest: +SKIP

The command line is built on these functions. Networks stay loaded for the life of the process, so a second picture
costs less than the first. Numpy and the inference runtime are imported when they are first needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, TypedDict, Unpack, runtime_checkable

from .bitstream import container as nic
from .bitstream.limits import DEFAULT_LIMITS
from .errors import LimitError, RequestError, TruncatedError
from .inspection import FileInfo, info, losses
from .models import zoo
from .sources import Source, naming, opened, path_of

if TYPE_CHECKING:
    import os
    from collections.abc import Collection, Iterable, Iterator

    import numpy as np
    import numpy.typing as npt

    from .bitstream.container import Chunk, Container, ContainerReader, Header, Limits, Segment
    from .codecs.base import Codec, Progress
    from .codecs.progressive import Progressive
    from .codecs.target import Target
    from .images import Picture
    from .models.zoo import Family, Model

__all__ = [
    "DEFAULT_MODEL",
    "EncodeOptions",
    "Encoded",
    "FileInfo",
    "decode",
    "decode_arriving",
    "decode_levels",
    "encode",
    "encode_with_details",
    "extract",
    "from_code_file",
    "info",
    "keeps_depth",
    "latents",
    "restore",
    "to_code_file",
    "truncate",
    "verify",
]

DEFAULT_MODEL = "shallow-two-layer"
_BYTE = 8


class EncodeOptions(TypedDict, total=False):
    """The settings that `encode` takes by keyword: the fields of `codecs.base.EncodeSettings`."""

    independent_channels: bool
    quality: float | None
    level: int | None
    effort: int
    fast_decode: bool
    inner: str | None
    backend: str
    threads: int | None


@runtime_checkable
class _PlaneCodec(Protocol):
    """A codec that can decode single latent channels."""

    def decode_planes(self, container: Container, model: Model, channels: tuple[int, ...]) -> npt.NDArray[np.int32]: ...


@runtime_checkable
class _CodeFileCodec(Protocol):
    """A codec whose codes the original's code file can hold."""

    def to_code_file(self, container: Container, model: Model) -> bytes: ...

    def from_code_file(self, data: bytes | BinaryIO, model: Model, max_pixels: int) -> Container: ...


@dataclass(frozen=True)
class Encoded:
    """A .nic file and how it came about.

    Attributes:
        data: the whole file.
        model: that it is coded with.
        quality: at which it is coded, given or found; the same quality gives the same file again. None if the codec chose.
        reached: what the file has or reaches of what a target asks for, in the target's unit; None without a target.
        trials: encodes that the search for the target took; None without a target.
        notes: remarks for people about the model and the settings.
    """

    data: bytes
    model: Model
    quality: float | None
    reached: float | None
    trials: int | None
    notes: tuple[str, ...] = ()


def encode(
    source: Picture | npt.NDArray[Any] | str | os.PathLike[str] | bytes | BinaryIO,
    *,
    model: str | Model | Family = DEFAULT_MODEL,
    target_bpp: float | None = None,
    target_size: float | None = None,
    target_psnr: float | None = None,
    target_msssim: float | None = None,
    strip: Collection[str] = (),
    max_pixels: int | None = None,
    progress: Progress | None = None,
    **settings: Unpack[EncodeOptions],
) -> bytes:
    """Encodes a picture of any size.

    A target, of which there can be one, and which excludes the setting `quality`, is met by a search over qualities (see
    `codecs.rate_control`) with a model of variable rate.

    Args:
        source: picture, of which a model that keeps no more than 8 bits takes the 8; array as for `images.from_array` (uint8, uint16 or bool, (H, W) or (H, W, 1..4)); or an image
            file as path, bytes or binary file.
        model: id of an installed model, or the model itself. The name of a family such as "l3ic" lets the quality or the
            target choose among its models.
        target_bpp: most bits of the whole file per pixel.
        target_size: most bytes of the whole file.
        target_psnr: least PSNR of the decoded picture in decibel.
        target_msssim: least MS-SSIM of the decoded picture, up to 1.
        strip: metadata to leave out: any of "icc", "exif", "xmp".
        max_pixels: limit for width x height of an image file, None for `images.MAX_PIXELS`. Over 2^28 it also allows
            a larger .nic file, which readers refuse unless their limit is raised too.
        progress: called with the numbers of finished parts and of all parts; a search begins to count anew.
        settings: how to encode; see `codecs.base.EncodeSettings`.

    Returns:
        A whole .nic file.

    Raises:
        PictureError: the image cannot be read.
        RequestError: array, setting, target or `strip` is not valid, or the target cannot be reached.
        LimitError: the picture is larger than the format allows.
        ModelError: the model is missing or damaged.
        BackendError: the inference runtime is missing or failed.
    """
    from .codecs.target import Target

    target = Target.chosen(bpp=target_bpp, size=target_size, psnr=target_psnr, msssim=target_msssim)
    return encode_with_details(
        source, model=model, target=target, strip=strip, max_pixels=max_pixels, progress=progress, **settings
    ).data


def encode_with_details(
    source: Picture | npt.NDArray[Any] | str | os.PathLike[str] | bytes | BinaryIO,
    *,
    model: str | Model | Family = DEFAULT_MODEL,
    target: Target | None = None,
    strip: Collection[str] = (),
    max_pixels: int | None = None,
    progress: Progress | None = None,
    **settings: Unpack[EncodeOptions],
) -> Encoded:
    """Encodes as `encode` does, and says with which model, at which quality and to which effect.

    Args:
        source: as for `encode`.
        model: as for `encode`.
        target: what to meet instead of a quality.
        strip: as for `encode`.
        max_pixels: as for `encode`.
        progress: as for `encode`.
        settings: as for `encode`.

    Raises:
        NicodecError: the errors are those of `encode`.
    """
    from .codecs import encoding
    from .codecs.base import EncodeSettings, no_progress

    options = EncodeSettings.from_json(dict(settings))
    chosen = zoo.find_model_or_family(model) if isinstance(model, str) else model
    deep = keeps_depth(chosen)
    picture = _without(_as_picture(source, max_pixels, deep=deep), strip)
    lost = () if deep or picture.deep is None else ("16 bits per channel reduced to 8",)

    def write(encoded: Container) -> bytes:
        return nic.write(encoded, limits=DEFAULT_LIMITS if max_pixels is None else _limits_around(encoded.header))

    with naming(path_of(source)):
        _require_codable(picture, max_pixels)
        outcome = encoding.encode(picture, chosen, options, target, progress or no_progress, write)
        data = write(outcome.container)
        return Encoded(data, outcome.model, outcome.quality, outcome.reached, outcome.trials, (*lost, *outcome.notes))


def decode(
    source: Source,
    *,
    channels: Iterable[int] | None = None,
    allow_partial: bool = False,
    level: int | None = None,
    backend: str = "onnxruntime",
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Picture:
    """Restores a picture. Of a file with levels that is cut off, the last level that arrived; `notes` then say so.

    Args:
        source: .nic file as path, bytes or binary file.
        channels: latent channels to use, the others count as zero; needs a file with independent channels. None for all.
        allow_partial: make do with what arrived of a file that is cut off or damaged, if its codec can; the picture's
            `notes` then say what is missing. Of a level that is cut off, it uses what is certain.
        level: which level to restore of a file with levels; None for the last.
        backend: inference runtime, one of `models.runtime.BACKENDS`.
        threads: threads of the network, None for all processors.
        limits: the sizes to accept.
        progress: called with the numbers of finished parts and of all parts.

    Raises:
        PictureError: the path cannot be read.
        FormatError: the data is not a whole, undamaged .nic file (see the subclasses), or too little of it arrived.
        RequestError: the channels do not fit the file.
        ModelError: the model that the file was encoded with is not installed.
        BackendError: the inference runtime is missing or failed.
    """
    from .codecs.base import DecodeRequest, no_progress

    chosen = None if channels is None else frozenset(channels)
    request = DecodeRequest(chosen, allow_partial=allow_partial, level=level, backend=backend, threads=threads)
    with opened(source) as stream:
        coded, codec, model = _read(nic.ContainerReader(stream, limits, allow_partial=allow_partial))
        if level is not None:
            _progressive(codec)
        picture = codec.decode(coded, model, request, progress or no_progress)
        return _with_losses(picture, coded)


def decode_levels(
    source: Source,
    levels: Iterable[int] | None = None,
    *,
    backend: str = "onnxruntime",
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
    progress: Progress | None = None,
) -> Iterator[tuple[int, Picture]]:
    """Restores a picture at several levels, in one pass unless it is very large.

    Args:
        source: .nic file with levels as path, bytes or binary file. Of one that is cut off, the levels that arrived.
        levels: which; None for all.
        backend: inference runtime, one of `models.runtime.BACKENDS`.
        threads: threads of the network, None for all processors.
        limits: the sizes to accept.
        progress: called with the numbers of finished parts and of all parts.

    Yields:
        Level and picture, ascending.

    Raises:
        RequestError: the file has no levels, or not that one.
        NicodecError: the other errors are those of `decode`.
    """
    from .codecs.base import DecodeRequest, no_progress

    with opened(source) as stream:
        coded, codec, model = _read(nic.ContainerReader(stream, limits))
        restorer = _progressive(codec)
        wanted = range(restorer.levels(coded.header)) if levels is None else sorted(set(levels))
        request = DecodeRequest(backend=backend, threads=threads)
        for level, picture in restorer.decode_levels(coded, model, request, wanted, progress or no_progress):
            yield level, _with_losses(picture, coded)


def decode_arriving(
    source: Source, *, backend: str = "onnxruntime", threads: int | None = None, limits: Limits = DEFAULT_LIMITS
) -> Iterator[tuple[int, Picture]]:
    """Restores a picture level by level while its file arrives, such as through a pipe.

    Args:
        source: .nic file with levels; a stream is read only as far as the next level needs.
        backend: inference runtime, one of `models.runtime.BACKENDS`.
        threads: threads of the network, None for all processors.
        limits: the sizes to accept.

    Yields:
        Level and picture, ascending; the pictures have the file's colour profile and metadata, as far as they came
        before. Transparency is the last in a file: the last level then comes once more, with it.

    Raises:
        RequestError: the file has no levels.
        TruncatedError: the data ended before the last level, or the transparency; what came before is as it should be.
        NicodecError: the other errors are those of `decode`.
    """
    from .codecs.base import DecodeRequest

    last = -1
    with opened(source) as stream:
        reader = nic.ContainerReader(stream, limits)
        codec, model = _codec_and_model(reader.header)
        restorer = _progressive(codec)
        reader.allow_cut = True
        chunks: list[Chunk] = []
        request = DecodeRequest(backend=backend, threads=threads)
        for level, picture in restorer.decode_arriving(reader.header, _segments(reader, chunks), model, request):
            known = nic.Container(reader.header, (), tuple(chunks))
            last = level
            yield level, replace(picture, icc=known.icc, exif=known.exif, xmp=known.xmp)
        if not reader.complete:
            came = f"level {last}" if last >= 0 else "the first level"
            when = "after" if last >= 0 else "before"
            raise TruncatedError(f"the data ends {when} {came} of 0 to {reader.header.layers - 1}: get the file again")


def truncate(source: Source, level: int, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Makes a smaller file of one with levels, without encoding anything again.

    Args:
        source: .nic file with levels as path, bytes or binary file.
        level: the last level to keep.
        limits: the sizes to accept.

    Returns:
        A whole .nic file.

    Raises:
        RequestError: the file has no levels, or not that one.
        FormatError: the data is not a whole, undamaged .nic file (see the subclasses).
        ModelError: the file's codec is not installed.
    """
    with opened(source) as stream:
        coded = nic.read(stream, limits=limits)
        return nic.write(_progressive(_codec(coded.header.codec)).truncated(coded, level), limits=limits)


def extract(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> tuple[bytes, str]:
    """Takes the standard codec's file, such as a JPEG, out of a sandwich.

    Args:
        source: .nic file of a sandwich model as path, bytes or binary file.
        limits: the sizes to accept.

    Returns:
        The file, which any image viewer opens, and the suffix of its name, such as ".jpg".

    Raises:
        RequestError: the file has no such file inside.
        FormatError: the data is not a whole, undamaged .nic file (see the subclasses).
        ModelError: the file's codec is not installed.
    """
    from .codecs.base import AroundStandard

    with opened(source) as stream:
        coded = nic.read(stream, limits=limits)
        codec = _codec(coded.header.codec)
        if not isinstance(codec, AroundStandard):
            raise RequestError(f"files of codec {codec.id} have no standard file inside: extract works on sandwiches")
        return codec.inner_file(coded)


def restore(
    source: Picture | str | os.PathLike[str] | bytes | BinaryIO,
    *,
    model: str | Model,
    step: int | None = None,
    max_pixels: int | None = None,
    backend: str = "onnxruntime",
    threads: int | None = None,
    progress: Progress | None = None,
) -> Picture:
    """What the post-processor of a sandwich makes of a bare file of its standard codec, or of any picture.

    Args:
        source: image file as path, bytes or binary file, or a picture.
        model: a sandwich model. One that keeps 16 bits gives 16, whatever the file was made of.
        step: quantisation step that the network is told of, 1 to 255; None for what the file's tables say if it is a JPEG,
            and for an estimate from its size if it is another file.
        max_pixels: limit for width x height of an image file, None for `images.MAX_PIXELS`.
        backend: inference runtime, one of `models.runtime.BACKENDS`.
        threads: threads of the network, None for all processors.
        progress: called with the numbers of finished parts and of all parts.

    Raises:
        PictureError: the image cannot be read.
        RequestError: the model is of another codec, or codes gray and the picture is in colour; or no step
            is given for a picture that is no file.
        ModelError: the model is missing or damaged.
        BackendError: the inference runtime is missing or failed.
    """
    import os

    from .codecs.base import DecodeRequest, no_progress
    from .codecs.encoding import around_standard
    from .images import Picture

    chosen = zoo.find(model) if isinstance(model, str) else model
    codec = around_standard(chosen)
    if step is not None and step not in range(1, 256):
        raise RequestError(f"a quantisation step of {step} does not exist: choose a whole number from 1 to 255")
    content = source if isinstance(source, Picture | str | bytes | os.PathLike) else source.read()
    picture = _as_picture(content, max_pixels)
    with naming(path_of(source)):
        if step is None:
            if isinstance(content, Picture):
                raise RequestError("a picture does not say its quantisation step: give one, 1 to 255")
            data = content if isinstance(content, bytes) else os.fspath(content)
            step = codec.estimated_step(data, picture.width * picture.height, chosen)
        request = DecodeRequest(backend=backend, threads=threads)
        return codec.restore_inner(picture, step, chosen, request, progress or no_progress)


def to_code_file(source: Source, *, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Makes a code file of the original residual GRU of a .nic file; see `codecs.codes_npz`.

    Args:
        source: .nic file of a residual-GRU model as path, bytes or binary file.
        limits: the sizes to accept.

    Raises:
        RequestError: the file is of another codec.
        NicodecError: the other errors are those of `verify`.
    """
    with opened(source) as stream:
        coded = nic.read(stream, limits=limits)
        codec, model = _codec_and_model(coded.header)
        return _code_file_codec(codec).to_code_file(coded, model)


def from_code_file(source: Source, *, model: str | Model, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """Makes a .nic file of a code file; the picture has the padded size.

    Args:
        source: code file as path, bytes, or binary file that can seek.
        model: the model that made the codes.
        limits: the sizes to accept.

    Raises:
        FormatError: the source is no code file.
        RequestError: the model is of another codec, or has fewer levels.
        ModelError: the model is missing or damaged.
    """
    chosen = zoo.find(model) if isinstance(model, str) else model
    with opened(source) as stream:
        coded = _code_file_codec(_codec(chosen.codec)).from_code_file(stream, chosen, limits.pixels)
        return nic.write(coded, limits=limits)


def latents(source: Source, channel: int, *, limits: Limits = DEFAULT_LIMITS) -> npt.NDArray[np.int8]:
    """Decodes one latent channel; of a file with independent channels, without decoding any other.

    Args:
        source: .nic file as path, bytes or binary file.
        channel: 0 to the number of channels - 1.
        limits: the sizes to accept.

    Returns:
        int8 (latent height, latent width): symbols of the model's codebook.

    Raises:
        PictureError: the path cannot be read.
        FormatError: the data is not a whole, undamaged .nic file (see the subclasses).
        RequestError: there is no such channel, or the file's codec has no latent channels.
        ModelError: the model that the file was encoded with is not installed.
    """
    import numpy as np

    with opened(source) as stream:
        coded = nic.read(stream, limits=limits)
        codec, model = _codec_and_model(coded.header)
        if not isinstance(codec, _PlaneCodec):
            raise RequestError(f"codec {codec.id} has no latent channels: decode the whole picture")
        planes = codec.decode_planes(coded, model, (channel,))
        return np.asarray(planes[0], np.int8)


def verify(
    source: Source,
    *,
    network: bool = True,
    backend: str = "onnxruntime",
    threads: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Makes sure that a file decodes: checksums, all entropy-coded data, and the network.

    Args:
        source: .nic file as path, bytes or binary file.
        network: whether to run the network too; without it no inference runtime is needed.
        backend: inference runtime, one of `models.runtime.BACKENDS`.
        threads: threads of the network, None for all processors.
        limits: the sizes to accept.

    Raises:
        NicodecError: it does not decode; the errors are those of `decode`.
    """
    from .codecs.base import DecodeRequest

    with opened(source) as stream:
        coded = nic.read(stream, limits=limits)
        codec, model = _codec_and_model(coded.header)
        if network:
            codec.decode(coded, model, DecodeRequest(backend=backend, threads=threads))
        else:
            codec.verify(coded, model)


def _with_losses(picture: Picture, coded: Container) -> Picture:
    """The picture, with notes about what was missing when it was decoded."""
    lost = losses(coded)
    if coded.header.alpha and picture.alpha is None:
        lost = (*lost, "transparency is lost")
    return replace(picture, notes=(*picture.notes, *lost)) if lost else picture


def _codec(number: int) -> Codec:
    from .codecs.registry import codec_by_number

    return codec_by_number(number)


def _read(reader: ContainerReader) -> tuple[Container, Codec, Model]:
    """A file, as far as its codec can use it."""
    codec, model = _codec_and_model(reader.header)
    reader.allow_cut = _has_levels(codec)
    return nic.collect(reader), codec, model


def _segments(reader: ContainerReader, chunks: list[Chunk]) -> Iterator[Segment]:
    """The segments as they arrive; other chunks are added to a list."""
    for item in reader:
        if isinstance(item, nic.Segment):
            yield item
        else:
            chunks.append(item)


def _has_levels(codec: Codec) -> bool:
    from .codecs.progressive import Progressive

    return isinstance(codec, Progressive)


def _progressive(codec: Codec) -> Progressive:
    from .codecs.progressive import progressive

    return progressive(codec, codec.id)


def _code_file_codec(codec: Codec) -> _CodeFileCodec:
    if not isinstance(codec, _CodeFileCodec):
        raise RequestError(f"codec {codec.id} has no binary codes: use a residual-gru model")
    return codec


def _codec_and_model(header: Header) -> tuple[Codec, Model]:
    return _codec(header.codec), zoo.find_for_file(header.codec, header.model, header.model_hash)


def keeps_depth(model: str | Model | Family) -> bool:
    """Whether a model has use for pictures of more than 8 bits per sample (`images.load` with `deep`).

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    from .codecs.base import HighDepth

    if isinstance(model, str):
        model = zoo.find_model_or_family(model)
    if not isinstance(model, zoo.Model):
        return False
    codec: object = _codec(model.codec)
    return isinstance(codec, HighDepth) and codec.depth(model) > _BYTE


def _as_picture(
    source: Picture | npt.NDArray[Any] | str | os.PathLike[str] | bytes | BinaryIO,
    max_pixels: int | None,
    *,
    deep: bool = False,
) -> Picture:
    import numpy as np

    from .images import MAX_PIXELS, Picture, from_array, load

    if isinstance(source, Picture):
        return source
    if isinstance(source, np.ndarray):
        return from_array(source, deep=deep)
    return load(source, max_pixels=MAX_PIXELS if max_pixels is None else max_pixels, deep=deep)


def _require_codable(picture: Picture, max_pixels: int | None) -> None:
    """Refuses, before the network runs, what the writer would refuse after it."""
    width, height = picture.width, picture.height
    most = max(DEFAULT_LIMITS.pixels, max_pixels or 0)
    if max(width, height) > DEFAULT_LIMITS.side:
        raise LimitError(f"{width}x{height} is over {DEFAULT_LIMITS.side} pixels a side: make it smaller")
    if width * height > most:
        raise LimitError(f"{width}x{height} is more than {most} pixels: make it smaller or raise the limit")


def _limits_around(header: Header) -> Limits:
    """The default limits, as far as needed raised for the size of a picture that the caller allowed."""
    latents = header.channels * header.latent_width * header.latent_height
    return replace(
        DEFAULT_LIMITS,
        pixels=max(DEFAULT_LIMITS.pixels, header.padded_width * header.padded_height),
        latents=max(DEFAULT_LIMITS.latents, latents),
    )


def _without(picture: Picture, strip: Collection[str]) -> Picture:
    from .image_formats import METADATA

    if unknown := set(strip) - set(METADATA):
        raise RequestError(f"cannot strip {', '.join(sorted(unknown))}: choose from {', '.join(METADATA)}")
    absent: dict[str, Any] = dict.fromkeys(strip)
    return replace(picture, **absent)
