"""The original's code files: its layout, read and written; nothing is unpickled, nothing hostile gets through."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nicodec.codecs import codes_npz
from nicodec.errors import FormatError, LimitError

MOST = 1 << 20


def codes_of(levels: int, height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 2, (levels, 32, height, width), np.uint8)


def archive(**members: Any) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, **members)
    return file.getvalue()


def by_the_original(data: bytes) -> npt.NDArray[Any]:
    """How the original's decoder reads a code file: (levels, 1, h, w, 32) of -1 and 1."""
    loaded = np.load(io.BytesIO(data))
    shape = loaded["shape"]
    bits = np.unpackbits(loaded["codes"])[: np.prod(shape)]
    signs: npt.NDArray[Any] = bits.reshape(shape).astype(np.float32) * 2 - 1
    return signs


@settings(max_examples=30, deadline=None)
@given(levels=st.integers(1, 16), height=st.integers(1, 7), width=st.integers(1, 7), seed=st.integers(0, 99))
def test_files_come_back(levels: int, height: int, width: int, seed: int) -> None:
    codes = codes_of(levels, 2 * height, 2 * width, seed)
    data = codes_npz.write(codes)
    assert np.array_equal(codes_npz.read(data, MOST), codes)
    assert np.array_equal(by_the_original(data)[:, 0].transpose(0, 3, 1, 2), codes * 2.0 - 1)


def test_the_originals_file_is_read() -> None:
    """Written as the original's encoder does, by its own lines of NumPy."""
    signs = np.random.default_rng(3).choice([-1.0, 1.0], (4, 1, 6, 8, 32))
    integers = ((signs + 1) / 2).astype(np.int8)
    file = io.BytesIO()
    np.savez_compressed(file, shape=integers.shape, codes=np.packbits(integers.reshape(-1)))
    assert np.array_equal(codes_npz.read(file.getvalue(), MOST), integers[:, 0].transpose(0, 3, 1, 2))


def packed(size: int) -> npt.NDArray[np.uint8]:
    return np.zeros(size, np.uint8)


GOOD = np.array([2, 1, 4, 4, 32])
BYTES = 2 * 4 * 4 * 32 // 8


@pytest.mark.parametrize(
    "members",
    [
        {},
        {"shape": GOOD},
        {"codes": packed(BYTES)},
        {"shape": GOOD, "codes": packed(BYTES - 1)},
        {"shape": GOOD, "codes": packed(BYTES + 1)},
        {"shape": GOOD, "codes": packed(BYTES + 9000)},
        {"shape": GOOD, "codes": packed(BYTES).astype(np.int8)},
        {"shape": GOOD, "codes": packed(BYTES)[None]},
        {"shape": GOOD.astype(np.float64), "codes": packed(BYTES)},
        {"shape": GOOD[:4], "codes": packed(BYTES)},
        {"shape": GOOD[None], "codes": packed(BYTES)},
        {"shape": np.array([0, 1, 4, 4, 32]), "codes": packed(0)},
        {"shape": np.array([17, 1, 4, 4, 32]), "codes": packed(17 * BYTES // 2)},
        {"shape": np.array([2, 2, 4, 4, 32]), "codes": packed(2 * BYTES)},
        {"shape": np.array([2, 1, 4, 4, 31]), "codes": packed(BYTES)},
        {"shape": np.array([2, 1, -4, -4, 32]), "codes": packed(BYTES)},
        {"shape": np.array([2, 1, 0, 4, 32]), "codes": packed(0)},
        {"shape": np.array([2, 1, 3, 4, 32]), "codes": packed(3 * BYTES // 4)},
        {"shape": np.array([2, 1, 4, 1, 32]), "codes": packed(BYTES // 4)},
    ],
)
def test_other_members_are_refused(members: dict[str, Any]) -> None:
    with pytest.raises(FormatError):
        codes_npz.read(archive(**members), MOST)


def test_large_pictures_are_refused_before_their_codes_are_read() -> None:
    data = archive(shape=np.array([16, 1, 4096, 4096, 32]), codes=packed(8))
    with pytest.raises(LimitError):
        codes_npz.read(data, MOST)


class _Bomb:
    """An object whose unpickling leaves a trace."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("member", ["shape", "codes"])
def test_nothing_is_unpickled(member: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    members: dict[str, Any] = {"shape": GOOD, "codes": packed(BYTES)}
    members[member] = np.array([_Bomb(trace)], object)
    with pytest.raises(FormatError):
        codes_npz.read(archive(**members), MOST)
    assert not trace.exists()


def test_pipes_are_read_to_their_end() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    codes = codes_of(2, 4, 4)
    assert np.array_equal(codes_npz.read(Pipe(codes_npz.write(codes)), MOST), codes)


def test_headers_that_numpy_cannot_parse_are_refused() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as target:
        target.writestr("shape.npy", b"\x93NUMPY\x01\x00" + (3800).to_bytes(2, "little") + b"(" * 3800)
        target.writestr("codes.npy", b"")
    with pytest.raises(FormatError, match="code file"):
        codes_npz.read(file.getvalue(), MOST)


def test_what_is_no_archive_is_refused() -> None:
    whole = codes_npz.write(codes_of(2, 4, 4))
    for data in (b"", b"PK\3\4", b"\x8fNIC", whole[: len(whole) // 2], whole[:-1]):
        with pytest.raises(FormatError, match="code file"):
            codes_npz.read(data, MOST)


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 10**6), value=st.integers(0, 255))
def test_a_changed_byte_never_crashes(at: int, value: int) -> None:
    data = bytearray(codes_npz.write(codes_of(2, 4, 4)))
    data[at % len(data)] = value
    try:
        found = codes_npz.read(bytes(data), MOST)
    except FormatError:
        return
    assert found.shape[1] == 32
    assert found.max() <= 1


def test_a_member_that_lies_about_its_size_is_refused() -> None:
    """A deflated gigabyte of zeros behind a header of the right shape."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as target:
        for name, array in (("shape", GOOD), ("codes", packed(1 << 24))):
            member = io.BytesIO()
            np.save(member, array)
            target.writestr(f"{name}.npy", member.getvalue())
    with pytest.raises(FormatError, match="too many"):
        codes_npz.read(file.getvalue(), MOST)
