import dataclasses
import io
import random
import runpy
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.bitstream.container import (
    Chunk,
    ChunkType,
    ColourSpace,
    Container,
    ContainerReader,
    ContainerWriter,
    Header,
    Limits,
    Segment,
    collect,
    read,
    read_header,
    write,
    write_to,
)
from nicodec.bitstream.wire import encode_varint
from nicodec.errors import (
    ChecksumError,
    FormatError,
    LimitError,
    NewerVersionError,
    NotNicError,
    RequestError,
    TruncatedError,
    UnknownChunkError,
)

HEADER = Header(
    width=768, height=512, codec=1, model=1, model_hash=b"\xa5" * 8, channels=32, stride_log2=3, align_log2=5
)
SMALL = Container(
    dataclasses.replace(HEADER, segments=3),
    (Segment(0, b"first segment"), Segment(1, b""), Segment(2, b"third")),
    (Chunk(ChunkType.TABL, b"table"), Chunk(ChunkType.ICC, b"profile"), Chunk(0xB0, b"unknown")),
)
SMALL_BYTES = write(SMALL)
SIGNATURE = SMALL_BYTES[:5]
HEAD_END = 31

fuzz_one: Callable[[bytes], None] = runpy.run_path(str(Path(__file__).with_name("fuzz_container.py")))["fuzz_one"]


def chunk_bytes(chunk_type: int, payload: bytes, crc: int = 0) -> bytes:
    body = bytes((chunk_type,)) + encode_varint(len(payload)) + payload
    return body + zlib.crc32(body, crc).to_bytes(4, "little")


def head_bytes(payload: bytes, signature: bytes = SIGNATURE) -> bytes:
    return signature + chunk_bytes(ChunkType.HEAD, payload, zlib.crc32(signature))


def segment_bytes(index: int, payload: bytes) -> bytes:
    return chunk_bytes(ChunkType.SEGM, encode_varint(index) + payload)


def with_header(**changes: Any) -> Header:
    return dataclasses.replace(HEADER, **changes)


class OneWayStream(io.RawIOBase):
    """Reads like a socket: no seeking, and at most seven bytes at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._source = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._source.read(min(size, 7))

    def seekable(self) -> bool:
        return False


@st.composite
def headers(draw: st.DrawFn) -> Header:
    stride = draw(st.integers(0, 6))
    return Header(
        width=draw(st.integers(1, 4096)),
        height=draw(st.integers(1, 4096)),
        depth=draw(st.integers(1, 16)),
        space=draw(st.sampled_from(ColourSpace)),
        alpha=draw(st.booleans()),
        codec=draw(st.integers(0, 255)),
        model=draw(st.integers(0, 2**32 - 1)),
        model_hash=draw(st.binary(min_size=8, max_size=8)),
        channels=draw(st.integers(1, 16)),
        stride_log2=stride,
        align_log2=draw(st.integers(stride, 8)),
        layers=draw(st.integers(1, 64)),
        segments=draw(st.integers(1, 5)),
        profile=draw(st.integers(0, 15)),
        extra=draw(st.binary(max_size=20)),
    )


@st.composite
def containers(draw: st.DrawFn) -> Container:
    header = draw(headers())
    segments = tuple(Segment(index, draw(st.binary(max_size=300))) for index in range(header.segments))
    repeatable = st.one_of(st.just(int(ChunkType.TABL)), st.integers(0x84, 0xC0))
    types = draw(st.lists(repeatable, max_size=4)) + draw(st.lists(st.sampled_from([0x81, 0xC2, 0xC3]), unique=True))
    chunks = tuple(Chunk(kind, draw(st.binary(max_size=50))) for kind in types)
    return Container(header, segments, chunks)


# --- Round trips ---


@given(containers())
@settings(deadline=None)
def test_round_trip(container: Container) -> None:
    data = write(container)
    again = read(data)
    assert again == container
    assert again.complete
    assert again.missing == ()
    assert read_header(data) == container.header
    assert write(again) == data


@given(headers())
@settings(deadline=None)
def test_header_round_trip(header: Header) -> None:
    assert Header.from_bytes(header.to_bytes()) == header


def test_fixed_overhead_is_39_bytes() -> None:
    assert len(HEADER.to_bytes()) == 20
    payload = bytes(47_000)
    assert len(write(Container(HEADER, (Segment(0, payload),)))) - len(payload) == 39


def test_segments_in_any_order() -> None:
    shuffled = dataclasses.replace(SMALL, segments=SMALL.segments[::-1])
    data = write(shuffled)
    assert data != SMALL_BYTES
    assert read(data) == SMALL
    in_file_order = [item.index for item in ContainerReader(io.BytesIO(data)) if isinstance(item, Segment)]
    assert in_file_order == [2, 1, 0]


def test_stream_that_cannot_seek() -> None:
    assert read(cast(BinaryIO, OneWayStream(SMALL_BYTES))) == SMALL


def test_writing_to_a_stream_leaves_it_open() -> None:
    stream = io.BytesIO()
    write_to(SMALL, stream)
    assert stream.getvalue() == SMALL_BYTES


def test_reading_the_header_reads_nothing_else() -> None:
    stream = io.BytesIO(SMALL_BYTES)
    assert read_header(stream) == SMALL.header
    assert stream.tell() == HEAD_END


def test_reader_is_lazy() -> None:
    stream = io.BytesIO(SMALL_BYTES)
    reader = ContainerReader(stream)
    assert reader.header == SMALL.header
    assert stream.tell() == HEAD_END
    assert next(iter(reader)) == SMALL.chunks[0]
    assert stream.tell() == HEAD_END + len(chunk_bytes(ChunkType.TABL, b"table"))


def test_large_segment_arrives_in_pieces() -> None:
    payload = random.Random(1).randbytes(2_500_000)
    assert read(write(Container(HEADER, (Segment(0, payload),)))).segments[0].payload == payload


# --- What a container knows ---


def test_chunks_by_name() -> None:
    kinds = (ChunkType.TABL, ChunkType.ICC, ChunkType.EXIF, ChunkType.XMP, ChunkType.TABL)
    chunks = tuple(Chunk(kind, bytes((number,))) for number, kind in enumerate(kinds))
    container = Container(HEADER, (), chunks)
    assert container.tables == (b"\0", b"\4")
    assert (container.icc, container.exif, container.xmp) == (b"\1", b"\2", b"\3")
    assert (SMALL.exif, SMALL.xmp) == (None, None)


def test_which_chunks_a_rewrite_may_copy() -> None:
    copied = [kind for kind in (0x03, 0x81, 0xC2, 0xC3, 0xB0, 0xF0) if Chunk(kind, b"").safe_to_copy]
    assert copied == [0x81, 0xB0]


def test_segment_size_and_checksum() -> None:
    segment = Segment(0, b"123456789")
    assert (segment.size, segment.crc32) == (9, 0xCBF43926)


@pytest.mark.parametrize(
    ("side", "stride_log2", "align_log2", "padded", "latent"),
    [(1, 0, 0, 1, 1), (1, 3, 5, 32, 4), (512, 3, 5, 512, 64), (513, 3, 5, 544, 68), (65535, 4, 6, 65536, 4096)],
)
def test_derived_sizes(side: int, stride_log2: int, align_log2: int, padded: int, latent: int) -> None:
    wide = with_header(width=side, height=1, stride_log2=stride_log2, align_log2=align_log2)
    high = with_header(width=1, height=side, stride_log2=stride_log2, align_log2=align_log2)
    assert (wide.padded_width, wide.latent_width) == (padded, latent)
    assert (high.padded_height, high.latent_height) == (padded, latent)


# --- Other files, other versions ---


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG image"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        (b"GIF89a\1\0\1\0", "a GIF image"),
        (b"II*\0\x08\0\0\0", "a TIFF image"),
        (b"MM\0*\0\0\0\x08", "a TIFF image"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "a WebP image"),
        (b"\0\0\0\x1cftypavif", "an AVIF or HEIF image"),
        (b"\xff\x0a\xfa\x7f", "a JPEG XL image"),
        (b"BM\x46\0\0\0", "a BMP image"),
    ],
)
def test_other_images_are_named(start: bytes, name: str) -> None:
    with pytest.raises(NotNicError, match=f"this is {name}, not a .nic file; encode it first"):
        read(start)


@pytest.mark.parametrize("data", [b"x", b"RIFF\x24\0\0\0WAVE", b"\x8fNID\x10", b"\x8fNI\n"])
def test_no_image_at_all(data: bytes) -> None:
    with pytest.raises(NotNicError, match="first bytes are wrong"):
        read(data)


def test_empty_file() -> None:
    with pytest.raises(TruncatedError, match="the file is empty"):
        read(b"")


def test_newer_major_version() -> None:
    with pytest.raises(NewerVersionError, match=r"version 2\.3.*update nicodec"):
        read(b"\x8fNIC\x23")


def test_major_version_zero() -> None:
    with pytest.raises(FormatError, match=r"version 0\.1, which never existed"):
        read(b"\x8fNIC\x01")


def test_newer_minor_version_with_longer_header() -> None:
    newer = head_bytes(HEADER.to_bytes() + b"new field", b"\x8fNIC\x1f") + chunk_bytes(ChunkType.SEGM, b"payload")
    container = read(newer)
    assert container.header == with_header(extra=b"new field")
    assert container.segments == (Segment(0, b"payload"),)


def test_unknown_critical_chunk() -> None:
    with pytest.raises(UnknownChunkError, match="0x04 is needed to decode the file; update nicodec"):
        read(SMALL_BYTES + chunk_bytes(0x04, b"new"))
    with pytest.raises(UnknownChunkError):
        read(SMALL_BYTES + chunk_bytes(0x04, b"new"), allow_partial=True)


def test_unknown_ancillary_chunk_is_kept() -> None:
    container = read(SMALL_BYTES + chunk_bytes(0xF7, b"new"))
    assert container.chunks == (*SMALL.chunks, Chunk(0xF7, b"new"))


# --- Malformed files ---


def header_payload(position: int, value: int) -> bytes:
    payload = bytearray(HEADER.to_bytes())
    payload[position] = value
    return bytes(payload)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (header_payload(0, 0x00).replace(b"\0\6", b"\0", 1), "width is 0"),
        (header_payload(4, 0x27), "colour space 2 is unknown"),
        (header_payload(15, 0), "channels is 0"),
        (header_payload(16, 0x23), "align_log2 2 is less than stride_log2 3"),
        (header_payload(17, 0), "layers is 0"),
        (header_payload(18, 0), "segments is 0"),
        (header_payload(19, 0x10), r"reserved flags are set in the header \(0x10\)"),
        (HEADER.to_bytes()[:-1], "the header ends too early"),
        (b"", "the header ends too early"),
    ],
)
def test_invalid_header(payload: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(head_bytes(payload))


def test_longest_header() -> None:
    extra = bytes(1024 - 20)
    assert read_header(head_bytes(HEADER.to_bytes() + extra)).extra == extra
    with pytest.raises(FormatError, match="the header has 1025 bytes, the format allows 1024"):
        read(head_bytes(HEADER.to_bytes() + extra + b"\0"))
    with pytest.raises(RequestError, match="shorten extra"):
        with_header(extra=extra + b"\0").to_bytes()


TWO = head_bytes(with_header(segments=2).to_bytes())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (SIGNATURE + segment_bytes(0, b"x"), "the SEGM chunk comes before the header"),
        (SIGNATURE + chunk_bytes(0x05, b"x"), "unknown type 0x05 comes before the header"),
        (SMALL_BYTES + chunk_bytes(ChunkType.HEAD, HEADER.to_bytes()), "a second header"),
        (TWO + segment_bytes(0, b"x") + segment_bytes(0, b"y"), "segment 0 occurs twice"),
        (TWO + segment_bytes(2, b"x"), "segment 2 is out of range: the header declares 2 segments"),
        (TWO + chunk_bytes(ChunkType.SEGM, b""), "the index of a segment ends too early"),
        (TWO + chunk_bytes(ChunkType.SEGM, b"\x80\x00"), "the index of a segment holds .* superfluous bytes"),
        (TWO + b"\x02\x85\x00", "a chunk length holds an integer with superfluous bytes"),
        (TWO + b"\x02\x80\x80\x80\x80\x80\x01", "a chunk length holds an integer of more than 5 bytes"),
        (SMALL_BYTES + chunk_bytes(ChunkType.ICC, b""), "the ICC chunk occurs twice"),
        (SMALL_BYTES + SMALL_BYTES, "unknown type 0x8f is damaged"),
    ],
)
def test_malformed_file(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        read(data)


@pytest.mark.parametrize("tail", [b"\0", b"\n", b"garbage at the end of the file", b"\xb0", b"\x02\x00", bytes(100)])
def test_data_after_the_last_chunk(tail: bytes) -> None:
    with pytest.raises(FormatError):
        read(SMALL_BYTES + tail)


# --- Damage and truncation ---


def test_every_truncation_is_noticed() -> None:
    for size in range(len(SMALL_BYTES)):
        with pytest.raises(TruncatedError):
            read(SMALL_BYTES[:size])


def test_every_flipped_bit_is_noticed() -> None:
    for position in range(8 * len(SMALL_BYTES)):
        damaged = bytearray(SMALL_BYTES)
        damaged[position // 8] ^= 1 << position % 8
        with pytest.raises(FormatError):
            read(bytes(damaged))


def test_damaged_segment_is_named() -> None:
    damaged = SMALL_BYTES.replace(b"third", b"thirt")
    with pytest.raises(ChecksumError, match=r"segment 2 is damaged.*2 of 3 segments arrived before it") as caught:
        read(damaged)
    assert caught.value.segment == 2


def test_other_damaged_chunk_is_named() -> None:
    with pytest.raises(ChecksumError, match="the ICC chunk is damaged") as caught:
        read(SMALL_BYTES.replace(b"profile", b"Profile"))
    assert caught.value.segment is None


def test_damaged_header_is_named() -> None:
    with pytest.raises(ChecksumError, match="the header is damaged"):
        read(SMALL_BYTES.replace(b"\xa5" * 8, b"\xa4" * 8), allow_partial=True)


def test_truncated_segment_is_named() -> None:
    cut = SMALL_BYTES[: SMALL_BYTES.index(b"segment")]
    with pytest.raises(TruncatedError, match=r"inside segment 0, after 7 of 14 bytes \(0 of 3 segments arrived"):
        read(cut)


def test_missing_segments_are_named() -> None:
    data = TWO + segment_bytes(1, b"x")
    with pytest.raises(TruncatedError, match="1 of 2 segments arrived, segment 0 is the first missing"):
        read(data)


# --- Partial reads ---


def test_partial_read_of_a_whole_file() -> None:
    assert read(SMALL_BYTES, allow_partial=True) == SMALL


def test_partial_read_of_every_truncation() -> None:
    for size in range(HEAD_END, len(SMALL_BYTES)):
        partial = read(SMALL_BYTES[:size], allow_partial=True)
        assert partial.header == SMALL.header
        assert not partial.complete
        assert partial.damaged == ()
        assert partial.chunks == SMALL.chunks[: len(partial.chunks)]
        for found, original in zip(partial.segments, SMALL.segments, strict=False):
            assert found.index == original.index
            assert original.payload.startswith(found.payload)
            assert found == original or not found.complete


def test_partial_read_of_a_cut_segment() -> None:
    cut = SMALL_BYTES[: SMALL_BYTES.index(b" segment")]
    partial = read(cut, allow_partial=True)
    assert partial.segments == (Segment(0, b"first", complete=False, absent=8),)
    assert partial.missing == (1, 2)
    with pytest.raises(RequestError, match="segment 0 is incomplete"):
        write(partial)


def test_partial_read_does_not_trust_a_segment_without_its_checksum() -> None:
    partial = read(SMALL_BYTES[:-1], allow_partial=True)
    assert partial.segments[2] == Segment(2, b"third", complete=False)
    assert not partial.complete


def test_partial_read_of_a_file_without_a_segment_index() -> None:
    whole = write(Container(HEADER, (Segment(0, b"payload"),)))
    assert read(whole[:-6], allow_partial=True).segments == (Segment(0, b"paylo", complete=False, absent=2),)


def test_partial_read_drops_damaged_segments() -> None:
    damaged = SMALL_BYTES.replace(b"first segment", b"First segment")
    partial = read(damaged, allow_partial=True)
    assert partial.segments == SMALL.segments[1:]
    assert partial.chunks == SMALL.chunks
    assert partial.damaged == (0,)
    assert partial.missing == (0,)
    assert not partial.complete


def test_partial_read_drops_neighbouring_damaged_segments() -> None:
    damaged = SMALL_BYTES.replace(b"first segment", b"First segment").replace(b"third", b"Third")
    assert read(damaged, allow_partial=True).damaged == (0, 2)


def test_partial_read_prefers_an_intact_segment_to_a_claim() -> None:
    claim = bytearray(segment_bytes(0, b"x"))
    claim[2] = 1
    partial = read(TWO + bytes(claim) + segment_bytes(1, b"y"), allow_partial=True)
    assert partial.segments == (Segment(1, b"y"),)
    assert partial.damaged == ()
    assert partial.missing == (0,)


def test_partial_read_drops_damaged_metadata() -> None:
    partial = read(SMALL_BYTES.replace(b"profile", b"Profile"), allow_partial=True)
    assert partial.icc is None
    assert partial.damaged == ()
    assert partial.segments == SMALL.segments
    assert not partial.complete


def test_partial_read_of_a_file_with_a_tail_is_not_intact() -> None:
    partial = read(SMALL_BYTES + b"\x02\x80\x00", allow_partial=True)
    assert partial == dataclasses.replace(SMALL, intact=False)
    assert not partial.complete


def test_partial_read_needs_its_tables() -> None:
    with pytest.raises(ChecksumError, match="the TABL chunk is damaged"):
        read(SMALL_BYTES.replace(b"table", b"Table"), allow_partial=True)


def test_partial_read_does_not_use_bytes_behind_a_damaged_length() -> None:
    start = SMALL_BYTES.index(segment_bytes(0, b"first segment"))
    longer = bytearray(SMALL_BYTES)
    longer[start + 1] += 3
    partial = read(bytes(longer), allow_partial=True)
    assert partial.damaged == (0,)
    assert all(segment.complete and segment in SMALL.segments for segment in partial.segments)


def test_partial_read_of_any_flipped_bit_gives_no_wrong_segment() -> None:
    for position in range(8 * HEAD_END, 8 * len(SMALL_BYTES)):
        damaged = bytearray(SMALL_BYTES)
        damaged[position // 8] ^= 1 << position % 8
        try:
            partial = read(bytes(damaged), allow_partial=True)
        except FormatError:
            continue
        assert not partial.complete
        assert all(segment in SMALL.segments for segment in partial.segments if segment.complete)


# --- Limits ---


@pytest.mark.parametrize(
    ("changes", "name", "value"),
    [
        ({"width": 65536, "height": 1}, "side", 65536),
        ({"width": 1, "height": 65536}, "side", 65536),
        ({"width": 16385, "height": 16384}, "pixels", (16384 + 32) * 16384),
        ({"channels": 1025}, "channels", 1025),
        ({"layers": 65}, "layers", 65),
        ({"segments": 65537}, "segments", 65537),
        ({"width": 16384, "height": 16384, "channels": 129}, "latents", 129 << 22),
        ({"width": 1, "height": 1, "stride_log2": 0, "align_log2": 15}, "pixels", 1 << 30),
    ],
)
def test_header_limits(changes: dict[str, int], name: str, value: int) -> None:
    header = with_header(**changes)
    data = head_bytes(header.to_bytes())
    with pytest.raises(LimitError, match=rf"is {value}, the limit is .*Limits\({name}={value}\)"):
        read(data)
    with pytest.raises(LimitError):
        ContainerWriter(io.BytesIO(), header)
    raised = dataclasses.replace(Limits(side=1 << 20, pixels=1 << 40, latents=1 << 50), **{name: value})
    assert read_header(data, raised) == header
    with pytest.raises(LimitError, match=name):
        read_header(data, dataclasses.replace(raised, **{name: value - 1}))


def test_pixel_limit_names_the_option() -> None:
    with pytest.raises(LimitError, match=r"pixels after padding is 393216, the limit is 1000; .* --max-pixels"):
        read(SMALL_BYTES, limits=Limits(pixels=1000))


def test_largest_picture_is_within_the_limits() -> None:
    header = with_header(width=16384, height=16384, channels=128)
    assert read_header(head_bytes(header.to_bytes())) == header


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(chunk=19), "size of a chunk, in bytes, is 20, the limit is 19"),
        (Limits(ancillary=6), "size of an ancillary chunk, in bytes, is 7, the limit is 6"),
        (Limits(ancillary_total=13), "ancillary chunks together, in bytes, is 14, the limit is 13"),
        (Limits(chunk_count=2), "number of table and ancillary chunks is 3, the limit is 2"),
    ],
)
def test_chunk_limits(limits: Limits, message: str) -> None:
    with pytest.raises(LimitError, match=message):
        read(SMALL_BYTES, limits=limits)


@pytest.mark.parametrize("limits", [Limits(ancillary=6), Limits(ancillary_total=13), Limits(chunk_count=2)])
def test_chunk_limits_of_the_writer(limits: Limits) -> None:
    with pytest.raises(LimitError):
        write(SMALL, limits=limits)


def test_segment_limit_of_the_writer_counts_the_index() -> None:
    assert read(write(SMALL, limits=Limits(chunk=14))) == SMALL
    with pytest.raises(LimitError, match="is 14, the limit is 13"):
        write(SMALL, limits=Limits(chunk=13))


# --- Memory and arbitrary bytes ---


def peak_bytes(read_all: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(FormatError):
            read_all()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("chunk_type", "length"),
    [(ChunkType.SEGM, 1 << 30), (ChunkType.TABL, 1 << 30), (0xB0, 1 << 24), (ChunkType.SEGM, 2**32 - 1)],
)
def test_declared_lengths_allocate_nothing(chunk_type: int, length: int) -> None:
    data = head_bytes(HEADER.to_bytes()) + bytes((chunk_type,)) + encode_varint(length) + bytes(100)
    assert peak_bytes(lambda: read(data)) < 50_000


def test_declared_lengths_allocate_nothing_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "bomb.nic"
    path.write_bytes(head_bytes(HEADER.to_bytes()) + b"\x02" + encode_varint(1 << 30) + bytes(100))
    with path.open("rb") as stream:
        assert peak_bytes(lambda: read(stream)) < 3_000_000


@given(st.binary(max_size=200))
@settings(deadline=None)
def test_arbitrary_bytes_behind_the_header(tail: bytes) -> None:
    fuzz_one(SMALL_BYTES[:HEAD_END] + tail)


@given(st.binary(max_size=60))
@settings(deadline=None)
def test_arbitrary_header(payload: bytes) -> None:
    fuzz_one(head_bytes(payload))


@given(st.binary(max_size=300), st.sampled_from([b"", SIGNATURE, SIGNATURE + b"\x01"]))
@settings(max_examples=50, deadline=None)
def test_arbitrary_bytes_allocate_little(data: bytes, start: bytes) -> None:
    assert peak_bytes(lambda: read(start + data)) < 50_000


def mutate(data: bytes, generator: random.Random) -> bytes:
    mutated = bytearray(data)
    for _ in range(generator.randint(1, 3)):
        position = generator.randrange(len(mutated) or 1)
        kind = generator.randrange(4)
        if kind == 0:
            mutated[position : position + 1] = generator.randbytes(1)
        elif kind == 1:
            del mutated[position : position + generator.randint(1, 8)]
        elif kind == 2:
            mutated[position:position] = generator.randbytes(generator.randint(1, 8))
        else:
            mutated += mutated[position : position + 40]
    return bytes(mutated)


def test_fuzz_target_over_mutated_files() -> None:
    generator = random.Random(20)
    seeds = [SMALL_BYTES, write(Container(HEADER, (Segment(0, b"payload"),)))]
    for seed in seeds:
        fuzz_one(seed)
        for _ in range(1500):
            fuzz_one(mutate(seed, generator))


# --- The writer's refusals ---


def test_writer_wants_every_segment_once() -> None:
    writer = ContainerWriter(io.BytesIO(), SMALL.header)
    writer.write_segment(2, b"")
    with pytest.raises(RequestError, match="segment 2 occurs twice"):
        writer.write_segment(2, b"")
    for index in (-1, 3):
        with pytest.raises(RequestError, match="out of range"):
            writer.write_segment(index, b"")
    with pytest.raises(RequestError, match="segment 0 was not written: 1 of 3 segments are"):
        writer.finish()


@pytest.mark.parametrize("chunk_type", [-1, 0, ChunkType.HEAD, ChunkType.SEGM, 0x04, 0x7F, 0x100])
def test_writer_refuses_chunk_types(chunk_type: int) -> None:
    stream = io.BytesIO()
    writer = ContainerWriter(stream, HEADER)
    with pytest.raises(RequestError, match="cannot be written"):
        writer.write_chunk(chunk_type, b"")
    assert len(stream.getvalue()) == HEAD_END


@pytest.mark.parametrize("chunk_type", [ChunkType.ICC, ChunkType.EXIF, ChunkType.XMP])
def test_writer_refuses_metadata_twice(chunk_type: ChunkType) -> None:
    chunks = (Chunk(chunk_type, b"a"), Chunk(chunk_type, b"b"))
    with pytest.raises(RequestError, match=f"the {chunk_type.name} chunk occurs twice"):
        write(Container(HEADER, (Segment(0, b""),), chunks))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"width": 0}, "width is 0, the header holds 1 to 4294967295"),
        ({"height": 1 << 32}, "height is 4294967296"),
        ({"depth": 17}, "depth is 17"),
        ({"codec": 256}, "codec is 256"),
        ({"model": -1}, "model is -1"),
        ({"stride_log2": 16, "align_log2": 16}, "stride_log2 is 16"),
        ({"align_log2": 2}, "align_log2 2 is less than stride_log2 3"),
        ({"profile": 16}, "profile is 16"),
        ({"model_hash": b"short"}, "the model hash has 5 bytes"),
    ],
)
def test_header_refuses_what_it_cannot_hold(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        with_header(**changes)


def ends_of(container: Container) -> list[int]:
    """Bytes up to the end of the header and of each segment in turn."""
    wholes = [
        dataclasses.replace(container, segments=container.segments[:count])
        for count in range(len(container.segments) + 1)
    ]
    return [len(framed(whole)) for whole in wholes]


def framed(container: Container) -> bytes:
    """The bytes of a file of which segments may be missing."""
    stream = io.BytesIO()
    writer = ContainerWriter(stream, container.header)
    for segment in container.segments:
        writer.write_segment(segment.index, segment.payload)
    return stream.getvalue()


@pytest.mark.parametrize("count", [1, 3])
def test_the_beginning_of_a_file_is_enough_where_that_is_allowed(count: int) -> None:
    segments = tuple(Segment(index, bytes(200)) for index in range(count))
    whole = Container(dataclasses.replace(HEADER, segments=count), segments)
    data, ends = framed(whole), ends_of(whole)
    for cut in range(ends[0], len(data) + 1):
        reader = ContainerReader(io.BytesIO(data[:cut]))
        reader.allow_cut = True
        found = collect(reader)
        arrived = sum(end <= cut for end in ends[1:])
        assert [segment.complete for segment in found.segments][:arrived] == [True] * arrived
        assert reader.complete == (cut == len(data))
        # Cut in its type, its length or its index, a segment is not there; in its checksum, nothing of it is absent.
        for part in found.segments[arrived:]:
            assert not part.complete
            assert part.absent == 200 - len(part.payload)


def test_damage_before_the_end_is_an_error_even_where_a_cut_is_allowed() -> None:
    whole = Container(dataclasses.replace(HEADER, segments=2), (Segment(0, bytes(50)), Segment(1, bytes(50))))
    data = bytearray(framed(whole))
    data[ends_of(whole)[1] - 8] ^= 1
    for cut in (len(data), len(data) - 5):
        reader = ContainerReader(io.BytesIO(bytes(data[:cut])))
        reader.allow_cut = True
        with pytest.raises(ChecksumError):
            collect(reader)
