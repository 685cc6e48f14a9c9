import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nicodec.errors import OutputError, OutputExistsError
from nicodec.outputs import atomic_output, check_target


def _write(path: Path, data: bytes, *, force: bool = False) -> None:
    with atomic_output(path, force=force) as file:
        file.write(data)


def _fail(path: Path, error: BaseException, *, force: bool = False) -> None:
    with atomic_output(path, force=force) as file:
        file.write(b"half")
        raise error


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o027)
    yield
    os.umask(before)


def test_writes_the_whole_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    _write(tmp_path / "out.bin", b"abc" * 100_000)
    assert (tmp_path / "out.bin").read_bytes() == b"abc" * 100_000
    assert os.listdir(tmp_path) == ["out.bin"]


def test_target_is_absent_until_the_block_ends(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "out.bin", force=False) as file:
        file.write(b"abc")
        file.flush()
        assert not (tmp_path / "out.bin").exists()
        assert [name[0] for name in os.listdir(tmp_path)] == ["."]


def test_file_can_seek_and_read(tmp_path: Path) -> None:
    with atomic_output(tmp_path / "out.bin", force=False) as file:
        file.write(b"....tail")
        file.seek(0)
        file.write(b"head")
        file.seek(0)
        assert file.read() == b"headtail"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_exception_of_the_block_passes_and_removes_the_file(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error) as caught:
        _fail(tmp_path / "out.bin", error("stop"))
    assert type(caught.value) is error
    assert os.listdir(tmp_path) == []


def test_existing_file_needs_force(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(OutputExistsError, match="--force"):
        check_target(target, force=False)
    with pytest.raises(OutputExistsError):
        _write(target, b"new")
    assert target.read_bytes() == b"old"
    check_target(target, force=True)
    _write(target, b"new", force=True)
    assert target.read_bytes() == b"new"


def test_failing_with_force_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(ValueError, match="stop"):
        _fail(target, ValueError("stop"), force=True)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


def _refuse_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "no hard links here")


@pytest.mark.parametrize("hard_links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hard_links: bool
) -> None:
    if not hard_links:
        monkeypatch.setattr(os, "link", _refuse_links)
    target = tmp_path / "out.bin"

    def write_while_another_file_appears() -> None:
        with atomic_output(target, force=False) as file:
            file.write(b"new")
            target.write_bytes(b"other")

    with pytest.raises(OutputExistsError):
        write_while_another_file_appears()
    assert target.read_bytes() == b"other"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", _refuse_links)
    _write(tmp_path / "out.bin", b"abc")
    assert (tmp_path / "out.bin").read_bytes() == b"abc"
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.usefixtures("umask")
def test_mode_follows_the_umask_or_the_replaced_file(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    _write(target, b"abc")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    target.chmod(0o604)
    _write(target, b"new", force=True)
    assert stat.S_IMODE(target.stat().st_mode) == 0o604


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("missing/out.bin", "create it first"),
        (".", "give a file name"),
        ("file/out.bin", "not a folder"),
        ("x" * 300, "shorter"),
        ("loop", "circle"),
        ("nul\0byte", "not a file name"),
    ],
)
def test_impossible_targets(tmp_path: Path, path: str, advice: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match=advice) as caught:
        _write(tmp_path / path, b"")
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["file", "loop"]


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Simulated: the superuser, who may run the tests, may write anywhere.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OutputError, match="no permission"):
        check_target(tmp_path / "out.bin", force=False)


def test_read_only_file_system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(OutputError, match="read-only"):
        _write(tmp_path / "out.bin", b"")


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_full_disk(tmp_path: Path, size: int) -> None:
    # A small result meets the full disk when it is closed, a large one while it is written.
    (tmp_path / "full").symlink_to("/dev/full")
    with pytest.raises(OutputError, match="disk is full"):
        _write(tmp_path / "full", bytes(size))


def test_full_disk_leaves_no_file(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OutputError, match="cannot be written: File too large"):
            _write(tmp_path / "out.bin", bytes(1_000_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert os.listdir(tmp_path) == []


def test_symbolic_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to("folder/real")
    _write(link, b"one")
    with pytest.raises(OutputExistsError):
        _write(link, b"two")
    _write(link, b"two", force=True)
    assert link.is_symlink()
    assert (tmp_path / "folder" / "real").read_bytes() == b"two"


def test_special_files_are_written_directly(tmp_path: Path) -> None:
    check_target("/dev/null", force=False)
    _write(Path("/dev/null"), b"abc")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(pipe.read_bytes()))
    reader.start()
    _write(pipe, b"abc")
    reader.join()
    assert received == [b"abc"]
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_open_descriptor_is_written_directly(tmp_path: Path) -> None:
    with open(tmp_path / "redirected", "wb") as file:
        _write(Path(f"/dev/fd/{file.fileno()}"), b"abc")
    assert (tmp_path / "redirected").read_bytes() == b"abc"
