"""Speed and memory of the shipped codecs on this machine, each next to a reference measured in the same run."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from .. import images
from ..bitstream import container
from ..bitstream.container import Container
from ..codecs.base import DecodeRequest, EncodeSettings
from ..codecs.registry import codec_by_number
from ..models.runtime import load_network
from ..models.zoo import Model
from .entropy import entropy_parts
from .synthetic import photo
from .timing import Row, median_time, one_core, pin


def start_up(model: Model, runs: int = 7) -> list[Row]:
    """Whole-process times of commands that load no network, beside an empty Python process."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sample.nic"
        file.write_bytes(container.write(_coded(model, 768, 512)))
        reference = _process_time([sys.executable, "-c", "pass"], runs)
        rows = [("python -c pass", f"{reference:.3f} s")]
        for arguments in (["--help"], ["info", str(file)]):
            seconds = _process_time([sys.executable, "-m", "nicodec", *arguments], runs)
            rows.append((f"nicodec {arguments[0]}", f"{seconds:.3f} s"))
    return rows


def whole_decode(model: Model, runs: int = 5) -> list[Row]:
    """Whole-process decode of a 768x512 file on one core, beside the network's own time."""
    coded = _coded(model, 768, 512)
    with tempfile.TemporaryDirectory() as folder:
        file, output = Path(folder) / "sample.nic", Path(folder) / "restored.png"
        file.write_bytes(container.write(coded))
        command = [sys.executable, "-m", "nicodec", "decode", "-q", "--force", "--threads", "1", str(file), str(output)]
        process = _process_time(command, runs, single_core=True)
    with one_core():
        network = network_time(model, coded, 1, runs)
    return [
        (f"{model.id} decode 768x512, whole process, 1 core", f"{process:.3f} s"),
        (f"{model.id} synthesis network alone, 1 core", f"{network:.3f} s"),
        ("difference", f"{process - network:.3f} s"),
    ]


def network_time(model: Model, coded: Container, threads: int, runs: int) -> float:
    """Median seconds of the synthesis network alone on latents of a file's size, in one piece."""
    header = coded.header
    network = load_network(model, "decoder", threads=threads)
    latents = np.zeros((1, header.channels, header.latent_height, header.latent_width), np.float32)
    return median_time(lambda: network(latents), runs)


def shares(model: Model, width: int = 1920, height: int = 1080, runs: int = 3) -> list[Row]:
    """Share of entropy coding in encode and decode.

    Raises:
        RequestError: the model's codec is not one whose parts are known.
    """
    parts = entropy_parts(model)
    picture = images.Picture(pixels=photo(width, height))
    settings = EncodeSettings()
    codec = codec_by_number(model.codec)
    coded = codec.encode(picture, model, settings)
    encode = median_time(lambda: codec.encode(picture, model, settings), runs)
    decode = median_time(lambda: codec.decode(coded, model, DecodeRequest()), runs)
    entropy_encode = median_time(parts.entropy_encoder(picture, model, settings), runs)
    entropy_decode = median_time(lambda: codec.verify(coded, model), runs)
    return [
        (f"{model.id} encode {width}x{height}", f"{encode:.2f} s, entropy coding {entropy_encode / encode:.1%}"),
        (f"{model.id} decode {width}x{height}", f"{decode:.2f} s, entropy coding {entropy_decode / decode:.1%}"),
    ]


def overhead(model: Model, width: int = 768, height: int = 512) -> list[Row]:
    """Bytes of a coded picture over the ideal code length of its tables.

    Raises:
        RequestError: the model's codec is not one whose parts are known.
    """
    coded = _coded(model, width, height)
    ideal = entropy_parts(model).ideal_bits(coded, model) / 8
    actual = sum(segment.size for segment in coded.segments)
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


def _coded(model: Model, width: int, height: int) -> Container:
    picture = images.Picture(pixels=photo(width, height))
    return codec_by_number(model.codec).encode(picture, model, EncodeSettings())


def _process_time(command: list[str], runs: int, *, single_core: bool = False) -> float:
    start = pin(1) if single_core else None
    # An installed package has its bytecode beside it; without this setting, so has a checkout after the first run.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return median_time(
        lambda: subprocess.run(command, check=True, capture_output=True, preexec_fn=start, env=environment), runs
    )


def peak_memory(command: list[str]) -> int:
    """Peak resident bytes of one command, measured by a process that has no other children."""
    script = (
        "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run([sys.executable, "-c", script, *command], check=True, capture_output=True, text=True)
    unit = 1 if sys.platform == "darwin" else 1024
    return int(done.stdout.split()[-1]) * unit
