"""Finding models: order, search path, lookups and what is said when there is none."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nicodec.errors import ModelError, ModelMismatchError, ModelMissingError
from nicodec.models import zoo

Entry = Callable[..., Path]


def listed(models: tuple[zoo.Model, ...]) -> list[tuple[str, int]]:
    return [(model.id, model.revision) for model in models]


def test_lists_by_number_and_newest_revision_first(entry: Entry) -> None:
    entry("l3ic-64c", model=3)
    for revision in (1, 2, 10):
        entry("l3ic-16c", revision, model=1)
    entry("other", codec=0, model=9)
    assert listed(zoo.installed()) == [
        ("other", 1),
        ("l3ic-16c", 10),
        ("l3ic-16c", 2),
        ("l3ic-16c", 1),
        ("l3ic-64c", 1),
    ]


def test_model_carries_what_the_card_says(entry: Entry) -> None:
    folder = entry("l3ic-32c", 2, licence="Apache-2.0")
    (model,) = zoo.installed()
    assert (model.id, model.codec, model.number, model.revision, model.folder) == ("l3ic-32c", 1, 2, 2, folder)
    assert model.hash == zoo.model_hash(folder)
    assert model.card["licence"] == "Apache-2.0"
    assert model == zoo.find("l3ic-32c")
    assert len({model, zoo.find("l3ic-32c")}) == 1


def test_families_hold_the_newest_revision_of_each_model(entry: Entry) -> None:
    for model_id, number, revision in (("a-2", 2, 1), ("a-1", 1, 1), ("a-1", 1, 2)):
        entry(model_id, revision, model=number, architecture={"family": "a"})
    entry("b-1", model=3, architecture={"family": "b"})
    entry("plain", model=4, architecture={})
    family = zoo.find_model_or_family("a")
    assert isinstance(family, zoo.Family)
    assert (family.name, family.listing) == ("a", "a-1, a-2")
    assert listed(family.models) == [("a-1", 2), ("a-2", 1)]
    assert zoo.find_model_or_family("a-1") == zoo.find("a-1")
    with pytest.raises(ModelMissingError, match="no model 'c' is installed"):
        zoo.find_model_or_family("c")


def test_a_family_of_one_is_that_model(entry: Entry) -> None:
    for revision in (1, 2):
        entry("a-1", revision, architecture={"family": "a"})
    assert zoo.find_model_or_family("a") == zoo.find("a-1")


def test_a_model_comes_before_a_family_of_its_name(entry: Entry) -> None:
    entry("a", model=1, architecture={"family": "b"})
    entry("b", model=2, architecture={"family": "a"})
    assert zoo.find_model_or_family("a") == zoo.find("a")


def test_passes_over_what_is_no_revision(entry: Entry, shelf: Path) -> None:
    entry("l3ic-32c", 1)
    for name in ("0", "01", "latest", "-1", "1.5", "²"):
        entry("l3ic-32c", name)
    (shelf / "l3ic-32c" / "7").mkdir()
    (shelf / "README").write_text("models")
    assert listed(zoo.installed()) == [("l3ic-32c", 1)]


def test_search_path_is_the_variable_then_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NICODEC_MODELS", os.pathsep.join(["/a", "", "/b"]))
    *named, packaged = zoo.search_path()
    assert named == [Path("/a"), Path("/b")]
    assert packaged == Path(zoo.__file__).parent / "weights"
    monkeypatch.delenv("NICODEC_MODELS")
    assert zoo.search_path() == (packaged,)


def test_same_revision_comes_from_the_folder_named_first(
    entry: Entry, shelf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = entry("l3ic-32c")
    second = tmp_path / "second" / "l3ic-32c" / "1"
    second.parent.mkdir(parents=True)
    first.rename(second)
    first = entry("l3ic-32c", files={"decoder.onnx": b"mine"})
    monkeypatch.setenv("NICODEC_MODELS", os.pathsep.join([str(shelf), str(tmp_path / "second"), "/nowhere"]))
    assert zoo.find("l3ic-32c").folder == first
    assert zoo.find_for_file(1, 2, zoo.model_hash(second)).folder == second


def test_explicit_folders_replace_the_search_path(entry: Entry, tmp_path: Path) -> None:
    entry("l3ic-32c")
    assert zoo.installed([tmp_path / "nowhere"]) == ()


def test_find_returns_the_newest_revision(entry: Entry) -> None:
    entry("l3ic-32c", 1)
    entry("l3ic-32c", 2)
    assert zoo.find("l3ic-32c").revision == 2


def test_find_lists_what_is_installed_and_guesses(entry: Entry) -> None:
    entry("l3ic-16c", model=1)
    entry("l3ic-32c")
    with pytest.raises(ModelMissingError, match=r"'l3ic-23c'.*did you mean l3ic-(16|32)c\? .*l3ic-16c, l3ic-32c$"):
        zoo.find("l3ic-23c")
    with pytest.raises(ModelMissingError, match=r"'jpeg' is installed: Installed are l3ic-16c, l3ic-32c$"):
        zoo.find("jpeg")


@pytest.mark.usefixtures("shelf")
def test_find_without_any_model_says_how_to_get_one() -> None:
    with pytest.raises(ModelMissingError, match="NICODEC_MODELS"):
        zoo.find("l3ic-32c")


def test_find_for_file_takes_the_revision_with_that_hash(entry: Entry) -> None:
    old, new = entry("l3ic-32c", 1), entry("l3ic-32c", 2)
    assert zoo.find_for_file(1, 2, zoo.model_hash(old)).revision == 1
    assert zoo.find_for_file(1, 2, zoo.model_hash(new)).revision == 2


@pytest.mark.parametrize(("codec", "number"), [(1, 3), (2, 2)])
def test_find_for_file_of_an_unknown_model(entry: Entry, codec: int, number: int) -> None:
    digest = zoo.model_hash(entry("l3ic-32c"))
    with pytest.raises(ModelMissingError, match=rf"number {number} of codec number {codec} .*upgrade nicodec"):
        zoo.find_for_file(codec, number, digest)


def test_find_for_file_of_an_unknown_revision(entry: Entry) -> None:
    digest = zoo.model_hash(entry("l3ic-32c"))
    with pytest.raises(ModelMismatchError, match=f"l3ic-32c with hash {'ab' * 8}, .*{digest.hex()}.*upgrade nicodec"):
        zoo.find_for_file(1, 2, b"\xab" * 8)


def test_hash_is_sha256_over_decoder_then_tables(entry: Entry) -> None:
    folder = entry(files={"decoder.onnx": b"abc", "entropy.npz": b"def", "encoder.onnx": b"any"})
    assert zoo.model_hash(folder) == hashlib.sha256(b"abcdef").digest()[:8]


def test_path_of_an_absent_file(entry: Entry) -> None:
    (entry() / "encoder.onnx").unlink()
    model = zoo.find("l3ic-32c")
    assert model.path("decoder.onnx").read_bytes() == b"dl3ic-32c1"
    with pytest.raises(ModelMissingError, match=r"l3ic-32c revision 1 has no encoder\.onnx"):
        model.path("encoder.onnx")


@pytest.mark.parametrize(("name", "key"), zoo.ENCODER_HASHES.items())
def test_verify_covers_an_encoder_that_the_card_names(entry: Entry, name: str, key: str) -> None:
    folder = entry()
    (folder / name).write_bytes(b"analysis")
    card = json.loads((folder / "card.json").read_text())
    card[key] = zoo.file_hash(folder / name).hex()
    (folder / "card.json").write_text(json.dumps(card))
    model = zoo.find("l3ic-32c")
    model.verify()
    (folder / name).write_bytes(b"analysiS")
    with pytest.raises(ModelMismatchError, match="damaged"):
        model.verify()
    (folder / name).unlink()
    model.verify()


def test_verify(entry: Entry) -> None:
    folder = entry()
    model = zoo.find("l3ic-32c")
    model.verify()
    (folder / "encoder.onnx").write_bytes(b"better")
    model.verify()
    (folder / "entropy.npz").write_bytes(b"T")
    with pytest.raises(ModelMismatchError, match=r"l3ic-32c .*damaged"):
        model.verify()
    (folder / "entropy.npz").unlink()
    with pytest.raises(ModelMissingError, match=r"entropy\.npz"):
        model.verify()
    with pytest.raises(ModelMissingError, match=r"entropy\.npz"):
        zoo.model_hash(folder)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"\xff\xfe\xfd", b"[" * 100_000, b"[1]", b"null", b"{}"],
    ids=["empty", "cut", "not text", "deep", "list", "null", "no keys"],
)
def test_damaged_card_is_named(entry: Entry, content: bytes) -> None:
    card = entry() / "card.json"
    card.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        zoo.find("l3ic-32c")
    assert type(caught.value) is ModelError
    assert str(card) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("schema", 2, "schema 2 is not 1"),
        ("id", "l3ic-64c", "name of its folder"),
        ("id", None, "name of its folder"),
        ("codec", 256, "from 0 to 255"),
        ("codec", True, "from 0 to 255"),
        ("model", -1, "-1, not a number"),
        ("model", "2", "'2', not a number"),
        ("hash", "abcd", "2 bytes instead of 8"),
        ("hash", "xy" * 8, "non-hexadecimal"),
        ("hash", 5, "must be str"),
        ("architecture", "l3ic", "not an object"),
    ],
)
def test_wrong_card_says_why(entry: Entry, name: str, value: Any, reason: str) -> None:
    folder = entry(**{name: value})
    with pytest.raises(ModelError) as caught:
        zoo.find("l3ic-32c")
    assert str(folder) in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize("name", ["schema", "id", "codec", "model", "hash", "architecture"])
def test_incomplete_card_names_the_entry(entry: Entry, name: str) -> None:
    path = entry() / "card.json"
    card = json.loads(path.read_text())
    del card[name]
    path.write_text(json.dumps(card))
    with pytest.raises(ModelError, match=f"'{name}' is missing"):
        zoo.find("l3ic-32c")


def test_broken_card_blocks_no_other_model(entry: Entry, shelf: Path) -> None:
    whole, damaged = entry("l3ic-16c", model=1), entry("l3ic-32c", 3)
    (damaged / "card.json").write_text("{")
    assert listed(zoo.installed()) == [("l3ic-16c", 1)]
    (card,) = zoo.broken()
    assert (card.id, card.revision, card.folder) == ("l3ic-32c", 3, damaged)
    assert str(damaged / "card.json") in card.reason
    assert zoo.broken([shelf]) == (card,)
    assert zoo.find("l3ic-16c").folder == whole
    assert zoo.find_for_file(1, 1, zoo.model_hash(whole)).folder == whole
    with pytest.raises(ModelMissingError, match=r"Installed are l3ic-16c$"):
        zoo.find("l3ic-64c")


def test_broken_card_is_named_where_its_weights_are_needed(entry: Entry) -> None:
    damaged = entry("l3ic-32c", 3)
    digest = zoo.model_hash(damaged)
    (damaged / "card.json").write_text("{")
    attempts: list[Callable[[], object]] = [lambda: zoo.find("l3ic-32c"), lambda: zoo.find_for_file(1, 2, digest)]
    for attempt in attempts:
        with pytest.raises(ModelError) as caught:
            attempt()
        assert type(caught.value) is ModelError
        assert str(caught.value) == zoo.broken()[0].reason
    with pytest.raises(ModelMissingError, match="number 2 of codec number 1"):
        zoo.find_for_file(1, 2, bytes(8))
    (damaged / "decoder.onnx").unlink()
    with pytest.raises(ModelMissingError, match="number 2 of codec number 1"):
        zoo.find_for_file(1, 2, digest)


def test_only_a_broken_card_of_the_newest_revision_counts(entry: Entry) -> None:
    """Else a name would silently mean other weights than it did."""
    (entry("l3ic-32c", 1) / "card.json").write_text("{")
    entry("l3ic-32c", 2)
    assert zoo.find("l3ic-32c").revision == 2
    (entry("l3ic-32c", 10) / "card.json").write_text("{")
    with pytest.raises(ModelError, match=r"10.card\.json"):
        zoo.find("l3ic-32c")


def test_opens_a_folder_that_is_not_searched(entry: Entry, shelf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = entry("l3ic-32c", 3)
    monkeypatch.delenv("NICODEC_MODELS")
    monkeypatch.chdir(folder.parent)
    model = zoo.open_folder(Path("3"))
    assert (model.id, model.revision, model.folder) == ("l3ic-32c", 3, folder)
    with pytest.raises(ModelError, match="cannot read"):
        zoo.open_folder(shelf)
    folder.rename(folder.with_name("latest"))
    with pytest.raises(ModelError, match="not named by the number of a revision"):
        zoo.open_folder(folder.with_name("latest"))


def test_listing_imports_no_runtime() -> None:
    heavy = "{'numpy', 'onnx', 'onnxruntime', 'keras', 'tensorflow', 'scipy', 'constriction'}"
    code = f"import sys; from nicodec.models import zoo; zoo.installed(); print(*({heavy} & sys.modules.keys()))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == []
