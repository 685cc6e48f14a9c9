"""Writes a run of a sandwich as a zoo entry; see `export.Exporter`."""

from pathlib import Path

import numpy as np

from ..codecs.sandwich_header import NUMBER, Inner
from ..codecs.sandwich_model import Net, SandwichModel
from ..errors import RequestError
from ..models import keras_weights, onnx_graph
from ..models.complexity import macs_per_pixel
from ..models.sandwich import SandwichArchitecture
from ..models.unet import UNetArchitecture
from .config import SandwichConfig
from .export import Entry
from .sandwich import SandwichCodec

_MODEL_NUMBERS = {
    "sandwich-gray": 1,
    "sandwich-lowres": 2,
    "sandwich-hdr": 3,
    "sandwich-msssim": 4,
    "sandwich-rgb": 5,
    # What sandwich-gray is compared with; not shipped.
    "sandwich-gray-post": 6,
}


def write(codec: SandwichCodec, config: SandwichConfig, folder: Path, pictures: list[Path]) -> Entry:
    """Both networks in half precision, and what the codec must know about them; needs no pictures."""
    del pictures
    if config.model not in _MODEL_NUMBERS:
        raise RequestError(f"{config.model} has no number in the format: choose one of {', '.join(_MODEL_NUMBERS)}")
    for network, name in ((codec.pre, "encoder.onnx"), (codec.post, "decoder.onnx")):
        keras_weights.round_to_half(network)
        (folder / name).write_bytes(onnx_graph.float_graph(network))
    np.savez_compressed(folder / "entropy.npz", **shape_of(config).to_arrays())  # type: ignore[arg-type]
    architecture = config.architecture
    return Entry(
        codec=NUMBER,
        model=_MODEL_NUMBERS[config.model],
        architecture={"family": SandwichArchitecture.family, **architecture.to_json()},
        parameters={"encoder": codec.pre.count_params(), "decoder": codec.post.count_params()},
        macs=(macs_per_pixel(codec.pre, 1), macs_per_pixel(codec.post, 1)),
    )


def shape_of(config: SandwichConfig) -> SandwichModel:
    """What the codec must know about a model."""
    fine, coarse = (round(step) for step in config.qsteps)
    return SandwichModel(
        channels=config.architecture.bottleneck,
        downsampling=config.architecture.downsampling,
        subsampled=config.subsampled,
        steps=(coarse, fine),
        tables=config.tables,
        trained=(Inner.JPEG,),
        coded_alignment=config.architecture.coded_alignment,
        pre=_net(config.architecture, config.architecture.pre),
        post=_net(config.architecture, config.architecture.post),
        depth=8 if config.depth == 8 else 16,
    )


def _net(architecture: SandwichArchitecture, net: UNetArchitecture | None) -> Net:
    return Net(architecture.alignment(net), architecture.halo(net))
