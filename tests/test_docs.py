"""The documents say what is true: their examples run."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from nicodec.bitstream import container
from nicodec.cli.main import COMMANDS
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.images import Picture
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

ROOT = Path(__file__).parents[1]


def test_the_codec_in_contributing_is_complete() -> None:
    (source,) = re.findall(r"```python\n(# mycodec\.py\n.*?)```", (ROOT / "CONTRIBUTING.md").read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(source, names)  # noqa: S102  our own document
    codec = names["Raw"]()
    model = Model(id="raw", codec=200, number=1, hash=bytes(8), revision=1, folder=ROOT, card={})
    pixels = np.random.default_rng(3).integers(0, 256, (5, 7, 3), np.uint8)
    data = container.write(codec.encode(Picture(pixels=pixels), model, EncodeSettings()))
    restored = codec.decode(container.read(data), model, DecodeRequest())
    codec.verify(container.read(data), model)
    assert np.array_equal(restored.pixels, pixels)
    assert codec.describe(container.read(data))[0].symbols == (0, 255)


@pytest.mark.train
def test_the_proxy_in_the_readme_works(samples: "Samples", capsys: pytest.CaptureFixture[str]) -> None:
    """The example that the authors of sandwiched compression give, but for its import; it prints what they say."""
    pytest.importorskip("tensorflow")
    text = (ROOT / "README.md").read_text()
    ((source, printed),) = re.findall(r"```python\n(import tensorflow.*?)```\n\n    (.*?)\n", text, re.DOTALL)
    pictures = np.stack([samples.photo(256 + k, 256)[:256].astype(np.float32) for k in range(20)])
    names: dict[str, Any] = {"test_images": pictures}
    exec(source, names)  # noqa: S102  our own document
    assert capsys.readouterr().out.strip() == printed
    assert float(np.abs(names["compressed_images"] - pictures[:16]).mean()) < 10.0
    assert np.all(np.asarray(names["rate"]) > 0.1 * 256 * 256)


def test_every_command_in_the_readme_exists() -> None:
    text = (ROOT / "README.md").read_text()
    commands = set(re.findall(r"(?:^    |`)nicodec ([a-z]+)\b", text, re.MULTILINE))
    assert len(commands) > 6
    assert commands <= set(COMMANDS)


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "bitstream/FORMAT.md"])
def test_files_that_documents_link_to_exist(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text())
    missing = [link for link in links if not (ROOT / name).parent.joinpath(link).exists()]
    assert not missing
