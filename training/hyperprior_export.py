"""Writes a run of a hyperprior codec as a zoo entry; see `export.Exporter`.

The float hyper-synthesis becomes an integer network, its biases and the prior of the hyper-latents integer tables; then
the integer entropy model is fitted to latents at all qualities (`hyper_entropy`).
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from ..bitstream.escape import code_lengths
from ..bitstream.hyper_context import Planes, Prior
from ..bitstream.linear_forms import ONE
from ..codecs.shallow_header import NODES, NUMBER
from ..codecs.shallow_model import ShallowModel
from ..errors import RequestError
from ..models import impulses, keras_weights, onnx_graph, shallow, zoo
from ..models.backends import onnx_runtime
from ..models.complexity import macs_per_pixel
from ..models.integer_net import IntegerNet
from ..models.integer_quantiser import FloatLayer, quantise
from ..models.keras_ops import ops
from . import hyper_entropy
from .config import HyperpriorConfig
from .data import read_cropped
from .export import Entry
from .hyper_entropy import Sample
from .hyperprior import HyperpriorCodec
from .spread_calibration import channel_bits, spread_shifts

_MODEL_NUMBERS = {"shallow-two-layer": 1, "shallow-jpegl": 2}
_MAX_SIDE = 768
_BAND_CHANNELS = (8, 48)
_HYPER_RANGE = (-127, 127)
_FEATURE_RANGE = (-(1 << 15), (1 << 15) - 1)
_CALIBRATION = 24

Floats = npt.NDArray[np.float64]


def write(codec: HyperpriorCodec, config: HyperpriorConfig, folder: Path, pictures: list[Path]) -> Entry:
    """The transforms in half precision, and the integer entropy model."""
    if config.model not in _MODEL_NUMBERS:
        raise RequestError(f"{config.model} has no number in the format: choose one of {', '.join(_MODEL_NUMBERS)}")
    for transform in (codec.analysis, codec.hyper_analysis, codec.synthesis):
        keras_weights.round_to_half(transform)
    (folder / "encoder.onnx").write_bytes(onnx_graph.encoder_graph(codec.analysis))
    (folder / "hyper_encoder.onnx").write_bytes(onnx_graph.hyper_encoder_graph(codec.hyper_analysis))
    (folder / "decoder.onnx").write_bytes(onnx_graph.decoder_graph(codec.synthesis))
    scales = _Scales(codec, config)
    coded = list(_coded(folder, config, scales, pictures))
    model = fit(codec, scales, coded)
    arrays: dict[str, Any] = model.to_arrays()
    np.savez_compressed(folder / "entropy.npz", **arrays)
    return _entry(codec, config, integer_cost(codec, model, coded))


class _Scales:
    """The quality scale in NumPy: gains and biases at the nodes of the integer entropy model."""

    def __init__(self, codec: HyperpriorCodec, config: HyperpriorConfig) -> None:
        self.log_gain, self.log_inverse = (
            np.asarray(ops.convert_to_numpy(layer.table), np.float32) for layer in (codec.log_gain, codec.log_inverse)
        )
        self.log_lambda = np.log(np.array(config.lambdas, np.float32))
        positions = np.linspace(0, len(config.lambdas) - 1, NODES + 1).astype(np.float32)
        self.gain = np.exp(_between(self.log_gain, positions))
        self.biases = ops.convert_to_numpy(codec.rate.biases(positions))[:, 0, 0].astype(np.float64)
        self.hyper_prior = ops.convert_to_numpy(codec.hyper_rate.parameters_at(positions))[:, 0, 0].astype(np.float64)


def _between(anchors: npt.NDArray[np.float32], positions: npt.NDArray[np.float32]) -> Floats:
    places = np.arange(len(anchors))
    columns = [np.interp(positions, places, column) for column in anchors.T]
    return np.stack(columns, axis=1)


class _Coded:
    """One picture at one quality, rounded: exact latents, hyper-latents, node."""

    def __init__(self, exact: npt.NDArray[np.float32], hyper: Planes, node: int) -> None:
        self.exact, self.hyper, self.node = exact, hyper, node


def _coded(folder: Path, config: HyperpriorConfig, scales: _Scales, pictures: list[Path]) -> Iterator[_Coded]:
    """Every picture at one quality after another, from the networks as they ship."""
    entry = zoo.Model(id=config.model, codec=NUMBER, number=0, hash=b"", revision=1, folder=folder, card={})
    encoder, hyper_encoder = (onnx_runtime.load(entry, part, None) for part in ("encoder", "hyper_encoder"))
    for index, path in enumerate(tqdm(pictures, "latents", disable=None)):
        node = 7 * index % (NODES + 1)  # 7 and NODES + 1 share no factor: all qualities occur equally often
        pixels = read_cropped(path, _MAX_SIDE, shallow.HYPER_STRIDE)
        exact = encoder(pixels[None])[0] * scales.gain[node][:, None, None].astype(np.float32)
        hyper = np.clip(np.rint(hyper_encoder(exact[None])[0]), *_HYPER_RANGE).astype(np.int32)
        yield _Coded(exact, hyper, node)


def fit(codec: HyperpriorCodec, scales: _Scales, coded: list[_Coded]) -> ShallowModel:
    """The integer entropy model of a codec, fitted to coded pictures."""
    net = _integer_net(codec, [c.hyper for c in _some(coded)])
    biases = np.rint(ONE * scales.biases).astype(np.int32)
    bounds, forms = codec.rate.bounds, codec.rate.integer_forms()
    samples = _samples(net, biases, coded)
    context = hyper_entropy.fit(samples, bounds, forms)
    biases[:, bounds[-1] :] += spread_shifts(context, samples, [c.node for c in coded], len(biases))
    samples = _samples(net, biases, coded)
    context = hyper_entropy.fit(samples, bounds, forms)
    means, spreads = np.split(scales.hyper_prior, 2, axis=1)
    return ShallowModel(
        context=context,
        alone=hyper_entropy.fit_alone(context, samples),
        net=net,
        biases=biases,
        hyper_prior=np.rint(ONE * np.stack([means, spreads], axis=1)).astype(np.int32),
        bands=np.array([0, *(bounds.index(b) for b in _BAND_CHANNELS if b in bounds[1:-1]), len(bounds) - 1]),
        log_gain=scales.log_gain,
        log_inverse=scales.log_inverse,
        log_lambda=scales.log_lambda,
        energy=_energy(codec.synthesis, np.exp(np.median(scales.log_inverse, axis=0))),
    )


def integer_cost(codec: HyperpriorCodec, model: ShallowModel, coded: list[_Coded]) -> float:
    """By how many percent the integer hyper-synthesis makes latents larger than the float one that it stands in for."""

    def trained(hyper: Planes) -> Planes:
        features = ops.convert_to_numpy(codec.hyper_synthesis(hyper.transpose(1, 2, 0)[None].astype(np.float32)))[0]
        planes: Planes = np.clip(np.rint(ONE * features.transpose(2, 0, 1)), *_FEATURE_RANGE).astype(np.int32)
        return planes

    some, prices = _some(coded), code_lengths(model.context.tables, hyper_entropy.RANGE)
    integers, floats = (
        sum(channel_bits(model.context, prices, sample).sum() for sample in _samples(predict, model.biases, some))
        for predict in (model.net, trained)
    )
    return float(100.0 * (integers / floats - 1.0))


def _some(coded: list[_Coded]) -> list[_Coded]:
    return coded[:: max(1, len(coded) // _CALIBRATION)]


def _samples(predict: Callable[[Planes], Planes], biases: npt.NDArray[np.int32], coded: list[_Coded]) -> list[Sample]:
    return [
        Sample(c.exact, np.rint(c.exact).astype(np.int32), Prior.of_planes(predict(c.hyper), biases[c.node]))
        for c in coded
    ]


def _integer_net(codec: HyperpriorCodec, calibration: list[Planes]) -> IntegerNet:
    """The hyper-synthesis in integers, its outputs in 1/16."""
    layers: list[FloatLayer] = []
    for layer in codec.hyper_synthesis.layers:
        if not layer.weights:
            continue
        kernel, bias = (np.asarray(w, np.float64) for w in layer.get_weights())
        transposed = "Transpose" in type(layer).__name__
        layers.append(FloatLayer(kernel, bias, layer.strides[0], transposed))
    return quantise(layers, calibration, output_unit=1.0 / ONE, input_range=_HYPER_RANGE, output_range=_FEATURE_RANGE)


def _energy(synthesis: Any, sizes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Squared change of all samples per squared change of one latent of each channel, float32 (channels,).

    Args:
        synthesis: the Keras model.
        sizes: change of the latent to probe with, (channels,).
    """
    energies: npt.NDArray[np.float32] = np.square(impulses.responses(synthesis, sizes)).sum(axis=(1, 2, 3))
    return energies


def _entry(codec: HyperpriorCodec, config: HyperpriorConfig, cost: float) -> Entry:
    encode = macs_per_pixel(codec.analysis, 1) + macs_per_pixel(codec.hyper_analysis, shallow.STRIDE)
    decode = macs_per_pixel(codec.synthesis, shallow.STRIDE)
    decode += macs_per_pixel(codec.hyper_synthesis, shallow.HYPER_STRIDE)
    parts = {
        "encoder": (codec.analysis, codec.hyper_analysis),
        "decoder": (codec.synthesis, codec.hyper_synthesis),
    }
    return Entry(
        codec=NUMBER,
        model=_MODEL_NUMBERS[config.model],
        architecture={
            "family": "shallow",
            **config.architecture.to_json(),
            "analysis_halo": shallow.halo(config.architecture, "analysis"),
            "synthesis_halo": shallow.halo(config.architecture, "synthesis"),
        },
        parameters={name: sum(model.count_params() for model in models) for name, models in parts.items()},
        macs=(encode, decode),
        facts={"integer_hyper_synthesis_costs_percent": round(cost, 3) + 0.0},
    )
