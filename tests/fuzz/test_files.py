"""Whatever happens to a .nic file, decoding it gives one of our errors or the right picture."""

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.container import Container, Limits, read, write
from nicodec.bitstream.wire import encode_varint
from nicodec.codecs import embedded_header, gru_header, l3ic_header, sandwich_header, shallow_header
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.codecs.registry import codec_by_number
from nicodec.errors import FormatError, ModelError, NicodecError
from nicodec.images import Picture, from_array
from nicodec.models import zoo

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

LIMITS = Limits(pixels=1 << 13, latents=1 << 14, channels=512)
"""Small, so that a mutated header asks for little work."""

SIGNATURE = b"\x8fNIC\x10"
HEAD, SEGM = 1, 2


class Kind(NamedTuple):
    codec: int
    settings: EncodeSettings
    gray_with_alpha: bool = False


KINDS = {
    "embedded": Kind(embedded_header.NUMBER, EncodeSettings(level=1)),
    "embedded gray and alpha": Kind(embedded_header.NUMBER, EncodeSettings(level=1), gray_with_alpha=True),
    "l3ic context": Kind(l3ic_header.NUMBER, EncodeSettings()),
    "l3ic independent": Kind(l3ic_header.NUMBER, EncodeSettings(independent_channels=True)),
    "l3ic gray and alpha": Kind(l3ic_header.NUMBER, EncodeSettings(), gray_with_alpha=True),
    "residual-gru": Kind(gru_header.NUMBER, EncodeSettings(level=1)),
    "residual-gru gray and alpha": Kind(gru_header.NUMBER, EncodeSettings(level=1), gray_with_alpha=True),
    "sandwich": Kind(sandwich_header.NUMBER, EncodeSettings()),
    "sandwich gray and alpha": Kind(sandwich_header.NUMBER, EncodeSettings(), gray_with_alpha=True),
    "shallow context": Kind(shallow_header.NUMBER, EncodeSettings()),
    "shallow fast": Kind(shallow_header.NUMBER, EncodeSettings(fast_decode=True)),
    "shallow gray and alpha": Kind(shallow_header.NUMBER, EncodeSettings(), gray_with_alpha=True),
}


class Sample(NamedTuple):
    data: bytes
    picture: Picture


def decode(data: bytes) -> Picture:
    container = read(data, limits=LIMITS)
    header = container.header
    model = zoo.find_for_file(header.codec, header.model, header.model_hash)
    codec = codec_by_number(header.codec)
    codec.describe(container)
    codec.verify(container, model)
    picture = codec.decode(container, model, DecodeRequest(threads=1))
    assert (picture.width, picture.height) == (header.width, header.height)
    return picture


def models() -> dict[int, zoo.Model]:
    """The first installed model of each codec, by the codec's number."""
    return {model.codec: model for model in reversed(zoo.installed())}


def kinds() -> list[str]:
    """Those of the codecs that have an installed model, and those of l3ic in any case: without models nothing passes."""
    numbers = {l3ic_header.NUMBER, *models()}
    return [name for name, kind in KINDS.items() if kind.codec in numbers]


@pytest.fixture(scope="module", params=kinds())
def sample(request: pytest.FixtureRequest, samples: "Samples") -> Sample:
    """A small file of each kind and what it decodes to."""
    kind = KINDS[request.param]
    model = models().get(kind.codec)
    if model is None:
        pytest.fail(f"no model of codec number {kind.codec} is installed")
    photo = samples.photo(11, 14)
    picture = from_array(photo[..., :2] if kind.gray_with_alpha else photo)
    picture = replace(picture, xmp=b"<x:xmpmeta/>")
    data = write(codec_by_number(kind.codec).encode(picture, model, kind.settings))
    return Sample(data, decode(data))


def assert_same(found: Picture, expected: Picture) -> None:
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    assert (found.alpha is None) == (expected.alpha is None)
    if found.alpha is not None and expected.alpha is not None:
        np.testing.assert_array_equal(found.alpha, expected.alpha)


def test_every_truncation_is_refused(sample: Sample) -> None:
    for size in range(len(sample.data)):
        with pytest.raises(FormatError):
            decode(sample.data[:size])


def test_every_flipped_bit_is_found(sample: Sample) -> None:
    for bit in range(8 * len(sample.data)):
        damaged = bytearray(sample.data)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises((FormatError, ModelError)):
            decode(bytes(damaged))


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_mutations_are_refused_or_harmless(sample: Sample, data: st.DataObject) -> None:
    mutated = bytearray(sample.data)
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(mutated)))
        stop = data.draw(st.integers(start, min(start + 40, len(mutated))))
        mutated[start:stop] = data.draw(st.binary(max_size=20))
    try:
        found = decode(bytes(mutated))
    except NicodecError:
        return
    assert_same(found, sample.picture)


def framed(header: bytes, payloads: list[bytes]) -> bytes:
    """A file of these payloads whose checksums are right, as a malicious writer makes it."""
    chunks = [_chunk(HEAD, header, SIGNATURE)]
    for index, payload in enumerate(payloads):
        prefix = encode_varint(index) if len(payloads) > 1 else b""
        chunks.append(_chunk(SEGM, prefix + payload, b""))
    return SIGNATURE + b"".join(chunks)


def _chunk(kind: int, payload: bytes, before: bytes) -> bytes:
    body = bytes([kind]) + encode_varint(len(payload)) + payload
    return body + zlib.crc32(before + body).to_bytes(4, "little")


def parts(sample: Sample) -> tuple[bytes, list[bytes]]:
    container: Container = read(sample.data)
    return container.header.to_bytes(), [segment.payload for segment in container.segments]


def test_framing_is_that_of_the_format(sample: Sample) -> None:
    assert_same(decode(framed(*parts(sample))), sample.picture)


@settings(deadline=None, max_examples=150)
@given(position=st.integers(0, 23), value=st.integers(0, 255))
def test_any_header_gives_a_picture_of_its_size_or_an_error(sample: Sample, position: int, value: int) -> None:
    header, payloads = parts(sample)
    position %= len(header)
    try:
        decode(framed(header[:position] + bytes([value]) + header[position + 1 :], payloads))
    except NicodecError:
        return


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_segment_gives_a_picture_or_an_error(sample: Sample, data: st.DataObject) -> None:
    header, payloads = parts(sample)
    index = data.draw(st.integers(0, len(payloads) - 1))
    payload = bytearray(payloads[index])
    if payload and data.draw(st.booleans()):
        payload[data.draw(st.integers(0, len(payload) - 1))] ^= data.draw(st.integers(1, 255))
    else:
        payload[:] = data.draw(st.binary(max_size=60))
    payloads[index] = bytes(payload)
    try:
        decode(framed(header, payloads))
    except NicodecError:
        return


@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_partial_reads_describe_what_is_there(sample: Sample, data: st.DataObject) -> None:
    """Cut off and perhaps damaged behind the header: what arrived is described, and never decoded as if it were all."""
    size = data.draw(st.integers(40, len(sample.data) - 1))
    container = read(sample.data[:size], limits=LIMITS, allow_partial=True)
    codec = codec_by_number(container.header.codec)
    assert len(codec.describe(container)) == len(container.segments)
    header = container.header
    model = zoo.find_for_file(header.codec, header.model, header.model_hash)
    with pytest.raises(FormatError):
        codec.verify(container, model)


@settings(deadline=None, max_examples=50)
@given(data=st.data())
def test_what_arrived_gives_a_picture_or_an_error(sample: Sample, data: st.DataObject) -> None:
    size = data.draw(st.integers(40, len(sample.data)))
    damaged = bytearray(sample.data[:size])
    damaged[data.draw(st.integers(0, size - 1))] ^= data.draw(st.integers(0, 255))
    try:
        container = read(bytes(damaged), limits=LIMITS, allow_partial=True)
        header = container.header
        model = zoo.find_for_file(header.codec, header.model, header.model_hash)
        request = DecodeRequest(allow_partial=True, threads=1)
        picture = codec_by_number(header.codec).decode(container, model, request)
    except NicodecError:
        return
    assert (picture.width, picture.height) == (sample.picture.width, sample.picture.height)
