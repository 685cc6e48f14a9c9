"""The zoo: trained weights on disk, found by name for encoding and by content hash for decoding.

    <folder>/<model id>/<revision>/card.json            what the model is and how it was measured
                                   decoder.onnx         synthesis transform
                                   graph.pb             in its place, a TensorFlow graph of the whole model
                                   entropy.npz          integer probability tables
                                   encoder.onnx         analysis transform; may be absent in an old revision
                                   hyper_encoder.onnx   hyper-analysis, where the codec has a hyperprior

The folders are those named by the environment variable NICODEC_MODELS, separated as in PATH, then the one installed
with the package. A revision is a positive integer; old ones stay, so that old files decode. A revision folder without
a card is not (or not yet) a model and is passed over.

A file names its model by the codec's number, the model's number within the codec, and the first 8 bytes of the
SHA-256 over `decoder.onnx`, or without one `graph.pb`, followed by `entropy.npz`: exactly what decoding depends on. A
better analysis transform is therefore no new revision.

Listing reads cards only and loads no network. A card that cannot be used costs no other model: it is passed over, and is
an error only when that very model is asked for.
"""

import difflib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import ModelError, ModelMismatchError, ModelMissingError

ENVIRONMENT_VARIABLE = "NICODEC_MODELS"
CARD_SCHEMA = 1
CARD = "card.json"
HASH_BYTES = 8
DECODER = "decoder.onnx"
GRAPH = "graph.pb"
TABLES = "entropy.npz"

ONE_LEVEL = "one level"
"""What a card says its operations per pixel are of, where networks run once for every level."""

ENCODER = "encoder.onnx"
HYPER_ENCODER = "hyper_encoder.onnx"
ENCODER_HASHES = {ENCODER: "encoder_hash", HYPER_ENCODER: "hyper_encoder_hash"}
"""Where a card may name the hashes of the files that only encoding needs; the content hash does not cover them."""

_REVISION = re.compile(r"[1-9][0-9]*")
_PACKAGED = Path(__file__).parent / "weights"
_INSTALL = f"upgrade nicodec, or put the model's folder into one named by {ENVIRONMENT_VARIABLE}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One revision of one model.

    Attributes:
        id: the name that users give, such as l3ic-32c.
        codec: number of the codec in the file header, 0 to 255.
        number: number of the model within the codec.
        hash: the 8 bytes by which a file names these weights, as the card states them; `verify` compares.
        revision: 1 for the first release of the weights, and so on.
        folder: where the files are.
        card: the whole card.
    """

    id: str
    codec: int
    number: int
    hash: bytes
    revision: int
    folder: Path
    card: Mapping[str, Any] = field(compare=False, repr=False)

    def path(self, name: str) -> Path:
        """Locates one file of the model.

        Raises:
            ModelMissingError: it is not there.
        """
        path = self.folder / name
        if not path.is_file():
            raise ModelMissingError(
                f"model {self.id} revision {self.revision} has no {name} in {self.folder}: reinstall the model"
                + (", or encode with its newest revision" if name in ENCODER_HASHES else "")
            )
        return path

    def verify(self) -> None:
        """Compares the files with the hashes on the card. Reads a few megabytes.

        Raises:
            ModelMismatchError: the files are not the ones that the card was written for.
            ModelMissingError: one of them is absent.
        """
        for name in _hashed_files(self.folder):
            self.path(name)
        if model_hash(self.folder) != self.hash or not all(map(self._is_intact, ENCODER_HASHES)):
            raise ModelMismatchError(
                f"the weights of model {self.id} in {self.folder} are damaged (their hash is not the card's): "
                "reinstall the model"
            )

    def _is_intact(self, name: str) -> bool:
        """Whether a file that only encoding needs, if it is there, is the one that the card names, if it names one."""
        expected = self.card.get(ENCODER_HASHES[name])
        path = self.folder / name
        return expected is None or not path.is_file() or file_hash(path).hex() == expected


@dataclass(frozen=True, slots=True)
class Family:
    """Models of one kind that differ in rate.

    Attributes:
        name: the name that users give, such as l3ic: `family` in the architecture on every card.
        models: the newest revision of each, in the order of `installed`; two or more.
    """

    name: str
    models: tuple[Model, ...]

    @property
    def listing(self) -> str:
        """The ids of the models, in words."""
        return ", ".join(model.id for model in self.models)


@dataclass(frozen=True, slots=True)
class BrokenCard:
    """A revision whose card cannot be used.

    Attributes:
        folder: where its files are.
        reason: what is wrong with the card, and what to do, in one line.
    """

    folder: Path
    reason: str

    @property
    def id(self) -> str:
        """The name that users give, told by the folder."""
        return self.folder.parent.name

    @property
    def revision(self) -> int:
        """Number of the revision, told by the folder."""
        return int(self.folder.name)


def search_path() -> tuple[Path, ...]:
    """Folders that are searched for models, first to last."""
    named = os.environ.get(ENVIRONMENT_VARIABLE, "").split(os.pathsep)
    return (*(Path(folder) for folder in named if folder), _PACKAGED)


def installed(folders: Iterable[Path] | None = None) -> tuple[Model, ...]:
    """Lists every revision of every model whose card can be used; `broken` has the others.

    Args:
        folders: where to look instead of in `search_path()`. A folder that does not exist holds no models.

    Returns:
        Ordered by codec and model number, then id; of one id the newest revision first, of one revision the folder
        searched first.
    """
    return _models(_entries(folders))


def broken(folders: Iterable[Path] | None = None) -> tuple[BrokenCard, ...]:
    """Lists the revisions whose card cannot be read or is not what this version understands, in the order of search.

    Args:
        folders: where to look instead of in `search_path()`.
    """
    return tuple(entry for entry in _entries(folders) if isinstance(entry, BrokenCard))


def open_folder(folder: Path) -> Model:
    """The model in the folder of one revision, whether or not it is on the search path.

    Raises:
        ModelError: its card cannot be read or is not what this version understands.
    """
    return _read_card(folder.resolve() / CARD)


def find(model_id: str) -> Model:
    """Finds the newest revision of a model by its name.

    Raises:
        ModelMissingError: no model of that name is installed; the message lists those that are.
        ModelError: the card of that revision cannot be used.
    """
    entries = _entries()
    revisions = [entry for entry in entries if entry.id == model_id]
    if not revisions:
        raise ModelMissingError(f"no model {model_id!r} is installed: {_alternatives(model_id, _models(entries))}")
    newest = max(revisions, key=lambda entry: entry.revision)
    if isinstance(newest, BrokenCard):
        raise ModelError(newest.reason)
    return newest


def find_model_or_family(name: str) -> Model | Family:
    """Finds the newest revision of a model by its name, or if there is none, the family of that name.

    A family of which one model is installed is that model: there is nothing to choose.

    Raises:
        ModelMissingError: nothing of that name is installed; the message lists the models that are.
        ModelError: the card of that revision cannot be used.
    """
    newest = {model.id: model for model in reversed(installed())}
    members = [model for model in newest.values() if model.card["architecture"].get("family") == name]
    if not members or any(entry.id == name for entry in _entries()):
        return find(name)
    if len(members) == 1:
        return members[0]
    return Family(name, tuple(reversed(members)))


def find_for_file(codec: int, number: int, digest: bytes) -> Model:
    """Finds the very weights that a file was encoded with.

    Args:
        codec: codec number in the file's header.
        number: model number in the file's header.
        digest: model hash in the file's header, 8 bytes.

    Raises:
        ModelMissingError: no revision of that model is installed.
        ModelMismatchError: the model is installed, but not the revision with that hash.
        ModelError: the weights are there, but their card cannot be used.
    """
    entries = _entries()
    revisions = [model for model in _models(entries) if (model.codec, model.number) == (codec, number)]
    for model in revisions:
        if model.hash == digest:
            return model
    for entry in entries:
        if isinstance(entry, BrokenCard) and _holds(entry.folder, digest):
            raise ModelError(entry.reason)
    if not revisions:
        raise ModelMissingError(
            f"the file needs model number {number} of codec number {codec} (hash {digest.hex()}), "
            f"which is not installed: {_INSTALL}"
        )
    raise ModelMismatchError(
        f"the file needs model {revisions[0].id} with hash {digest.hex()}, "
        f"installed is only {', '.join(model.hash.hex() for model in revisions)}: {_INSTALL}"
    )


def model_hash(folder: Path) -> bytes:
    """Computes the 8 bytes by which a file names the weights in `folder`.

    Raises:
        ModelMissingError: a hashed file is absent or cannot be read.
    """
    return file_hash(*(folder / name for name in _hashed_files(folder)))


def file_hash(*paths: Path) -> bytes:
    """First 8 bytes of the SHA-256 over the files' contents, one after the other.

    Raises:
        ModelMissingError: a file is absent or cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            digest.update(path.read_bytes())
        except OSError as error:
            raise ModelMissingError(f"cannot read {path}: {error.strerror}, reinstall the model") from error
    return digest.digest()[:HASH_BYTES]


def _hashed_files(folder: Path) -> tuple[str, str]:
    """The files that the content hash covers, in order."""
    is_graph = (folder / GRAPH).is_file() and not (folder / DECODER).is_file()
    return GRAPH if is_graph else DECODER, TABLES


def _alternatives(model_id: str, models: Iterable[Model]) -> str:
    names = list(dict.fromkeys(model.id for model in models))
    if not names:
        return f"no model is, {_INSTALL}"
    close = difflib.get_close_matches(model_id, names, n=1)
    return (f"did you mean {close[0]}? " if close else "") + f"Installed are {', '.join(names)}"


def _entries(folders: Iterable[Path] | None = None) -> list[Model | BrokenCard]:
    """Every revision, in the order of search."""
    chosen = search_path() if folders is None else folders
    return [_read_entry(card) for folder in chosen for card in _cards(folder)]


def _models(entries: Iterable[Model | BrokenCard]) -> tuple[Model, ...]:
    """The usable ones of the revisions, in the order of `installed`."""
    models = [entry for entry in entries if isinstance(entry, Model)]
    return tuple(sorted(models, key=lambda model: (model.codec, model.number, model.id, -model.revision)))


def _cards(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for card in sorted(folder.glob(f"*/*/{CARD}")):
        if _REVISION.fullmatch(card.parent.name):
            yield card


def _holds(folder: Path, digest: bytes) -> bool:
    """Whether the weights in a folder, whose card does not tell, are those of the hash."""
    try:
        return model_hash(folder) == digest
    except ModelMissingError:
        return False


def _read_entry(card: Path) -> Model | BrokenCard:
    try:
        return _read_card(card)
    except ModelError as error:
        return BrokenCard(card.parent, str(error))


def _read_card(path: Path) -> Model:
    try:
        card = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot read {path}: {_one_line(error)}, reinstall the model") from error
    try:
        return _parse_card(path, card)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else _one_line(error)
        raise ModelError(f"{path} is not a card of this version: {reason}, reinstall the model") from error


def _parse_card(path: Path, card: Any) -> Model:
    if not isinstance(card, dict):
        raise TypeError("it is not a JSON object")
    if card["schema"] != CARD_SCHEMA:
        raise ValueError(f"schema {card['schema']!r} is not {CARD_SCHEMA}")
    if card["id"] != path.parent.parent.name:
        raise ValueError(f"its id {card['id']!r} is not the name of its folder")
    if not _REVISION.fullmatch(path.parent.name):
        raise ValueError("its folder is not named by the number of a revision")
    digest = bytes.fromhex(card["hash"])
    if len(digest) != HASH_BYTES:
        raise ValueError(f"its hash has {len(digest)} bytes instead of {HASH_BYTES}")
    if not isinstance(card["architecture"], dict):
        raise TypeError("its architecture is not an object")
    return Model(
        id=card["id"],
        codec=_number(card, "codec", 255),
        number=_number(card, "model", (1 << 32) - 1),
        hash=digest,
        revision=int(path.parent.name),
        folder=path.parent,
        card=card,
    )


def _number(card: dict[str, Any], name: str, largest: int) -> int:
    value: object = card[name]
    if type(value) is not int or not 0 <= value <= largest:
        raise ValueError(f"its {name} is {value!r}, not a number from 0 to {largest}")
    return value


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
