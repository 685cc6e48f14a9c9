"""Golden files: written once, decoded for ever."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

import nicodec
from nicodec import images
from nicodec.bitstream import container
from nicodec.codecs.l3ic import L3ic
from nicodec.models import zoo

FOLDER = Path(__file__).parents[1] / "golden" / "l3ic"
LINES = (FOLDER / "checksums.txt").read_text().splitlines()
CHECKSUMS = {name: digest for digest, name in (line.split() for line in LINES)}


def test_every_golden_file_has_a_checksum() -> None:
    assert sorted(CHECKSUMS) == sorted(path.name for path in FOLDER.glob("*.nic"))
    assert CHECKSUMS


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
def test_latents_never_change(name: str) -> None:
    parsed = container.read((FOLDER / name).read_bytes())
    header = parsed.header
    model = zoo.find_for_file(header.codec, header.model, header.model_hash)
    latents = L3ic().decode_planes(parsed, model, tuple(range(header.channels)))
    assert hashlib.sha256(latents.astype(np.int8).tobytes()).hexdigest() == CHECKSUMS[name]


@pytest.mark.parametrize("name", sorted(CHECKSUMS))
def test_pixels_change_by_one_at_most(name: str) -> None:
    expected = images.load(FOLDER / name.replace(".nic", ".png"))
    restored = nicodec.decode(FOLDER / name)
    assert restored.pixels.shape == expected.pixels.shape
    assert np.abs(restored.pixels.astype(int) - expected.pixels).max() <= 1
    if expected.alpha is None:
        assert restored.alpha is None
    else:
        assert restored.alpha is not None
        assert np.array_equal(restored.alpha, expected.alpha)
