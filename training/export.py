"""Turns a training run into a zoo entry: ONNX transforms, integer tables fitted to their latents, a model card."""

import json
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from ..errors import RequestError
from ..models import zoo
from .checkpoint import CHECKPOINT, RunState
from .config import Config
from .data import find_pictures, spread
from .entry_folder import new_entry, write_card
from .run_folder import load_average

KERAS_WEIGHTS = "codec.weights.h5"


@dataclass(frozen=True)
class Entry:
    """What a family says about an entry that it wrote.

    Attributes:
        codec: number of the codec in file headers.
        model: number of the model within the codec.
        architecture: what the codec and the TensorFlow backend must know about the transforms.
        parameters: trainable parameters by part.
        macs: multiply-accumulates per pixel of encoding and decoding.
        facts: what else the card should say.
    """

    codec: int
    model: int
    architecture: dict[str, Any]
    parameters: dict[str, int]
    macs: tuple[float, float]
    facts: dict[str, Any] = field(default_factory=dict)


class Exporter(Protocol):
    """A module `training/<family>_export.py`."""

    def write(self, codec: Any, config: Any, folder: Path, pictures: list[Path]) -> Entry:
        """Writes everything but the card.

        Args:
            codec: the trained codec, its averaged weights in place; they may be rounded.
            config: its configuration.
            folder: where to write, existing and empty.
            pictures: training pictures to fit the integer tables on.

        Raises:
            RequestError: the configuration is none that has a number in the format.
        """
        ...


def export(run: Path, target: Path | None, *, pictures: Path, samples: int = 160, revision: int | None = None) -> Path:
    """Writes the averaged weights of a run as a zoo entry.

    The transforms are rounded to half precision first, so that the tables are fitted to exactly the latents which the
    shipped encoder makes. The Keras weights are written to the run folder as well, in full precision, for training on.

    Args:
        run: folder of a training run.
        target: zoo folder, None for the one inside the package.
        pictures: training pictures to count latents on.
        samples: how many of them, evenly spaced.
        revision: number to write, replacing an entry of that number; None for the next free one.

    Returns:
        The folder of the new entry.

    Raises:
        RequestError: the run has no checkpoint, or there are no pictures.
    """
    if not (run / CHECKPOINT).exists():
        raise RequestError(f"{run} has no {CHECKPOINT}; give the --out folder of a training run")
    codec, config, state = load_average(run)
    codec.save_weights(str(run / KERAS_WEIGHTS))
    found = find_pictures(pictures)
    with new_entry(target, config.model, revision) as (partial, folder):
        write_entry(codec, config, state, partial, spread(found, samples), len(found))
    return folder


def write_entry(
    codec: Any, config: Config, state: RunState, folder: Path, pictures: list[Path], trained_on: int
) -> None:
    """Writes all files of an entry.

    Args:
        codec: the trained codec; its weights may be rounded.
        config: its configuration.
        state: its progress, for the card.
        folder: where to write, existing and empty.
        pictures: training pictures to fit the integer tables on.
        trained_on: how many pictures it was trained on, for the card.
    """
    exporter = cast(Exporter, import_module(f".{config.family}_export", __package__))
    entry = exporter.write(codec, config, folder, pictures)
    write_card(folder, _card(entry, config, state, folder, trained_on))


def add_measurement(folder: Path, measurement: dict[str, Any]) -> None:
    """Adds a measured rate-distortion point to a card, replacing the one of the same data set."""
    card = json.loads((folder / zoo.CARD).read_text())
    others = [point for point in card["measured"] if point["dataset"] != measurement["dataset"]]
    card["measured"] = [*others, measurement]
    write_card(folder, card)


def _card(entry: Entry, config: Config, state: RunState, folder: Path, pictures: int) -> dict[str, Any]:
    encode, decode = entry.macs
    return {
        "schema": zoo.CARD_SCHEMA,
        "id": config.model,
        "codec": entry.codec,
        "model": entry.model,
        "hash": zoo.model_hash(folder).hex(),
        **{field: zoo.file_hash(folder / name).hex() for name, field in _hashed_encoders(folder)},
        "architecture": entry.architecture,
        "parameters": entry.parameters,
        "kmac_per_pixel": {"encode": round(encode / 1000, 1), "decode": round(decode / 1000, 1)},
        **entry.facts,
        "training": {
            **config.to_json(),
            "steps_done": state.step,
            "cpu_hours": round(state.cpu_seconds / 3600, 2),
            "wall_hours": round(state.seconds / 3600, 2),
            "pictures": pictures,
        },
        "measured": [],
        "licence": "Apache-2.0",
    }


def _hashed_encoders(folder: Path) -> list[tuple[str, str]]:
    return [(name, field) for name, field in zoo.ENCODER_HASHES.items() if (folder / name).exists()]
