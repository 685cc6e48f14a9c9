"""Entropy coding of shallow on its own; see `entropy.EntropyParts`.

What encoding does after the analysis is here the hyper-analysis, the choice of integers and their coding.
"""

from ..bitstream import walk
from ..bitstream.ans import AnsDecoder, AnsEncoder
from ..bitstream.container import Container
from ..bitstream.escape import decode_with_escapes, encode_with_escapes
from ..bitstream.hyper_context import Planes
from ..bitstream.tables import FrequencyTable, Integers, TableSet
from ..codecs import shallow_decoder, shallow_encoder, shallow_header, shallow_model
from ..codecs.base import EncodeSettings
from ..codecs.segments import payload_of
from ..codecs.shallow_choice import as_given, decide
from ..codecs.shallow_header import HYPER_LOG2
from ..images import Picture
from ..models.zoo import Model
from .timing import Action


def entropy_encoder(picture: Picture, model: Model, settings: EncodeSettings) -> Action:
    """See `EntropyParts.entropy_encoder`."""
    latents = shallow_encoder.analyse_picture(picture, model, settings)
    return lambda: shallow_encoder.code_latents(latents, picture, model, settings)


def ideal_bits(coded: Container, model: Model) -> float:
    """See `EntropyParts.ideal_bits`."""
    tables = shallow_model.load(model)
    layout = shallow_header.layout_of(coded.header, len(tables.bands) - 1)
    length = _CodeLength()
    for stripe, latents in enumerate(shallow_decoder.decode_latents(coded, model)):
        _add_stripe(length, coded, tables, payload_of(coded, layout.hyper(stripe)), latents)
    return length.bits


class _CodeLength(AnsEncoder):
    """Adds up ideal code lengths in place of coding.

    Attributes:
        bits: the sum.
    """

    def __init__(self) -> None:
        super().__init__()
        self.bits = 0.0

    def append(self, symbols: Integers, table: FrequencyTable) -> None:
        """See `AnsEncoder.append`."""
        self.bits += table.bits(symbols)

    def append_grouped(self, symbols: Integers, indexes: Integers, tables: TableSet) -> None:
        """See `AnsEncoder.append_grouped`."""
        self.bits += tables.bits(symbols, indexes)


def _add_stripe(
    length: _CodeLength, coded: Container, tables: shallow_model.ShallowModel, payload: bytes, latents: Planes
) -> None:
    """Adds hyper-latents, from their payload, and latents, int32 (channels, rows, columns), of one stripe."""
    node = shallow_header.node_of(shallow_header.quality_of(coded.header))
    rows, columns = latents.shape[1:]
    shared = tables.context.tables
    bases, indexes = tables.hyper_contexts(node, -(-rows >> HYPER_LOG2), -(-columns >> HYPER_LOG2))
    used_groups, data = payload[0], payload[1:]
    distances = decode_with_escapes(AnsDecoder(data), indexes.ravel(), shared)
    encode_with_escapes(length, distances, indexes.ravel(), shared)
    prior = tables.prior(distances.reshape(bases.shape) + bases, node, rows, columns)
    context = tables.of_profile(coded.header.profile)
    groups, _ = decide(context, prior, coded.header.profile, as_given(latents))
    for group in groups[:used_groups]:
        walk.encode(group, context.tables, length)
