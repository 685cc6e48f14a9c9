"""Golden files: written once, decoded for ever."""

import runpy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import nicodec
from nicodec import images
from nicodec.bitstream import container
from nicodec.bitstream.container import Container
from nicodec.errors import FormatError
from nicodec.models import zoo
from nicodec.models.zoo import Model

GOLDEN = Path(__file__).parents[1] / "golden"
CODECS = ("embedded", "l3ic", "residual-gru", "sandwich", "shallow")

_DEEP_TOLERANCE = 64
"""Of 65535, a quarter of a grey level."""

latents_digest: Callable[[Container, Model], str] = runpy.run_path(str(GOLDEN / "write.py"))["latents_digest"]


def checksums(codec: str) -> dict[str, str]:
    """The digests of a codec's golden files, by their names with the folder; none while it has no files."""
    listing = GOLDEN / codec / "checksums.txt"
    lines = listing.read_text().splitlines() if listing.exists() else []
    return {f"{codec}/{name}": digest for digest, name in (line.split() for line in lines)}


CHECKSUMS = {name: digest for codec in CODECS for name, digest in checksums(codec).items()}


@pytest.mark.parametrize("codec", CODECS)
def test_every_golden_file_has_a_checksum(codec: str) -> None:
    assert sorted(checksums(codec)) == sorted(f"{codec}/{path.name}" for path in (GOLDEN / codec).glob("*.nic"))


def test_every_shipped_model_has_golden_files() -> None:
    shipped = zoo.installed(zoo.search_path()[-1:])
    assert shipped
    for model in shipped:
        assert any(Path(name).name.startswith(f"{model.id}-r{model.revision}-") for name in CHECKSUMS), model.folder


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
def test_latents_never_change(name: str) -> None:
    coded = container.read((GOLDEN / name).read_bytes())
    header = coded.header
    model = zoo.find_for_file(header.codec, header.model, header.model_hash)
    assert latents_digest(coded, model) == CHECKSUMS[name]


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
def test_pixels_change_by_one_at_most(name: str) -> None:
    expected = images.load((GOLDEN / name).with_suffix(".png"), deep=True)
    restored = nicodec.decode(GOLDEN / name)
    assert (expected.deep is None) == (restored.deep is None)
    if expected.deep is not None and restored.deep is not None:
        assert np.abs(restored.deep.astype(int) - expected.deep).max() <= _DEEP_TOLERANCE
    assert restored.pixels.shape == expected.pixels.shape
    assert np.abs(restored.pixels.astype(int) - expected.pixels).max() <= 1
    if expected.alpha is None:
        assert restored.alpha is None
    else:
        assert restored.alpha is not None
        assert np.array_equal(restored.alpha, expected.alpha)


def progressive_files() -> list[str]:
    """A small golden file of every progressive model with all levels."""
    return [name for name in CHECKSUMS if name.startswith(("embedded/", "residual-gru/")) and name.endswith("-odd.nic")]


@pytest.mark.parametrize("name", progressive_files())
def test_every_prefix_of_a_progressive_file_gives_its_level(name: str) -> None:
    """Cut at 200 places, a file gives the last level that is whole, exactly, or an error before the first is."""
    data = (GOLDEN / name).read_bytes()
    whole = dict(nicodec.decode_levels(data))
    lengths = [len(nicodec.truncate(data, level)) for level in whole]
    lengths[0] += 1  # a file of one segment does not number it
    cuts = np.unique(np.linspace(0, len(data), 200).round().astype(int)).tolist()
    assert len(cuts) == 200
    found: list[int] = []
    for cut in cuts:
        try:
            picture = nicodec.decode(data[:cut])
        except FormatError:
            assert cut < lengths[0]
            continue
        found.append(_level_of(picture, whole))
        assert bool(picture.notes) == (cut < len(data))
    assert found == sorted(found)
    assert found == [int(np.searchsorted(lengths, cut, side="right")) - 1 for cut in cuts if cut >= lengths[0]]


def _level_of(picture: images.Picture, levels: dict[int, images.Picture]) -> int:
    """Which level a picture is; a level is not the same as another."""
    (level,) = (level for level, other in levels.items() if np.array_equal(picture.pixels, other.pixels))
    return level
