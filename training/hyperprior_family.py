"""How the hyperprior codecs are trained; see `families.Family`."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import RequestError
from ..metrics.psnr import psnr
from ..models import shallow_start
from ..models.keras_ops import no_gradients, ops
from ..models.shallow import STRIDE
from ..models.zoo import Model
from .config import HyperpriorConfig
from .data import Pixels, blocks_of
from .hyperprior import REFERENCE_LAMBDA, HyperpriorCodec, build_codec
from .run_folder import load_average

build = build_codec

_BLOCKS = 200_000


def columns(config: HyperpriorConfig) -> tuple[str, ...]:
    """The columns of the log."""
    measured = [f"{name}_{anchor}" for anchor in measured_anchors(config) for name in ("bpp", "fast", "psnr")]
    return "bpp", "hyper_bpp", "fast_bpp", "mse", "score", *measured


def measured_anchors(config: HyperpriorConfig) -> range:
    """The anchors at which whole pictures are measured: every other one."""
    return range(0, len(config.lambdas), 2)


def start(codec: HyperpriorCodec, config: HyperpriorConfig, packed: Pixels, source: Path | Model | None) -> None:
    """As a KLT; or from a run of the same architecture, of which the synthesis may be another if ours is one layer."""
    if source is None:
        start_from_klt(codec, config, blocks_of(packed, STRIDE, _BLOCKS))
        return
    trained = None if isinstance(source, Model) else load_average(source)
    if trained is None or not isinstance(trained[1], HyperpriorConfig):
        raise RequestError("a hyperprior codec starts from the folder of a run of its own kind: give that to --start")
    if not _take_over(codec, config, trained[0]):
        raise RequestError(f"{source} has another architecture: start from a run of the same one")


def _take_over(codec: HyperpriorCodec, config: HyperpriorConfig, trained: HyperpriorCodec) -> bool:
    """Copies all weights that fit; False if some do not. A synthesis of one layer imitates one that does not fit."""
    others = {layer.name: layer for layer in trained.layers}
    for layer in codec.layers:
        other = others.get(trained.synthesis.name if layer is codec.synthesis else layer.name)
        if other is not None and [w.shape for w in layer.weights] == [w.shape for w in other.weights]:
            layer.set_weights(other.get_weights())
        elif layer is codec.synthesis and config.architecture.synthesis == "one_layer":
            sizes = np.exp(np.median(ops.convert_to_numpy(trained.log_inverse.table), axis=0))
            shallow_start.imitate_synthesis(layer, config.architecture, trained.synthesis, sizes)
        else:
            return False
    return True


def inputs(config: HyperpriorConfig, step: int, crops: Pixels) -> tuple[Any, Any]:
    """The inputs of `HyperpriorCodec.call`; depends on the arguments alone."""
    n, height, width, _ = crops.shape
    shape = (n, height // STRIDE, width // STRIDE, config.architecture.latents)
    noise = np.random.default_rng((config.seed, step, 1)).random(shape, np.float32) - np.float32(0.5)
    return (crops, positions_of(config, step), noise), None


def steer(codec: HyperpriorCodec, config: HyperpriorConfig, numbers: dict[str, float]) -> None:
    """Does nothing: every quality has its fixed lambda."""
    del codec, config, numbers


def positions_of(config: HyperpriorConfig, step: int) -> npt.NDArray[np.float32]:
    """Where on the quality scale each crop of a step is coded, float32 (batch,); depends on the arguments alone.

    The positions of a batch are spread evenly, so that every step sees low and high rates.
    """
    rng = np.random.default_rng((config.seed, step, len(config.lambdas)))
    even = (np.arange(config.batch) + rng.random()) / config.batch
    return (rng.permutation(even) * (len(config.lambdas) - 1)).astype(np.float32)


def start_from_klt(codec: HyperpriorCodec, config: HyperpriorConfig, blocks: Pixels) -> None:
    """Initialises transforms, gains and rate as a KLT of the given blocks, uint8 (n, 16, 16, 3)."""
    basis, deviations = shallow_start.klt(blocks, config.architecture.latents)
    if config.klt:
        shallow_start.start_analysis(codec.analysis, config.architecture, basis)
        shallow_start.start_synthesis(codec.synthesis, config.architecture, basis)
    # The step at which uniform quantisation of an orthonormal transform has a slope of lambda, at low rates.
    steps = np.sqrt(26.0 / np.array(config.lambdas))[:, None] / 255.0
    codec.log_gain.table.assign(np.broadcast_to(-np.log(steps), codec.log_gain.table.shape))
    codec.log_inverse.table.assign(np.broadcast_to(np.log(steps), codec.log_gain.table.shape))
    codec.rate.start(deviations[None, :] / steps)


def measure(codec: HyperpriorCodec, config: HyperpriorConfig, pictures: list[Pixels]) -> dict[str, float]:
    """Rates under the training model and PSNR of whole pictures at every other anchor, and the mean training score.

    Returns:
        `score`; and for each anchor k measured `bpp_k` (with context), `fast_k` (hyperprior alone), `psnr_k`.
    """
    numbers: dict[str, float] = {}
    scores: list[float] = []
    for anchor in measured_anchors(config):
        with no_gradients():
            rows = [_measure_one(codec, picture, float(anchor)) for picture in pictures]
        bpp, fast, decibel, mse = np.mean(rows, axis=0).tolist()
        numbers |= {f"bpp_{anchor}": bpp, f"fast_{anchor}": fast, f"psnr_{anchor}": decibel}
        weight = config.lambdas[anchor]
        scores.append((bpp + weight * mse) / (weight / REFERENCE_LAMBDA) ** 0.5)
    return {"score": float(np.mean(scores)), **numbers}


def _measure_one(codec: HyperpriorCodec, picture: Pixels, anchor: float) -> tuple[float, float, float, float]:
    position = np.array([anchor], np.float32)
    rounded, *bits = codec.code(codec.latents(picture[None].astype(np.float32) / 255.0, position), position)
    pixels = ops.convert_to_numpy(codec.restore(rounded, position))[0]
    restored = np.clip(np.rint(pixels * 255.0), 0, 255).astype(np.uint8)
    hyper, fast, full = (float(ops.convert_to_numpy(b)[0]) / picture[..., 0].size for b in bits)
    mse = float(np.mean(np.square(picture.astype(np.float64) - restored)))
    return hyper + full, hyper + fast, psnr(picture, restored), mse
