"""The Python interface: every kind of source, the same results as the parts, lazy imports, exported names."""

import io
import os
import runpy
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import nicodec
from nicodec.api import EncodeOptions
from nicodec.codecs.base import EncodeSettings
from nicodec.codecs.target import Target
from nicodec.errors import ChecksumError, FormatError, LimitError, ModelMissingError, PictureError, RequestError
from nicodec.images import load
from nicodec.metrics.psnr import psnr
from nicodec.metrics.ssim import ms_ssim
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

MODEL = "fake-3c"


@pytest.fixture(autouse=True)
def model(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The only model, and its codec the only codec."""
    plugin = Path(__file__).parent / "plugin" / "nicodec_fake_codec.py"
    made: Model = runpy.run_path(str(plugin))["install"](monkeypatch, tmp_path_factory.mktemp("zoo"))
    return made


@pytest.fixture
def data(samples: "Samples") -> bytes:
    """A file with independent channels."""
    return nicodec.encode(samples.photo(), model=MODEL, independent_channels=True)


def test_all_names_are_sorted_and_real() -> None:
    assert nicodec.__all__ == sorted(nicodec.__all__)
    assert dir(nicodec) == nicodec.__all__
    for name in nicodec.__all__:
        assert getattr(nicodec, name) is not None
    errors = {name for name in vars(nicodec.errors) if name.endswith("Error")}
    assert errors <= set(nicodec.__all__)


def test_type_checkers_see_the_same_names() -> None:
    source = Path(nicodec.__file__).read_text()
    block = source.split("if TYPE_CHECKING:")[1].split("__version__ =")[0]
    imported = {word.strip(",()") for line in block.splitlines() for word in line.split("import")[-1].split()}
    assert set(nicodec.__all__) - {"__version__"} <= imported


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'enocde'"):
        _ = nicodec.enocde


def test_import_is_free() -> None:
    code = "import sys, nicodec, nicodec.api, nicodec.inspection; print(sorted({'numpy', 'PIL'} & set(sys.modules)))"
    path = os.pathsep.join(filter(None, sys.path))
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=True
    )
    assert result.stdout == b"[]\n"


def test_options_are_the_fields_of_the_settings() -> None:
    assert list(EncodeOptions.__annotations__) == [field.name for field in fields(EncodeSettings)]


def test_every_kind_of_source_encodes_alike(tmp_path: Path, samples: "Samples") -> None:
    path = tmp_path / "photo.png"
    Image.fromarray(samples.photo()).save(path)
    content = path.read_bytes()
    sources: list[Any] = [samples.photo(), path, str(path), content, io.BytesIO(content), load(path)]
    assert len({nicodec.encode(source, model=MODEL) for source in sources}) == 1


def test_every_kind_of_source_decodes_alike(tmp_path: Path, samples: "Samples", data: bytes) -> None:
    path = tmp_path / "photo.nic"
    path.write_bytes(data)
    sources: list[Any] = [data, path, str(path), io.BytesIO(data)]
    for source in sources:
        assert np.array_equal(nicodec.to_array(nicodec.decode(source)), samples.photo() // 16 * 16 + 8)


def test_alpha_and_gray_survive(samples: "Samples") -> None:
    for channels in (1, 2, 4):
        array = samples.noise(5, 7, channels)
        back = nicodec.to_array(nicodec.decode(nicodec.encode(array, model=MODEL)))
        assert back.reshape(array.shape).shape == array.shape
        if channels != 1:
            assert np.array_equal(back[..., -1], array[..., -1])


def test_model_may_be_given_itself(samples: "Samples", model: Model, data: bytes) -> None:
    assert nicodec.encode(samples.photo(), model=model, independent_channels=True) == data


def test_strip_leaves_metadata_out(samples: "Samples") -> None:
    file = io.BytesIO()
    Image.fromarray(samples.photo()).save(file, "PNG", icc_profile=b"profile")
    assert nicodec.decode(nicodec.encode(file.getvalue(), model=MODEL)).icc == b"profile"
    assert nicodec.decode(nicodec.encode(file.getvalue(), model=MODEL, strip=["icc"])).icc is None
    with pytest.raises(RequestError, match="cannot strip pixels"):
        nicodec.encode(file.getvalue(), model=MODEL, strip=["pixels"])


def test_progress_is_told(samples: "Samples") -> None:
    steps: list[tuple[int, int]] = []
    nicodec.encode(samples.photo(), model=MODEL, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_qualities_and_targets(samples: "Samples") -> None:
    photo = samples.photo()
    small, large = (nicodec.encode(photo, model=MODEL, quality=quality) for quality in (10, 90.5))
    assert len(small) < len(large)
    most = (len(small) + len(large)) // 2
    data = nicodec.encode(photo, model=MODEL, target_size=most)
    assert len(small) < len(data) <= most
    assert nicodec.encode(photo, model=MODEL, target_bpp=8 * most / (96 * 64)) == data
    for targets, metric, least in (({"target_psnr": 33.0}, psnr, 33.0), ({"target_msssim": 0.99}, ms_ssim, 0.99)):
        restored = nicodec.decode(nicodec.encode(photo, model=MODEL, **targets))  # type: ignore[arg-type]
        assert metric(photo, restored.pixels) >= least


def test_details_tell_what_was_found(samples: "Samples", model: Model) -> None:
    found = nicodec.api.encode_with_details(samples.photo(), model=MODEL, target=Target("psnr", 33))
    assert found.model == model
    assert found.trials is not None
    assert found.reached is not None
    assert found.reached >= 33
    assert nicodec.encode(samples.photo(), model=model, quality=found.quality) == found.data
    plain = nicodec.api.encode_with_details(samples.photo(), model=MODEL)
    assert (plain.quality, plain.reached, plain.trials) == (None, None, None)


def test_sizes_of_targets_count_what_is_kept(samples: "Samples") -> None:
    file = io.BytesIO()
    Image.fromarray(samples.photo()).save(file, "PNG", icc_profile=bytes(500))
    whole, stripped = (
        nicodec.encode(file.getvalue(), model=MODEL, target_size=9000, strip=strip) for strip in ((), ("icc",))
    )
    assert max(len(whole), len(stripped)) <= 9000
    qualities = [nicodec.decode(data).pixels.std() for data in (whole, stripped)]
    assert qualities[0] != qualities[1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"quality": 100.1}, r"quality 100\.1 does not exist: choose one from 0 \(smallest file\) to 100"),
        ({"quality": "high"}, "quality 'high' does not exist"),
        ({"effort": 0}, r"effort 0 does not exist: choose a whole number from 1 \(fast\) to 9"),
        ({"effort": 2.5}, r"effort 2\.5 does not exist"),
        ({"target_bpp": -1}, "a target of -1 bpp cannot be met"),
        ({"target_size": 10}, "the target of 10 bytes is not reachable"),
        ({"target_bpp": 1, "target_msssim": 0.9}, "targets for bpp and msssim cannot be met at once"),
        ({"target_bpp": 1, "quality": 3}, "quality and a target for bpp exclude each other"),
    ],
)
def test_refused_rates(samples: "Samples", settings: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        nicodec.encode(samples.photo(), model=MODEL, **settings)


def test_parts_of_files(samples: "Samples", data: bytes) -> None:
    assert nicodec.decode(data, allow_partial=True).notes == ()
    picture = nicodec.decode(data[:-100], allow_partial=True)
    assert picture.notes == (
        "2 of 3 segments arrived whole",
        "segments that are missing: 2",
    )
    assert np.array_equal(picture.pixels[..., :2], samples.photo()[..., :2] // 16 * 16 + 8)
    for cut in range(0, len(data) - 1, 997):
        with pytest.raises(FormatError):
            nicodec.decode(data[:cut])


def test_lost_metadata_is_noted(samples: "Samples") -> None:
    file = io.BytesIO()
    Image.fromarray(samples.photo()).save(file, "PNG", icc_profile=b"profile")
    damaged = nicodec.encode(file.getvalue(), model=MODEL).replace(b"profile", b"profiLe")
    picture = nicodec.decode(damaged, allow_partial=True)
    assert picture.icc is None
    assert picture.notes == ("metadata is damaged or missing: the picture is whole",)


def test_some_channels(samples: "Samples", data: bytes) -> None:
    pixels = nicodec.decode(data, channels=iter([1])).pixels
    assert np.array_equal(pixels[..., 1], samples.photo()[..., 1] // 16 * 16 + 8)
    assert np.all(pixels[..., ::2] == 8)
    with pytest.raises(RequestError, match="depend on each other"):
        nicodec.decode(nicodec.encode(samples.photo(), model=MODEL), channels=[0])


def test_single_latent_plane(samples: "Samples", data: bytes) -> None:
    plane = nicodec.latents(data, 2)
    assert plane.dtype == np.int8
    assert np.array_equal(plane, samples.photo()[..., 2] // 16)
    with pytest.raises(RequestError, match="channels 0 to 2"):
        nicodec.latents(data, 3)


def test_single_plane_decodes_no_other(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from nicodec.bitstream.ans import AnsDecoder

    taken: list[int] = []
    take = AnsDecoder.take

    def counted(self: AnsDecoder, table: Any, count: int) -> Any:
        taken.append(count)
        return take(self, table, count)

    monkeypatch.setattr(AnsDecoder, "take", counted)
    nicodec.latents(data, 1)
    assert taken == [64 * 96]


def test_info_of_bytes_paths_and_pipes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "photo.nic"
    path.write_bytes(data)
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    with open(reader, "rb") as pipe:
        found = [nicodec.info(source) for source in (data, path, pipe)]
    assert found[0] == found[1] == found[2]
    assert (found[0].size, found[0].version, found[0].model, found[0].complete) == (len(data), "1.0", MODEL, True)
    assert found[0].bpp == 8 * len(data) / (96 * 64)
    assert found[0].segments is None


def test_info_of_segments_and_of_cut_files(data: bytes) -> None:
    segments = nicodec.info(data, segments=True).segments
    assert segments is not None
    assert [segment.content for segment in segments] == ["part 0", "part 1", "part 2"]
    cut = nicodec.info(data[: len(data) // 2])
    assert (cut.complete, cut.arrived, cut.header.segments) == (False, 1, 3)


def test_unknown_ancillary_chunks_are_listed(data: bytes) -> None:
    from dataclasses import replace

    from nicodec.bitstream import container

    coded = container.read(data)
    extended = container.write(replace(coded, chunks=(container.Chunk(0x99, b"abc"),)))
    assert nicodec.info(extended).to_json()["metadata"] == {"0x99": 3}
    assert nicodec.decode(extended).width == 96


def test_verify(data: bytes) -> None:
    nicodec.verify(data)
    nicodec.verify(data, network=False)
    for network in (True, False):
        with pytest.raises(FormatError):
            nicodec.verify(data[:-1], network=network)


def test_errors_name_the_file_and_keep_their_class(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.nic"
    path.write_bytes(data[:-8] + bytes(8))
    with pytest.raises(ChecksumError, match=r"bad\.nic: segment 2 is damaged") as caught:
        nicodec.decode(path)
    assert caught.value.segment == 2
    with pytest.raises(ChecksumError, match=r"^segment 2"):
        nicodec.decode(path.read_bytes())


@pytest.mark.parametrize("call", [nicodec.decode, nicodec.info, nicodec.verify])
def test_paths_that_cannot_be_read(call: Any, tmp_path: Path) -> None:
    for path, words in ((tmp_path / "absent", "no such file"), (tmp_path, "is a folder"), ("a\0b", "cannot be read")):
        with pytest.raises(PictureError, match=words):
            call(path)


def test_refusals(samples: "Samples", data: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelMissingError, match="did you mean fake-3c"):
        nicodec.encode(samples.photo(), model="fake-3d")
    with pytest.raises(RequestError, match="unknown encoder setting"):
        nicodec.encode(samples.photo(), model=MODEL, speed=3)  # type: ignore[call-arg]  # pyright: ignore
    with pytest.raises(RequestError, match="uint8"):
        nicodec.encode(samples.photo().astype(float), model=MODEL)
    with pytest.raises(LimitError):
        nicodec.decode(data, limits=nicodec.Limits(pixels=10))
    with pytest.raises(LimitError, match="70000x1 is over 65535 pixels a side: make it smaller"):
        nicodec.encode(np.zeros((1, 70_000), np.uint8), model=MODEL)
    Image.fromarray(samples.photo()).save(tmp_path / "p.png")
    with pytest.raises(PictureError, match="more than 10 pixels"):
        nicodec.encode(tmp_path / "p.png", model=MODEL, max_pixels=10)


def test_large_pictures_are_refused_before_the_work_unless_allowed(
    samples: "Samples", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nicodec.api, "DEFAULT_LIMITS", nicodec.Limits(pixels=1000, latents=1000))
    steps: list[tuple[int, int]] = []

    def encode(max_pixels: int | None) -> bytes:
        return nicodec.encode(
            samples.photo(), model=MODEL, max_pixels=max_pixels, progress=lambda *step: steps.append(step)
        )

    for refused in (None, 1001):
        with pytest.raises(LimitError, match=r"96x64 is more than 100[01] pixels"):
            encode(refused)
    assert steps == []
    assert nicodec.info(encode(96 * 64)).header.width == 96


def test_codec_without_planes(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    from nicodec.codecs import registry

    class Opaque:
        id = "opaque"
        number = 250

    monkeypatch.setattr(registry, "_codecs", lambda: [Opaque()])
    with pytest.raises(RequestError, match="codec opaque has no latent channels"):
        nicodec.latents(data, 0)
