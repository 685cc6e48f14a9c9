"""How the residual GRU is trained; see `families.Family`."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ..codecs import gru_engine
from ..errors import RequestError
from ..metrics.psnr import psnr
from ..metrics.ssim import ms_ssim
from ..models import keras_weights
from ..models.keras_ops import no_gradients
from ..models.zoo import Model
from .config import ProgressiveConfig
from .data import Pixels
from .progressive import LEVELS, ProgressiveCodec, build_codec, noise_shape, to_bytes
from .run_folder import load_average

_MEASURES = [f"{name}_{level}" for level in LEVELS for name in ("psnr", "msssim")]

build = build_codec


def columns(config: ProgressiveConfig) -> tuple[str, ...]:
    """The columns of the log."""
    del config
    return *(f"error_{level}" for level in LEVELS), *_MEASURES


def start(codec: ProgressiveCodec, config: ProgressiveConfig, packed: Pixels, source: Path | Model | None) -> None:
    """Afresh, or from a run or a model of the same architecture."""
    del packed
    if isinstance(source, Model):
        _start_from_model(codec, config, source)
    elif source is not None:
        _start_from_run(codec, config, source)


def _start_from_model(codec: ProgressiveCodec, config: ProgressiveConfig, model: Model) -> None:
    if model.card["architecture"] != {"family": gru_engine.RECURRENT, **config.architecture.to_json()}:
        raise RequestError(f"{model.id} is no residual GRU of the same architecture: start from another")
    model.verify()
    keras_weights.load_from_onnx(model.path("encoder.onnx"), codec.encoder)
    keras_weights.load_from_onnx(model.path("decoder.onnx"), codec.decoder)


def _start_from_run(codec: ProgressiveCodec, config: ProgressiveConfig, run: Path) -> None:
    trained, theirs, _ = load_average(run)
    if not isinstance(theirs, ProgressiveConfig):
        raise RequestError(f"{run} is no run of a residual GRU: start from one, or from such a model")
    if theirs.architecture != config.architecture:
        raise RequestError(f"{run} has another architecture: start from a run of the same one")
    codec.set_weights(trained.get_weights())


def inputs(config: ProgressiveConfig, step: int, crops: Pixels) -> tuple[Any, Any]:
    """The hardest of the crops, noise for the binariser, how binary it is; depends on the arguments alone."""
    noise = np.random.default_rng((config.seed, step, 1)).random(noise_shape(config, step), np.float32)
    # One array for each iteration: their number is then part of the structure, which TensorFlow never generalises.
    return (hardest(crops, config.batch), tuple(noise), np.array([config.binary_at(step)], np.float32)), None


def steer(codec: ProgressiveCodec, config: ProgressiveConfig, numbers: dict[str, float]) -> None:
    """Does nothing: the objective has no balance."""
    del codec, config, numbers


def measure(codec: ProgressiveCodec, config: ProgressiveConfig, pictures: list[Pixels]) -> dict[str, float]:
    """PSNR and MS-SSIM of whole pictures at some levels."""
    del config
    with no_gradients():
        rows = [_measure_one(codec, picture) for picture in pictures]
    return dict(zip(_MEASURES, np.mean(rows, axis=0).tolist(), strict=True))


def hardest(crops: Pixels, count: int) -> Pixels:
    """Those of some crops (n, h, w, 3) that compress worst without loss, as differences to the left, by DEFLATE.

    The original trained on the tiles of each picture that PNG compresses worst (Toderici et al., section 4.1).
    """
    if len(crops) == count:
        return crops
    differences = np.diff(crops, axis=2, prepend=0)  # bytes wrap around, as PNG's do
    sizes = [len(zlib.compress(crop.tobytes(), 1)) for crop in differences]
    return crops[np.sort(np.argsort(sizes, kind="stable")[len(crops) - count :])]


def _measure_one(codec: ProgressiveCodec, picture: Pixels) -> list[float]:
    restored = codec.restore(picture[None].astype(np.float32) / 255.0 - 0.5)
    samples = [to_bytes(restored[level])[0] for level in LEVELS]
    return [value for image in samples for value in (psnr(picture, image), ms_ssim(picture, image))]
