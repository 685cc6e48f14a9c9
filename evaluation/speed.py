"""Speed and memory of the shipped codecs on this machine, each next to a reference measured in the same run."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import images
from ..bitstream import container
from ..bitstream.planes import LatentTables, decode_stripe, encode_stripe, stripe_rows
from ..codecs.base import DecodeRequest, EncodeSettings
from ..codecs.registry import codec_by_number
from ..models.runtime import load_network
from ..models.zoo import Model

Row = tuple[str, str]


def photo(width: int, height: int) -> npt.NDArray[np.uint8]:
    """A picture with the spectrum of a photograph: coloured noise with a falling power law, uint8 (height, width, 3), always the same."""
    rng = np.random.default_rng(5)
    tile = min(1024, width, height)
    frequency = np.hypot(np.fft.fftfreq(tile)[:, None], np.fft.rfftfreq(tile)[None]) + 1 / tile
    planes = [np.fft.irfft2(np.fft.rfft2(rng.standard_normal((tile, tile))) / frequency**1.6) for _ in range(3)]
    luma = planes[0][..., None] + 0.3 * np.stack(planes, axis=-1)
    pixels = np.clip(128 + 45 * luma / luma.std(), 0, 255).astype(np.uint8)
    repeats = (-(-height // tile), -(-width // tile), 1)
    return np.tile(pixels, repeats)[:height, :width]


def start_up(model: Model, runs: int = 7) -> list[Row]:
    """Whole-process times of commands that load no network, beside an empty Python process."""
    with tempfile.TemporaryDirectory() as folder:
        file = _coded_file(model, Path(folder), 768, 512)
        reference = _process_time([sys.executable, "-c", "pass"], runs)
        rows = [("python -c pass", f"{reference:.3f} s")]
        for arguments in (["--help"], ["info", str(file)]):
            seconds = _process_time([sys.executable, "-m", "nicodec", *arguments], runs)
            rows.append((f"nicodec {arguments[0]}", f"{seconds:.3f} s"))
    return rows


def whole_decode(model: Model, runs: int = 5) -> list[Row]:
    """Whole-process decode of a 768x512 file on one core, beside the network's own time."""
    with tempfile.TemporaryDirectory() as folder:
        file = _coded_file(model, Path(folder), 768, 512)
        output = Path(folder) / "restored.png"
        command = [sys.executable, "-m", "nicodec", "decode", "-q", "--force", "--threads", "1", str(file), str(output)]
        process = _process_time(command, runs, single_core=True)
    latents = np.zeros((1, _tables(model).context.channels, 64, 96), np.int8)
    with _one_core():
        network = _median(lambda: load_network(model, "decoder", threads=1)(latents), runs)
    return [
        (f"{model.id} decode 768x512, whole process, 1 core", f"{process:.3f} s"),
        (f"{model.id} synthesis network alone, 1 core", f"{network:.3f} s"),
        ("difference", f"{process - network:.3f} s"),
    ]


def shares(model: Model, width: int = 1920, height: int = 1080, runs: int = 3) -> list[Row]:
    """Share of entropy coding in encode and decode, and coded size over the ideal code length."""
    picture = images.Picture(pixels=photo(width, height))
    codec = codec_by_number(model.codec)
    coded = codec.encode(picture, model, EncodeSettings())
    encode = _median(lambda: codec.encode(picture, model, EncodeSettings()), runs)
    decode = _median(lambda: codec.decode(coded, model, DecodeRequest()), runs)
    tables = _tables(model)
    rows, columns = coded.header.latent_height, coded.header.latent_width
    stripes = stripe_rows(rows, columns)
    payloads = [segment.payload for segment in coded.segments]
    parts = [decode_stripe(p, tables.context, b - t, columns) for p, (t, b) in zip(payloads, stripes, strict=True)]
    entropy_decode = _median(
        lambda: [decode_stripe(p, tables.context, b - t, columns) for p, (t, b) in zip(payloads, stripes, strict=True)],
        runs,
    )
    entropy_encode = _median(lambda: [encode_stripe(part, tables.context) for part in parts], runs)
    return [
        (f"{model.id} encode {width}x{height}", f"{encode:.2f} s, entropy coding {entropy_encode / encode:.1%}"),
        (f"{model.id} decode {width}x{height}", f"{decode:.2f} s, entropy coding {entropy_decode / decode:.1%}"),
    ]


def overhead(model: Model) -> list[Row]:
    """Bytes of a coded 768x512 picture over the ideal code length of its tables."""
    from ..bitstream.context import ideal_bits

    coded = codec_by_number(model.codec).encode(images.Picture(pixels=photo(768, 512)), model, EncodeSettings())
    tables = _tables(model)
    rows, columns = coded.header.latent_height, coded.header.latent_width
    ideal = actual = 0.0
    for segment, (top, bottom) in zip(coded.segments, stripe_rows(rows, columns), strict=True):
        ideal += ideal_bits(tables.context, decode_stripe(segment.payload, tables.context, bottom - top, columns)) / 8
        actual += segment.size
    whole = len(container.write(coded))
    return [
        (f"{model.id} entropy-coded bytes over ideal", f"{actual / ideal - 1:+.3%} ({actual - ideal:.1f} bytes)"),
        (f"{model.id} whole file over ideal", f"{whole / ideal - 1:+.3%} ({whole - ideal:.1f} bytes)"),
    ]


def memory(model: Model, width: int = 12500, height: int = 8000) -> list[Row]:
    """Peak resident memory of whole encode and decode processes on a 100-megapixel PNG."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images.save(images.Picture(pixels=photo(width, height)), folder / "in.png")
        steps = {
            "encode": ["encode", "-q", "--model", model.id, str(folder / "in.png"), str(folder / "out.nic")],
            "decode": ["decode", "-q", str(folder / "out.nic"), str(folder / "out.png")],
        }
        rows: list[Row] = []
        for step, arguments in steps.items():
            started = time.perf_counter()
            peak = peak_memory([sys.executable, "-m", "nicodec", *arguments])
            seconds = time.perf_counter() - started
            rows.append((f"{model.id} {step} {width}x{height}", f"{peak / 2**30:.2f} GiB peak, {seconds:.0f} s"))
    return rows


def _tables(model: Model) -> LatentTables:
    with np.load(model.path("entropy.npz"), allow_pickle=False) as arrays:
        return LatentTables.from_arrays(arrays)


def _coded_file(model: Model, folder: Path, width: int, height: int) -> Path:
    codec = codec_by_number(model.codec)
    coded = codec.encode(images.Picture(pixels=photo(width, height)), model, EncodeSettings())
    path = folder / "sample.nic"
    path.write_bytes(container.write(coded))
    return path


def _median(action: Callable[[], Any], runs: int) -> float:
    action()
    times: list[float] = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def _process_time(command: list[str], runs: int, *, single_core: bool = False) -> float:
    pin = _pin_to_one_core if single_core else None
    # An installed package has its bytecode beside it; without this setting, so has a checkout after the first run.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return _median(
        lambda: subprocess.run(command, check=True, capture_output=True, preexec_fn=pin, env=environment), runs
    )


@contextmanager
def _one_core() -> Generator[None]:
    """Keeps this process on one core for the duration of a block, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    _pin_to_one_core()
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _pin_to_one_core() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def peak_memory(command: list[str]) -> int:
    """Peak resident bytes of one command, measured by a process that has no other children."""
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout.split()[-1]) * unit
