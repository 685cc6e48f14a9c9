"""Encoding with a shallow-decoder model: analysis, choice of integers, entropy coding."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..bitstream import walk
from ..bitstream.ans import AnsEncoder
from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..bitstream.escape import encode_with_escapes
from ..bitstream.hyper_context import LARGEST, Planes, Prior
from ..errors import ModelError, RequestError
from ..images import Picture
from ..models.runtime import load_network
from ..models.zoo import Model
from . import shallow_header, shallow_model
from .alpha import encode_alpha
from .base import EncodeSettings, Progress, no_progress
from .metadata import chunks_of
from .padding import padded
from .shallow_choice import Chooser, chooser, decide
from .shallow_header import HYPER_LOG2, STRIDE_LOG2
from .shallow_model import ShallowModel
from .shallow_refinement import refiner
from .tiling import analyse

DEFAULT_QUALITY = 50.0

_STRIDE = 1 << STRIDE_LOG2
_HYPER = 1 << HYPER_LOG2

Latents = npt.NDArray[np.float32]


def analyse_picture(
    picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
) -> Latents:
    """Runs the analysis transform over a whole picture.

    Returns:
        float32 (channels, latent height, latent width) in units that no quality has scaled yet.

    Raises:
        ModelError: the model's files are missing or damaged.
        BackendError: the inference runtime is missing or failed.
    """
    network = load_network(model, "encoder", backend=settings.backend, threads=settings.threads)
    channels = shallow_model.load(model).channels
    return analyse(
        network, padded(picture.pixels, _STRIDE), channels, _STRIDE, shallow_model.halo(model, "analysis"), progress
    )


def code_latents(
    latents: Latents,
    picture: Picture,
    model: Model,
    settings: EncodeSettings,
    progress: Progress = no_progress,
) -> Container:
    """Quantises and codes what `analyse_picture` gave, at the quality and effort of the settings.

    Raises:
        RequestError: a setting is out of range, or the latents are not of the picture's size.
        ModelError: the model's files are damaged.
        BackendError: an inference runtime is missing or failed.
    """
    tables = shallow_model.load(model)
    expected = (tables.channels, -(-picture.height // _STRIDE), -(-picture.width // _STRIDE))
    if latents.shape != expected:
        raise RequestError(
            f"latents of shape {latents.shape} are not those of the picture, {expected}: analyse it again"
        )
    steps = shallow_header.quality_steps(DEFAULT_QUALITY if settings.quality is None else settings.quality)
    header = Header(
        width=picture.width,
        height=picture.height,
        space=ColourSpace.GRAY if picture.is_gray else ColourSpace.RGB,
        alpha=picture.alpha is not None,
        codec=shallow_header.NUMBER,
        model=model.number,
        model_hash=model.hash,
        channels=tables.channels,
        stride_log2=STRIDE_LOG2,
        align_log2=STRIDE_LOG2,
        segments=shallow_header.Layout(
            shallow_header.stripes_of(*latents.shape[1:]), len(tables.bands) - 1, picture.alpha is not None
        ).segments,
        profile=shallow_header.FAST if settings.fast_decode else shallow_header.CONTEXT,
        extra=shallow_header.codec_bytes(steps),
    )
    payloads = _payloads(latents, picture, header, model, settings, progress)
    if picture.alpha is not None:
        payloads[header.segments - 1] = encode_alpha(picture.alpha)
    segments = tuple(Segment(index, payloads[index]) for index in range(header.segments))
    return Container(header, segments, chunks_of(picture))


def _payloads(
    latents: Latents, picture: Picture, header: Header, model: Model, settings: EncodeSettings, progress: Progress
) -> dict[int, bytes]:
    """The segments of hyper-latents and latents, by index."""
    tables = shallow_model.load(model)
    layout = shallow_header.layout_of(header, len(tables.bands) - 1)
    steps = shallow_header.quality_of(header)
    network = load_network(model, "hyper_encoder", backend=settings.backend, threads=settings.threads)
    low, high = tables.net.input_range
    refine = refiner(latents, picture, header, model, settings, progress)
    payloads: dict[int, bytes] = {}
    for stripe, (top, bottom) in enumerate(layout.stripes):
        exact = np.clip(latents[:, top:bottom] * tables.gain(steps), 1 - LARGEST, LARGEST - 1)
        if not np.isfinite(exact).all():
            raise ModelError(f"the encoder of {model.id} gives latents that are not finite: reinstall the model")
        exact, hyper = refine(stripe, exact, _hyper_latents(network, exact))
        coded = _Stripe(tables, header, np.clip(np.rint(hyper), low, high).astype(np.int32), exact.shape[1:])
        choose = chooser(exact, tables, steps, settings.effort)
        payloads[layout.hyper(stripe)], bands = coded.encode(choose)
        payloads |= {layout.band(band, stripe): data for band, data in enumerate(bands)}
    return payloads


def _hyper_latents(network: Callable[[Latents], Latents], exact: Latents) -> Latents:
    """Hyper-latents of a stripe before rounding, float32 (hyper channels, h, w)."""
    bottom, right = (-side % _HYPER for side in exact.shape[1:])
    hyper: Latents = network(np.pad(exact, ((0, 0), (0, bottom), (0, right)))[None])[0]
    return hyper


@dataclass(frozen=True, eq=False)
class _Stripe:
    """One stripe, from its hyper-latents on.

    Attributes:
        tables: the model.
        header: of the file.
        hyper: int32 (hyper channels, h, w).
        shape: latent rows and columns.
    """

    tables: ShallowModel
    header: Header
    hyper: Planes
    shape: tuple[int, ...]

    @property
    def node(self) -> int:
        """The quality as the entropy model knows it."""
        return shallow_header.node_of(shallow_header.quality_of(self.header))

    def prior(self) -> Prior:
        """What the hyper-latents predict."""
        return self.tables.prior(self.hyper, self.node, *self.shape)

    def encode(self, choose: Chooser) -> tuple[bytes, list[bytes]]:
        """The payloads of the hyper-latents and of every band."""
        context = self.tables.of_profile(self.header.profile)
        steps, _ = decide(context, self.prior(), self.header.profile, choose)
        used = max((group + 1 for group, chosen in enumerate(steps) if any(c.values.any() for c in chosen)), default=0)
        bands: list[bytes] = []
        for start, stop in self.tables.spans:
            encoder = AnsEncoder()
            for group in range(start, min(stop, used)):
                walk.encode(steps[group], context.tables, encoder)
            bands.append(encoder.finish())
        return bytes([used]) + self._encode_hyper(), bands

    def _encode_hyper(self) -> bytes:
        bases, indexes = self.tables.hyper_contexts(self.node, *self.hyper.shape[1:])
        encoder = AnsEncoder()
        encode_with_escapes(encoder, (self.hyper - bases).ravel(), indexes.ravel(), self.tables.context.tables)
        return encoder.finish()
