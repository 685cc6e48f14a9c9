"""How sandwiches are trained; see `families.Family`."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from ..errors import RequestError
from ..metrics.psnr import psnr
from ..metrics.ssim import ms_ssim
from ..models.keras_ops import no_gradients, ops
from ..models.libjpeg import jpeg
from ..models.zoo import Model
from .config import SandwichConfig
from .data import Pixels
from .run_folder import load_average
from .sandwich import SandwichCodec, build_codec, steps_between

build = build_codec


def columns(config: SandwichConfig) -> tuple[str, ...]:
    """The columns of the log."""
    return "score", "rate", "error", "dissimilarity", "outside", *_measures(config)


def measured_steps(config: SandwichConfig) -> tuple[int, ...]:
    """The steps at which whole pictures are measured: four between the smallest and the largest."""
    return tuple(int(step) for step in steps_between(*config.qsteps, np.array([0.2, 0.4, 0.6, 0.8])))


def _measures(config: SandwichConfig) -> list[str]:
    return [f"{name}_{step}" for step in measured_steps(config) for name in ("bpp", "psnr", "msssim")]


def start(codec: SandwichCodec, config: SandwichConfig, packed: Pixels, source: Path | Model | None) -> None:
    """As a sandwich that does nothing; or from a run, whose networks are taken as far as they fit."""
    del packed
    if source is None:
        return
    trained = None if isinstance(source, Model) else load_average(source)
    if trained is None or not isinstance(trained[1], SandwichConfig):
        raise RequestError("a sandwich starts from the folder of a run of its own kind: give that to --start")
    taken = [_take_over(ours, theirs) for ours, theirs in ((codec.pre, trained[0].pre), (codec.post, trained[0].post))]
    if not any(taken):
        raise RequestError(f"{source} has other networks: start from a run of the same architecture")


def _take_over(network: Any, trained: Any) -> bool:
    """Copies all weights if they fit."""
    if [w.shape for w in network.weights] != [w.shape for w in trained.weights]:
        return False
    network.set_weights(trained.get_weights())
    return True


def inputs(config: SandwichConfig, step: int, crops: Pixels) -> tuple[Any, Any]:
    """The inputs of `SandwichCodec.call`; depends on the arguments alone.

    The steps of a batch are spread evenly, so that every batch sees low and high rates.
    """
    crops = _of_depth(crops, config.depth)
    rng = np.random.default_rng((config.seed, step, 1))
    even = (rng.permutation(config.batch) + rng.random()) / config.batch
    return (crops, steps_between(*config.qsteps, even), config.gates_at(step)), None


def steer(codec: SandwichCodec, config: SandwichConfig, numbers: dict[str, float]) -> None:
    """Does nothing: the weight of the rate is fixed."""
    del codec, config, numbers


def measure(codec: SandwichCodec, config: SandwichConfig, pictures: list[Pixels]) -> dict[str, float]:
    """Rate, PSNR and MS-SSIM of whole pictures through real JPEG files, at some steps."""
    with no_gradients():
        deep = [_of_depth(picture[None], config.depth)[0] for picture in pictures]
        rows = [[measure_one(codec, config, picture, step) for step in measured_steps(config)] for picture in deep]
    return dict(zip(_measures(config), np.mean(rows, axis=0).ravel().tolist(), strict=True))


def _of_depth(pictures: npt.NDArray[Any], depth: int) -> npt.NDArray[Any]:
    """Pictures (n, h, w, 3) of 8 bits as such; of more, at half the resolution, where means of four have two bits more."""
    if depth == 8:
        return pictures
    n, height, width, channels = pictures.shape
    four = pictures.reshape(n, height // 2, 2, width // 2, 2, channels).astype(np.float32)
    deep: npt.NDArray[np.uint16] = np.rint(four.mean(axis=(2, 4)) * ((2**depth - 1) / 255.0)).astype(np.uint16)
    return deep


def measure_one(
    codec: SandwichCodec, config: SandwichConfig, picture: npt.NDArray[Any], step: int
) -> tuple[float, float, float]:
    """Codes one picture with libjpeg.

    Returns:
        Bits per pixel, of the whole file but the container; PSNR; MS-SSIM of 8 bits.
    """
    steps = np.array([step], np.float32)
    coded = to_bytes(codec.bottleneck(codec.centred(picture[None]), steps))
    data = jpeg(coded, step, config.tables, subsampled=config.subsampled, progressive=True)
    with Image.open(io.BytesIO(data)) as image:
        restored = np.asarray(image).reshape(1, *coded.shape).astype(np.float32)
    peak = 2**config.depth - 1
    samples = peak * (ops.convert_to_numpy(codec.restore(restored, steps))[0] + 0.5)
    pixels = np.clip(np.rint(samples), 0, peak).astype(picture.dtype)
    similarity = ms_ssim(*(np.rint(shown * (255.0 / peak)).astype(np.uint8) for shown in (picture, pixels)))
    return 8 * len(data) / picture[..., 0].size, psnr(picture, pixels, peak), similarity


def to_bytes(samples: Any) -> npt.NDArray[np.uint8]:
    """The one image (1, h, w, c) of a batch as bytes."""
    rounded: npt.NDArray[np.uint8] = np.clip(np.rint(ops.convert_to_numpy(samples)[0]), 0, 255).astype(np.uint8)
    return rounded
