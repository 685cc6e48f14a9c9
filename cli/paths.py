"""Which input becomes which output."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import OutputError, RequestError

STREAM = "-"
"""Stands for stdin as an input and for stdout as an output."""


@dataclass(frozen=True)
class Job:
    """One input and the output it becomes, as paths or `STREAM`."""

    source: str
    target: str


def plan(
    paths: Sequence[str], out_dir: str | None, *, suffix: str | None, is_output: Callable[[str], bool], as_json: bool
) -> list[Job]:
    """Reads the arguments of a command that turns files into files.

    With --out-dir every path is an input. Without it the arguments are IN or IN OUT; the output of IN alone is its
    name with the new suffix, or stdout if IN is stdin.

    Args:
        paths: the positional arguments, at least one.
        out_dir: value of --out-dir; the folder is made if it is not there.
        suffix: of the outputs, such as ".nic"; None if the work finds it: targets that are not given are then without one,
            and to be completed by `with_suffix`.
        is_output: whether a path can be meant as OUT; if not, the arguments are several inputs.
        as_json: whether stdout is taken by JSON.

    Raises:
        RequestError: the arguments do not fit together; nothing was touched.
        OutputError: the output folder cannot be made.
    """
    if out_dir is not None:
        return _into_folder(paths, out_dir, suffix)
    if len(paths) > 2 or (len(paths) == 2 and not is_output(paths[1])):
        raise RequestError(f"{paths[-1]}: not an output of this command: for several inputs give --out-dir DIR")
    source = paths[0]
    target = paths[1] if len(paths) == 2 else _beside(source, suffix)
    if target == STREAM and as_json:
        raise RequestError("the result and --json cannot both go to stdout: give an output file")
    if suffix is not None or len(paths) == 2:
        _require_different(source, target)
    return [Job(source, target)]


def with_suffix(job: Job, suffix: str) -> str:
    """The target of a job that was planned without a suffix.

    Raises:
        RequestError: it is the source.
    """
    target = job.target + suffix
    _require_different(job.source, target)
    return target


def label(path: str) -> str:
    """What to call an input in messages."""
    return "stdin" if path == STREAM else path


def _require_different(source: str, target: str) -> None:
    if target != STREAM and _same(source, target):
        raise RequestError(f"{source}: input and output are the same file: give another output")


def _into_folder(paths: Sequence[str], out_dir: str, suffix: str | None) -> list[Job]:
    if STREAM in paths:
        raise RequestError("stdin has no name to use in --out-dir: give IN and OUT instead")
    jobs = [Job(path, os.path.join(out_dir, Path(path).stem + (suffix or ""))) for path in paths]
    first: dict[str, str] = {}
    for job in jobs:
        if job.target in first:
            raise RequestError(f"{first[job.target]} and {job.source} would both become {job.target}: rename one")
        if suffix is not None and _same(job.source, job.target):
            raise RequestError(f"{job.source}: input and output are the same file: give another --out-dir")
        first[job.target] = job.source
    make_folder(out_dir)
    return jobs


def make_folder(folder: str) -> None:
    """Makes a folder for outputs, if it is not there.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        os.makedirs(folder, exist_ok=True)
    except (OSError, ValueError) as error:
        raise OutputError(f"{folder}: cannot be made ({error}): give another folder") from error


def _beside(source: str, suffix: str | None) -> str:
    if source == STREAM:
        return STREAM
    path = Path(source)
    return str(path.with_name(path.stem + (suffix or ""))) if path.name else source


def _same(source: str, target: str) -> bool:
    return source != STREAM and os.path.realpath(source) == os.path.realpath(target)
