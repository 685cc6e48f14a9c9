"""`nicodec extract`, and `decode` of what it wrote."""

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from nicodec import images
from nicodec.cli.main import main
from nicodec.image_samples import reduce_depth
from nicodec.images import Picture

if TYPE_CHECKING:
    import numpy.typing as npt

    from nicodec.tests.samples import Samples

Go = Callable[..., Result]

pytestmark = pytest.mark.train


@pytest.fixture
def folder(small_sandwiches: Path, samples: "Samples", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NICODEC_MODELS", str(small_sandwiches))
    monkeypatch.chdir(tmp_path)
    Image.fromarray(samples.photo(61, 90)).save("a.png")
    return tmp_path


@pytest.fixture
def go(folder: Path) -> Go:
    """Runs a command in the folder."""
    assert folder.exists()

    def invoke(*args: str, data: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, args, input=data)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return invoke


def test_the_file_inside_comes_out_and_is_restored(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    extracted = go("extract", "a.nic")
    assert extracted.exit_code == 0
    assert "a.jpg" in extracted.stderr
    with Image.open(folder / "a.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (90, 61))
    assert go("decode", "a.nic", "whole.png").exit_code == 0
    assert go("decode", "-m", "sandwich-rgb", "a.jpg", "bare.png").exit_code == 0
    whole, bare = (np.asarray(Image.open(folder / name)) for name in ("whole.png", "bare.png"))
    np.testing.assert_array_equal(whole, bare)


def test_names_and_streams(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-gray", "a.png").exit_code == 0
    data = (folder / "a.nic").read_bytes()
    piped = go("extract", "-", "-", data=data)
    assert piped.exit_code == 0
    with Image.open(io.BytesIO(piped.stdout_bytes)) as image:
        assert image.mode == "L"
    named = go("extract", "a.nic", "inner.png", "--json")
    record = json.loads(named.stdout)
    assert record["output"] == "inner.png"
    assert record["format"] == "jpg"
    assert "inside is a .jpg" in record["notes"][0]
    assert (folder / "inner.png").read_bytes() == piped.stdout_bytes
    again = go("extract", "a.nic", "inner.png")
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert go("extract", "--out-dir", "out", "a.nic").exit_code == 0
    assert (folder / "out" / "a.jpg").read_bytes() == piped.stdout_bytes
    restored = go("decode", "-m", "sandwich-gray", "-", "b.png", data=piped.stdout_bytes)
    assert restored.exit_code == 0, restored.stderr
    with Image.open(folder / "b.png") as image:
        assert image.mode == "RGB"


def test_another_standard_codec_is_remarked(folder: Path, go: Go) -> None:
    result = go("encode", "-m", "sandwich-rgb", "--inner", "webp", "a.png", "--json")
    assert result.exit_code == 0, result.stderr
    assert "trained around jpeg" in json.loads(result.stdout)["notes"][0]
    assert go("extract", "a.nic").exit_code == 0
    assert (folder / "a.webp").read_bytes()[:4] == b"RIFF"


def test_what_does_not_fit_is_refused(go: Go) -> None:
    assert go("encode", "-m", "l3ic-16c", "a.png", "plain.nic").exit_code == 0
    plain = go("extract", "plain.nic")
    assert plain.exit_code == 2
    assert "sandwiches" in plain.stderr
    assert not Path("plain.jpg").exists()
    assert go("encode", "-m", "l3ic-16c", "--inner", "jpeg", "a.png", "x.nic").exit_code == 2
    kind = go("decode", "-m", "sandwich-gray", "a.png", "x.png")
    assert kind.exit_code == 2
    assert "colour" in kind.stderr
    assert go("decode", "-m", "sandwich-rgb", "missing.jpg", "x.png").exit_code == 1
    Path("no.jpg").write_bytes(b"no picture")
    broken = go("decode", "-m", "sandwich-rgb", "no.jpg", "x.png")
    assert broken.exit_code == 1
    assert len(broken.stderr.strip().splitlines()) == 1
    assert not Path("x.png").exists()


def test_a_nic_file_names_its_own_model(folder: Path, go: Go) -> None:
    """The model that -m names is for what is no .nic file."""
    assert go("encode", "-m", "l3ic-16c", "a.png").exit_code == 0
    assert go("decode", "-m", "sandwich-rgb", "a.nic", "x.png").exit_code == 0
    assert (folder / "x.png").exists()
    piped = go("decode", "-m", "sandwich-rgb", "-", "y.png", data=(folder / "a.nic").read_bytes())
    assert piped.exit_code == 0, piped.stderr
    assert (folder / "y.png").read_bytes() == (folder / "x.png").read_bytes()


def test_an_input_is_never_replaced(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    data = (folder / "a.nic").read_bytes()
    (folder / "photo.jpg").write_bytes(data)
    for arguments in (("photo.jpg",), ("--out-dir", ".", "photo.jpg"), ("photo.jpg", "photo.jpg")):
        result = go("extract", "--force", *arguments)
        assert result.exit_code == 2
        assert "same file" in result.stderr
    assert (folder / "photo.jpg").read_bytes() == data
    (folder / "photo").write_bytes(data)
    assert go("extract", "--force", "photo").exit_code == 0
    assert (folder / "photo.jpg").read_bytes()[:2] == b"\xff\xd8"


def test_a_bare_file_has_no_levels(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    assert go("extract", "a.nic").exit_code == 0
    for option in (("--level", "3"), ("--channels", "0"), ("--allow-partial",)):
        result = go("decode", "-m", "sandwich-rgb", *option, "a.jpg", "x.png")
        assert result.exit_code == 2
        assert "no .nic file" in result.stderr
    assert not (folder / "x.png").exists()


def test_pipes_with_names_are_read_once(folder: Path, go: Go) -> None:
    assert go("encode", "-m", "sandwich-rgb", "a.png").exit_code == 0
    os.mkfifo(folder / "pipe")
    writer = threading.Thread(target=lambda: (folder / "pipe").write_bytes((folder / "a.nic").read_bytes()))
    writer.start()
    result = go("decode", "-m", "sandwich-rgb", "pipe", "x.png")
    writer.join()
    assert result.exit_code == 0, result.stderr


def deep_file(path: Path, *, alpha: bool = False) -> "npt.NDArray[np.uint16]":
    """A 16-bit PNG of a smooth picture."""
    y, x = np.mgrid[:40, :60]
    samples = np.stack([20000 + 300 * x, 30000 + 200 * y, 40000 - 100 * x - 150 * y], axis=-1).astype(np.uint16)
    transparency = np.full(samples.shape[:2], 128, np.uint8) if alpha else None
    picture = Picture(reduce_depth(samples), alpha=transparency, deep=samples)
    images.save(picture, path)
    return samples


def test_sixteen_bits_go_in_and_out(folder: Path, go: Go) -> None:
    """By name and through pipes, without a word of loss; a model of eight bits says what it loses."""
    samples = deep_file(folder / "deep.png")
    coded = go("encode", "-m", "sandwich-hdr", "--quality", "100", "deep.png")
    assert coded.exit_code == 0
    assert "reduced" not in coded.stderr
    assert json.loads(go("info", "--json", "deep.nic").stdout)["depth"] == 16
    assert go("decode", "deep.nic", "back.png").exit_code == 0
    back = images.load(folder / "back.png", deep=True).deep
    assert back is not None
    assert np.abs(back.astype(int) - samples).mean() < 300
    assert len(np.unique(back % 257)) > 100
    piped = go("encode", "-m", "sandwich-hdr", "--quality", "100", "-", "-", data=(folder / "deep.png").read_bytes())
    assert piped.stdout_bytes == (folder / "deep.nic").read_bytes()
    out = go("decode", "deep.nic", "-")
    np.testing.assert_array_equal(images.load(out.stdout_bytes, deep=True).deep, back)
    plain = go("encode", "-m", "sandwich-rgb", "deep.png", "plain.nic")
    assert "16 bits per channel reduced to 8" in plain.stderr
    jpeg = go("decode", "deep.nic", "back.jpg")
    assert "8 of the 16 bits" in jpeg.stderr


def test_a_background_keeps_sixteen_bits(folder: Path, go: Go) -> None:
    samples = deep_file(folder / "deep.png", alpha=True)
    assert go("encode", "-m", "sandwich-hdr", "--quality", "100", "deep.png").exit_code == 0
    assert go("decode", "--background", "white", "deep.nic", "flat.png").exit_code == 0
    flat = images.load(folder / "flat.png", deep=True)
    assert flat.alpha is None
    assert flat.deep is not None
    expected = (samples * (128 / 255) + 65535 * (127 / 255)).mean()
    assert abs(flat.deep.mean() - expected) < 200
    assert len(np.unique(flat.deep % 257)) > 100


def test_a_bare_file_of_a_deep_model_is_deep(folder: Path, go: Go) -> None:
    deep_file(folder / "deep.png")
    assert go("encode", "-m", "sandwich-hdr", "deep.png").exit_code == 0
    assert go("extract", "deep.nic").exit_code == 0
    assert go("decode", "deep.nic", "whole.png").exit_code == 0
    assert go("decode", "-m", "sandwich-hdr", "deep.jpg", "bare.png").exit_code == 0
    whole, bare = (images.load(folder / name, deep=True).deep for name in ("whole.png", "bare.png"))
    assert bare is not None
    np.testing.assert_array_equal(whole, bare)


def test_gray_inside_a_format_without_gray_is_restored(go: Go) -> None:
    coded = go("encode", "-m", "sandwich-gray", "--inner", "webp", "a.png")
    assert coded.exit_code == 0
    assert go("extract", "a.nic").exit_code == 0
    assert go("decode", "-m", "sandwich-gray", "a.webp", "x.png").exit_code == 0
