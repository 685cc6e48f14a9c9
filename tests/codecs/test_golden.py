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
from nicodec.models import zoo
from nicodec.models.zoo import Model

GOLDEN = Path(__file__).parents[1] / "golden"
CODECS = ("l3ic", "shallow")

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
    expected = images.load((GOLDEN / name).with_suffix(".png"))
    restored = nicodec.decode(GOLDEN / name)
    assert restored.pixels.shape == expected.pixels.shape
    assert np.abs(restored.pixels.astype(int) - expected.pixels).max() <= 1
    if expected.alpha is None:
        assert restored.alpha is None
    else:
        assert restored.alpha is not None
        assert np.array_equal(restored.alpha, expected.alpha)
