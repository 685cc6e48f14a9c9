"""The shallow-decoder codec: a strong analysis, a synthesis of one or two layers, any quality from one model.

The picture is coded in stripes of latent rows, each by itself. Segments: for every stripe its hyper-latents, then, band
of channels by band, its latents, then, if the header has alpha, one alpha segment. With context a band needs those before
it. Without some a picture can still be made, from what the hyperprior predicts (`DecodeRequest.allow_partial`).
"""

from dataclasses import replace

import numpy as np

from ..bitstream.container import ColourSpace, Container, Header, Segment
from ..images import Picture
from ..models.runtime import load_network
from ..models.zoo import Model
from . import shallow_header, shallow_model, shallow_statistics
from .base import DecodeRequest, EncodeSettings, Progress, SegmentInfo, no_progress
from .metadata import picture_of
from .shallow_decoder import decode_latents, require_segments, restored_alpha, restored_latents
from .shallow_encoder import analyse_picture, code_latents
from .shallow_header import STRIDE_LOG2
from .statistics import GroupStatistics
from .tiling import synthesise
from .trials import CodedTrials, Trials

_STRIDE = 1 << STRIDE_LOG2


class Shallow:
    """See the module."""

    id = "shallow"
    number = shallow_header.NUMBER

    def encode(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Container:
        """See `Codec.encode`."""
        settings.require_no_channels(model)
        latents = analyse_picture(picture, model, settings, progress)
        return code_latents(latents, picture, model, settings, progress)

    def trials(
        self, picture: Picture, model: Model, settings: EncodeSettings, progress: Progress = no_progress
    ) -> Trials:
        """See `VariableRate.trials`."""
        settings.require_no_channels(model)
        latents = analyse_picture(picture, model, settings, progress)
        request = DecodeRequest(backend=settings.backend, threads=settings.threads)

        def encode(quality: float) -> Container:
            return code_latents(latents, picture, model, replace(settings, quality=quality), progress)

        return CodedTrials(encode, lambda container: self.decode(container, model, request))

    def decode(
        self, container: Container, model: Model, request: DecodeRequest, progress: Progress = no_progress
    ) -> Picture:
        """See `Codec.decode`."""
        request.require_no_channels(model)
        header = container.header
        latents = restored_latents(container, model, request.allow_partial)
        network = load_network(model, "decoder", backend=request.backend, threads=request.threads)
        pixels = synthesise(network, latents, 1.0, _STRIDE, shallow_model.halo(model, "synthesis"), progress)
        pixels = pixels[: header.height, : header.width]
        if header.space is ColourSpace.GRAY:
            pixels = pixels[:, :, 1:2]
        return picture_of(np.ascontiguousarray(pixels), restored_alpha(container, request.allow_partial), container)

    def verify(self, container: Container, model: Model) -> None:
        """See `Codec.verify`."""
        for _ in decode_latents(container, model):
            pass
        restored_alpha(container, False)

    def describe(self, container: Container) -> tuple[SegmentInfo, ...]:
        """See `Codec.describe`."""
        header = container.header
        shallow_header.check(header)
        stripes = len(shallow_header.stripes_of(header.latent_height, header.latent_width))
        require_segments(header, (header.segments - header.alpha) // stripes - 1)
        return tuple(_describe(segment, header, stripes) for segment in container.segments)

    def statistics(self, container: Container, model: Model) -> tuple[GroupStatistics, ...]:
        """See `WithStatistics.statistics`."""
        return shallow_statistics.statistics(container, model)


def _describe(segment: Segment, header: Header, stripes: int) -> SegmentInfo:
    content, table = f"hyper-latents, stripe {segment.index}", "hyper prior"
    symbols: tuple[int, int] | None = None
    if header.alpha and segment.index == header.segments - 1:
        content, table, symbols = "alpha", "none", (0, 255)
    elif segment.index >= stripes:
        band, stripe = divmod(segment.index - stripes, stripes)
        content = f"band {band}, stripe {stripe}"
        table = "hyperprior" if header.profile == shallow_header.FAST else "hyperprior and context"
    return SegmentInfo(segment.index, content, segment.size, segment.crc32, table, symbols)
