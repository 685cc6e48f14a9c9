"""The two profiles that a codec codes latents in: with a context model, and without one for faster decoding."""

from dataclasses import replace

from ..codecs import l3ic_header
from ..codecs.base import EncodeSettings
from ..models.zoo import Model


def without_context(settings: EncodeSettings, model: Model) -> EncodeSettings:
    """The settings that code the same picture without context, as far as the model's codec has such a profile.

    That of l3ic codes every channel on its own. At effort 1 the latents are the same in both profiles; at higher efforts
    they may differ, because the choice between integers then depends on what they cost.
    """
    if model.codec == l3ic_header.NUMBER:
        return replace(settings, independent_channels=True)
    return replace(settings, fast_decode=True)
