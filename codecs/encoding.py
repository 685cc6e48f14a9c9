"""Encodes a picture with a model or a family of models: as the model is, at a quality, or for a target."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..bitstream import container as nic
from ..bitstream.container import Container
from ..errors import RequestError
from ..images import Picture
from ..models.zoo import Family, Model
from .base import AroundStandard, EncodeSettings, Progress, no_progress
from .ladder import Laddered, LadderTrials, Rung, locate
from .progressive import progressive
from .rate_control import search
from .registry import codec_by_number
from .target import Target
from .trials import Trials, VariableRate, one_quality_only


@dataclass(frozen=True)
class Outcome:
    """A picture, encoded.

    Attributes:
        container: the file.
        model: that it is coded with.
        quality: at which it is coded, given or found; None if the codec chose.
        reached: what the file has or reaches of what a target asks for, in the target's unit; None without a target.
        trials: encodes that the search for the target took; None without a target.
        notes: remarks for people.
    """

    container: Container
    model: Model
    quality: float | None = None
    reached: float | None = None
    trials: int | None = None
    notes: tuple[str, ...] = ()


def encode(
    picture: Picture,
    chosen: Model | Family,
    settings: EncodeSettings,
    target: Target | None = None,
    progress: Progress = no_progress,
    write: Callable[[Container], bytes] = nic.write,
) -> Outcome:
    """Encodes a picture of any size.

    Args:
        picture: the picture.
        chosen: the model, or a family of models of which the quality or the target picks one.
        settings: how to encode.
        target: what to meet, instead of a quality.
        progress: told about the analysis, then about the trials of a search.
        write: makes a whole file of a container, for the size that counts.

    Raises:
        RequestError: the settings or the target do not fit the codec or each other, or the target cannot be reached.
        ModelError: a model is missing or damaged.
        BackendError: the inference runtime is missing or failed.
    """
    if target is not None:
        target.require_no_quality(settings.quality)
        if settings.level is not None:
            raise RequestError("a target chooses the level: leave the level out")
        first = chosen if isinstance(chosen, Model) else chosen.models[0]
        notes = _inner_notes(first, settings)
        found = search(_trials(picture, chosen, settings, progress), target, picture, progress, write)
        model = _model_of(chosen, found.container)
        return Outcome(found.container, model, found.quality, found.reached, found.trials_used, notes)
    model, own_quality = _located(chosen, settings.quality)
    if own_quality is not None:
        _variable_codec(model)
    if settings.level is not None:
        progressive(codec_by_number(model.codec), model.id)
    notes = _inner_notes(model, settings)
    settings_of_model = replace(settings, quality=own_quality)
    coded = codec_by_number(model.codec).encode(picture, model, settings_of_model, progress)
    return Outcome(coded, model, settings.quality, notes=notes)


def around_standard(model: Model) -> AroundStandard:
    """The model's codec.

    Raises:
        RequestError: it is none around standard codecs.
        ModelError: it is not installed.
    """
    codec = codec_by_number(model.codec)
    if not isinstance(codec, AroundStandard):
        raise RequestError(f"{model.id} has no standard codec inside: choose one of the sandwich models")
    return codec


def _inner_notes(model: Model, settings: EncodeSettings) -> tuple[str, ...]:
    """Remarks about the standard codec that the settings ask for, before any work is done."""
    return () if settings.inner is None else around_standard(model).check_inner(model, settings)


def _trials(picture: Picture, chosen: Model | Family, settings: EncodeSettings, progress: Progress) -> Trials:
    if isinstance(chosen, Model):
        return _variable_codec(chosen).trials(picture, chosen, settings, progress)
    rungs = _rungs(chosen)
    codec = _variable_codec(rungs[0].model)
    return LadderTrials(rungs, lambda model: codec.trials(picture, model, settings, progress))


def _located(chosen: Model | Family, quality: float | None) -> tuple[Model, float | None]:
    """The model to use, and the quality on its own scale."""
    if isinstance(chosen, Model):
        return chosen, quality
    if quality is None:
        raise RequestError(
            f"{chosen.name} is a family of models: give a quality or a target too, or choose one of {chosen.listing}"
        )
    rungs = _rungs(chosen)
    index, own_quality = locate(rungs, quality)
    return rungs[index].model, own_quality


def _rungs(family: Family) -> tuple[Rung, ...]:
    codec = codec_by_number(family.models[0].codec)
    rungs = codec.ladder(family.models) if isinstance(codec, Laddered) else ()
    if not rungs:
        raise RequestError(f"the models of {family.name} have no common scale: choose one of {family.listing}")
    return rungs


def _variable_codec(model: Model) -> VariableRate:
    """The model's codec.

    Raises:
        RequestError: it has no variable rate.
        ModelError: it is not installed.
    """
    codec = codec_by_number(model.codec)
    if not isinstance(codec, VariableRate):
        raise one_quality_only(model)
    return codec


def _model_of(chosen: Model | Family, coded: Container) -> Model:
    if isinstance(chosen, Model):
        return chosen
    return next(model for model in chosen.models if model.hash == coded.header.model_hash)
