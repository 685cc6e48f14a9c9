"""A codec without networks, as a plugin: latents are the samples divided by 16, so tests need no weights.

A quality divides by 64 to 2 instead; the header then says by how much.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nicodec.bitstream.ans import AnsDecoder, AnsEncoder
from nicodec.bitstream.container import ColourSpace, Container, Header, Segment
from nicodec.bitstream.tables import FrequencyTable, normalise
from nicodec.codecs import registry
from nicodec.codecs.alpha import decode_alpha, encode_alpha
from nicodec.codecs.base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from nicodec.codecs.metadata import chunks_of, picture_of
from nicodec.codecs.trials import CodedTrials, Trials
from nicodec.errors import BackendError, FormatError, RequestError
from nicodec.images import Picture
from nicodec.models import zoo

if TYPE_CHECKING:
    import pytest

NUMBER = 250
MODEL = "fake-3c"
INDEPENDENT = 1

_STEP = 16


class FakeCodec:
    id = "fake"
    number = NUMBER

    def encode(
        self, picture: Picture, model: zoo.Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        _check_backend(settings.backend)
        step = _STEP if settings.quality is None else round(64 / 32 ** (settings.quality / 100))
        latents = np.moveaxis(picture.pixels // step, -1, 0).astype(np.int32)
        payloads = [_coded(part, step) for part in (latents if settings.independent_channels else latents[None])]
        if picture.alpha is not None:
            payloads.append(encode_alpha(picture.alpha))
        for done in range(3):
            progress(done + 1, 3)
        header = Header(
            width=picture.width,
            height=picture.height,
            space=ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB,
            alpha=picture.alpha is not None,
            codec=NUMBER,
            model=model.number,
            model_hash=model.hash,
            channels=len(latents),
            stride_log2=0,
            align_log2=0,
            segments=len(payloads),
            profile=INDEPENDENT if settings.independent_channels else 0,
            extra=b"" if settings.quality is None else bytes([step]),
        )
        segments = tuple(Segment(index, payload) for index, payload in enumerate(payloads))
        return Container(header, segments, chunks_of(picture))

    def trials(
        self, picture: Picture, model: zoo.Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        def encode(quality: float) -> Container:
            return self.encode(picture, model, replace(settings, quality=quality))

        progress(1, 1)
        return CodedTrials(encode, lambda container: self.decode(container, model, DecodeRequest()))

    def decode(
        self, container: Container, model: zoo.Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        _check_backend(request.backend)
        header = container.header
        if request.channels is not None and header.profile != INDEPENDENT:
            raise RequestError("the channels depend on each other")
        wanted = request.channels if request.channels is not None else frozenset(range(header.channels))
        latents = np.zeros((header.channels, header.height, header.width), np.int32)
        arrived = {segment.index for segment in container.segments if segment.complete}
        if request.allow_partial and header.profile == INDEPENDENT:
            wanted &= arrived
        if wanted:
            latents[sorted(wanted)] = self.decode_planes(container, model, tuple(sorted(wanted)))
        step = _step(header)
        pixels = np.clip(np.moveaxis(latents * step + step // 2, 0, -1), 0, 255).astype(np.uint8)
        has_alpha = header.alpha and header.segments - 1 in arrived
        alpha = container.segments[-1].payload if has_alpha else None
        progress(1, 1)
        return picture_of(
            np.ascontiguousarray(pixels),
            None if alpha is None else decode_alpha(alpha, header.height, header.width),
            container,
        )

    def decode_planes(self, container: Container, model: zoo.Model, channels: tuple[int, ...]) -> npt.NDArray[np.int32]:
        header = container.header
        if any(channel >= header.channels for channel in channels):
            raise RequestError(f"the file has channels 0 to {header.channels - 1}")
        size = (header.height, header.width)
        payloads = {segment.index: segment.payload for segment in container.segments if segment.complete}
        if not set(channels if header.profile == INDEPENDENT else (0,)) <= set(payloads):
            raise FormatError("a segment is missing: get a complete copy of the file")
        if header.profile != INDEPENDENT:
            return _decoded(payloads[0], (header.channels, *size), _step(header))[list(channels)]
        return np.stack([_decoded(payloads[channel], size, _step(header)) for channel in channels])

    def verify(self, container: Container, model: zoo.Model) -> None:
        self.decode_planes(container, model, tuple(range(container.header.channels)))

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        return tuple(
            SegmentInfo(s.index, f"part {s.index}", s.size, s.crc32, "none", (0, 15)) for s in container.segments
        )


def install(monkeypatch: "pytest.MonkeyPatch", folder: Path) -> zoo.Model:
    """Makes the codec and one model of it the only ones there are; also for processes that the test starts."""
    files = {"encoder.onnx": b"e" * 1000, "decoder.onnx": b"d" * 2000, "entropy.npz": b"t" * 500}
    entry = folder / MODEL / "1"
    entry.mkdir(parents=True)
    for name, content in files.items():
        (entry / name).write_bytes(content)
    (entry / "card.json").write_text(json.dumps(card(zoo.model_hash(entry))))
    monkeypatch.setenv("NICODEC_MODELS", str(folder))
    monkeypatch.setattr(zoo, "_PACKAGED", folder / "absent")
    monkeypatch.setattr(registry, "_codecs", lambda: [FakeCodec()])
    return zoo.find(MODEL)


def card(digest: bytes) -> dict[str, Any]:
    return {
        "schema": 1,
        "id": MODEL,
        "codec": NUMBER,
        "model": 7,
        "hash": digest.hex(),
        "architecture": {"family": "fake", "channels": 3},
        "parameters": {"encoder": 1, "decoder": 2},
        "kmac_per_pixel": {"encode": 12.5, "decode": 7.25},
        "measured": [
            {"dataset": "other", "bpp": 9.0, "psnr": 9.0, "msssim": 0.9},
            {"dataset": "Kodak", "bpp": 0.8125, "psnr": 31.4142, "msssim": 0.97654},
        ],
        "licence": "Apache-2.0",
    }


def _check_backend(backend: str) -> None:
    if backend == "openvino":
        raise BackendError("backend openvino cannot be imported: pip install nicodec[openvino]")


def _step(header: Header) -> int:
    return header.extra[0] if header.extra else _STEP


def _coded(latents: npt.NDArray[np.int32], step: int) -> bytes:
    encoder = AnsEncoder()
    encoder.append(latents.ravel(), _table(step))
    return encoder.finish()


def _decoded(payload: bytes, shape: tuple[int, ...], step: int) -> npt.NDArray[np.int32]:
    decoder = AnsDecoder(payload)
    values = decoder.take(_table(step), int(np.prod(shape)))
    decoder.finish()
    return values.reshape(shape).astype(np.int32)


def _table(step: int) -> FrequencyTable:
    return FrequencyTable(normalise([1] * -(-256 // step)), minimum=0)
