"""Results that appear whole or not at all.

A result is written to a hidden temporary file beside its target and takes the target's name only when it is complete.
Until then an existing target is untouched, and whatever goes wrong, nothing half-written stays behind.
"""

import errno
import io
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from .errors import OutputError, OutputExistsError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_ADVICE = {
    errno.ENOSPC: "the disk is full: free some space or choose another folder",
    errno.EDQUOT: "the disk quota is used up: free some space or choose another folder",
    errno.EACCES: "no permission to write there: choose another folder",
    errno.EPERM: "no permission to write there: choose another folder",
    errno.EROFS: "the file system is read-only: choose another folder",
    errno.ENOENT: "its folder does not exist: create it first",
    errno.ENOTDIR: "a part of its path is a file, not a folder: choose another path",
    errno.EISDIR: "it is a folder: give a file name",
    errno.ENAMETOOLONG: "its name is too long: choose a shorter one",
    errno.ELOOP: "its symbolic links lead in a circle: choose another path",
}
_DESCRIPTOR_PREFIXES = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/self/fd/")
_BINARY = getattr(os, "O_BINARY", 0)


def check_target(path: str | os.PathLike[str], *, force: bool) -> None:
    """Find out, before any work is done, whether a result could be written to `path`.

    Args:
        path: where the result is to go. Symbolic links are followed; devices and pipes always pass.
        force: whether an existing file may be replaced.

    Raises:
        OutputExistsError: a file is there and `force` is false.
        OutputError: `path` is a folder, its folder is missing or it may not be written to.
    """
    if _is_special(path):
        return
    target = _resolve(path)
    if target.exists() and not force:
        raise _exists_error(path)
    if not target.parent.is_dir():
        raise _output_error(path, errno.ENOTDIR if target.parent.exists() else errno.ENOENT)
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise _output_error(path, errno.EACCES)


@contextmanager
def atomic_output(path: str | os.PathLike[str], *, force: bool) -> Generator[BinaryIO]:
    """Open a binary file that becomes `path` when the block ends without an exception.

    The file is readable by whom the umask allows, or by whom the replaced file was. A symbolic link stays one and its
    file is replaced. Devices, pipes and `/dev/stdout` are written directly.

    Args:
        path: where the result is to go.
        force: whether an existing file may be replaced. Without it, even a file that appears while the block runs
            is left alone.

    Yields:
        The file to write to, at position 0.

    Raises:
        OutputExistsError: a file is there and `force` is false.
        OutputError: opening, writing or renaming failed. An exception of the block itself passes unchanged.
    """
    check_target(path, force=force)
    if _is_special(path):
        with _open_output(Path(path), path, os.O_WRONLY) as file:
            yield file
        return
    target = _resolve(path)
    temporary = target.with_name(f".nicodec-{os.urandom(8).hex()}.part")
    file = _open_output(temporary, path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        with file:
            yield file
        _publish(temporary, target, path, force=force)
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


class _OutputFile(io.FileIO):
    """A raw file whose failing writes say what to do about it.

    Wrapping the file and not the caller's block keeps apart the errors of the output and those of the caller.
    """

    def __init__(self, descriptor: int, path: str | os.PathLike[str], mode: str) -> None:
        super().__init__(descriptor, mode)
        self._path = path

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OSError as error:
            raise _output_error(self._path, error.errno) from error


def _open_output(file: Path, path: str | os.PathLike[str], flags: int) -> BinaryIO:
    """Open `file` with the flags of `os.open`; errors speak of `path`, the name that the caller knows."""
    try:
        descriptor = os.open(file, flags | _BINARY, 0o666)
    except OSError as error:
        raise _output_error(path, error.errno) from error
    if flags & os.O_RDWR:
        return io.BufferedRandom(_OutputFile(descriptor, path, "r+b"))
    return io.BufferedWriter(_OutputFile(descriptor, path, "wb"))


def _publish(temporary: Path, target: Path, path: str | os.PathLike[str], *, force: bool) -> None:
    """Give the complete file its name."""
    try:
        if force:
            with suppress(FileNotFoundError):
                temporary.chmod(stat.S_IMODE(target.stat().st_mode))
            temporary.replace(target)
        else:
            _link_or_claim(temporary, target)
    except FileExistsError as error:
        raise _exists_error(path) from error
    except OSError as error:
        raise _output_error(path, error.errno) from error


def _link_or_claim(temporary: Path, target: Path) -> None:
    """Rename without ever replacing a file, which `os.replace` cannot: `FileExistsError` if `target` is there.

    A hard link fails atomically when the name is taken. Where the file system has no hard links, the name is claimed
    with an empty file first, and only the claim is replaced.
    """
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        try:
            temporary.replace(target)
        except BaseException:
            target.unlink()
            raise


def _is_special(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is written directly: a device, a pipe, a socket, or a name of an open descriptor."""
    if os.fspath(path).startswith(_DESCRIPTOR_PREFIXES):
        return True
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def _resolve(path: str | os.PathLike[str]) -> Path:
    """The real file behind `path`, which need not exist; `OutputError` for a folder or a path that cannot be."""
    try:
        target = Path(os.path.realpath(path))
        mode = target.stat().st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    except OSError as error:
        raise _output_error(path, error.errno) from error
    except ValueError as error:
        raise OutputError(f"{os.fspath(path)!r}: not a file name ({error}): choose another") from error
    if stat.S_ISDIR(mode):
        raise _output_error(path, errno.EISDIR)
    return target


def _exists_error(path: str | os.PathLike[str]) -> OutputExistsError:
    return OutputExistsError(f"{os.fspath(path)}: exists already: use --force to replace it")


def _output_error(path: str | os.PathLike[str], code: int | None) -> OutputError:
    reason = _ADVICE.get(code or 0) or (os.strerror(code) if code else "writing failed")
    return OutputError(f"{os.fspath(path)}: cannot be written: {reason}")
