"""FORMAT.md is normative: its tables and its example are checked against the code."""

import dataclasses
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import nicodec.bitstream
from nicodec.bitstream.chunks import is_ancillary
from nicodec.bitstream.container import (
    Chunk,
    ChunkType,
    ColourSpace,
    Container,
    Header,
    Limits,
    Segment,
    read,
    write,
)
from nicodec.bitstream.context import ContextModel
from nicodec.bitstream.planes import LatentTables
from nicodec.bitstream.wire import Cursor, encode_varint
from nicodec.codecs.shallow_model import ShallowModel
from nicodec.errors import FormatError, UnknownChunkError
from nicodec.models import zoo

ModelMaker = Callable[..., ContextModel]

DOCUMENT = (Path(nicodec.bitstream.__path__[0]) / "FORMAT.md").read_text(encoding="utf-8")
EXAMPLE = Container(
    Header(
        width=5,
        height=3,
        space=ColourSpace.GRAY,
        codec=254,
        model=2,
        model_hash=bytes.fromhex("A1 A2 A3 A4 A5 A6 A7 A8"),
        channels=16,
        stride_log2=3,
        align_log2=4,
        segments=2,
    ),
    (Segment(0, b"\xc0\xff\xee"), Segment(1, b"\xd0\x0d")),
    (Chunk(ChunkType.XMP, b"<x/>"),),
)


def section(number: int) -> str:
    match = re.search(rf"^## {number}\. .*?(?=^## |\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert match is not None
    return match[0]


def table_rows(text: str, header: str) -> Iterator[list[str]]:
    body = text.split(f"| {header} |", maxsplit=1)[1].split("\n\n", maxsplit=1)[0]
    for line in body.splitlines()[2:]:
        yield [cell.strip(" `") for cell in line.strip("|").split("|")]


def hexdump() -> bytes:
    lines = section(14).split("```")[1].strip().splitlines()
    data = b""
    for line in lines:
        match = re.fullmatch(r"([0-9A-F]{2})  ([0-9A-F ]+?) *\| \S.*", line)
        assert match is not None, line
        assert int(match[1], 16) == len(data), line
        data += bytes.fromhex(match[2])
    return data


def test_writer_reproduces_the_hexdump() -> None:
    assert write(EXAMPLE) == hexdump()


def test_reader_reads_the_hexdump() -> None:
    assert read(hexdump()) == EXAMPLE


def test_derived_sizes_of_the_example() -> None:
    header = EXAMPLE.header
    assert (header.padded_width, header.padded_height) == (16, 16)
    assert (header.latent_width, header.latent_height) == (2, 2)


def test_valid_varints() -> None:
    rows = list(table_rows(section(1), "value | bytes"))
    assert len(rows) == 6
    for value, encoded in rows:
        assert encode_varint(int(value)) == bytes.fromhex(encoded)
        assert Cursor(bytes.fromhex(encoded)).varint() == int(value)


def test_invalid_varints() -> None:
    rows = list(table_rows(section(1), "bytes | why"))
    assert len(rows) == 4
    for encoded, _ in rows:
        with pytest.raises(FormatError, match="the data is damaged"):
            Cursor(bytes.fromhex(encoded)).varint()


def test_chunk_types() -> None:
    rows = list(table_rows(section(2), "type | name | critical | how many | payload"))
    documented = {int(number, 16): (name, critical) for number, name, critical, *_ in rows}
    assert documented == {kind: (kind.name, "no" if is_ancillary(kind) else "yes") for kind in ChunkType}


@pytest.mark.parametrize("kind", [0x00, 0x04, 0x3F, 0x40, 0x7F, 0x80, 0x82, 0xC0, 0xC1, 0xC4, 0xFE, 0xFF])
def test_free_and_unassigned_types_are_unknown(kind: int) -> None:
    frame = bytes((kind, 0))
    data = hexdump() + frame + zlib.crc32(frame).to_bytes(4, "little")
    if is_ancillary(kind):
        assert read(data).chunks[-1] == Chunk(kind, b"")
    else:
        with pytest.raises(UnknownChunkError):
            read(data)


def test_arrays_of_an_entropy_model(context_model: ModelMaker) -> None:
    """Names, types and numbers of dimensions; the table holds all that reading a model needs."""
    model = context_model(channels=3)
    shared = np.full((2, 32), 65536 // 32, np.uint16)
    arrays = model.to_arrays() | {"shared_tables": shared}
    rows = table_rows(section(7), "array | type | shape | content")
    documented = {name: (kind, shape.count(",") + 1) for name, kind, shape, _ in rows}
    assert documented == {name: (str(array.dtype), array.ndim) for name, array in arrays.items()}
    assert LatentTables.from_arrays(arrays).context.channels == 3


def test_arrays_of_a_hyperprior_model() -> None:
    """Likewise, of the shipped model; rows that end in dots stand for one array a layer."""
    with np.load(zoo.find("shallow-two-layer").path("entropy.npz"), allow_pickle=False) as file:
        arrays = dict(file)
    dimensions = {"all": 1, "scalar": 0}
    documented: dict[str, tuple[list[str], int]] = {}
    for cell, kinds, shape, *_ in table_rows(section(7), "array | type | shape | range | content"):
        name = cell.split("`")[0]
        layers = len(arrays["hyper_net_strides"]) if cell.endswith("...") else 1
        names = [name, *(f"{name[:-1]}{layer}" for layer in range(1, layers))]
        documented |= dict.fromkeys(names, (kinds.split(" or "), dimensions.get(shape, shape.count(",") + 1)))
    assert documented.keys() == arrays.keys()
    for name, array in arrays.items():
        dtypes, ndim = documented[name]
        assert str(array.dtype) in dtypes, name
        assert array.ndim == ndim, name
    assert ShallowModel.from_arrays(arrays).channels == 320


def test_limits() -> None:
    rows = table_rows(section(10), "name | limit | what is counted")
    assert {name: int(limit) for name, limit, _ in rows} == dataclasses.asdict(Limits())


def test_contents_list_the_sections() -> None:
    headings = re.findall(r"^## (\d+)\. (.*)$", DOCUMENT, re.MULTILINE)
    contents = " ".join(DOCUMENT.split("Contents: ", maxsplit=1)[1].split("\n\n", maxsplit=1)[0].split())
    assert contents == " · ".join(f"{number} {title}" for number, title in headings)
