"""The residual-GRU codec on the original's graph: levels, cut files, code files, sizes."""

import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest

pytestmark = pytest.mark.train

pytest.importorskip("tensorflow")

import nicodec
from nicodec import api
from nicodec.bitstream import container as nic
from nicodec.codecs import gru_engine, gru_model, unrolled
from nicodec.codecs.recurrence import Recurrence
from nicodec.errors import FormatError, ModelError, RequestError
from nicodec.images import from_array
from nicodec.metrics.psnr import psnr
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.frozen_graphs import FrozenGraphs
    from nicodec.tests.samples import Samples

Pixels = npt.NDArray[np.uint8]

LEVELS = 16
CODES = ["GruBinarizer/SignBinarizer/Sign:0", *(f"GruBinarizer/SignBinarizer/Sign_{k}:0" for k in range(1, LEVELS))]
PICTURES = [f"loop_{k:02d}/add:0" for k in range(LEVELS)]


@pytest.fixture
def original(graph_model: Model, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The graph, where files find it."""
    monkeypatch.setenv("NICODEC_MODELS", str(graph_model.folder.parents[1]))
    return graph_model


@pytest.fixture(scope="module")
def photo(samples: "Samples") -> Pixels:
    return samples.photo(64, 96)


@pytest.fixture
def whole(original: Model, photo: Pixels) -> bytes:
    return nicodec.encode(from_array(photo), model=original)


@pytest.fixture
def own(graphs: "FrozenGraphs", photo: Pixels) -> list[Pixels]:
    """What the graph itself makes of the photo at every level, as bytes."""
    pictures = graphs.run(photo, PICTURES)
    return [np.clip(picture[0] + 0.5, 0, 255).astype(np.uint8) for picture in pictures]


def off(first: Pixels, second: Pixels) -> int:
    """The largest difference."""
    return int(np.abs(first.astype(int) - second).max())


def test_every_level_is_the_graphs_own_picture(whole: bytes, own: list[Pixels], photo: Pixels) -> None:
    restored = [picture.pixels for _, picture in api.decode_levels(whole)]
    assert [off(picture, expected) <= 1 for picture, expected in zip(restored, own, strict=True)] == [True] * LEVELS
    assert all(np.diff([psnr(photo, picture) for picture in restored]) > 0)


def test_every_way_to_a_level_gives_the_same_picture(original: Model, whole: bytes, photo: Pixels) -> None:
    expected = {level: picture.pixels for level, picture in api.decode_levels(whole)}
    for level in (0, 6, 15):
        shorter = api.truncate(whole, level)
        assert shorter == nicodec.encode(from_array(photo), model=original, level=level)
        for picture in (nicodec.decode(whole, level=level), nicodec.decode(shorter)):
            np.testing.assert_array_equal(picture.pixels, expected[level])
    for level, picture in api.decode_arriving(io.BytesIO(whole)):
        np.testing.assert_array_equal(picture.pixels, expected[level])


def test_neutral_tables_take_a_bit_for_each_code(whole: bytes) -> None:
    segments = nic.read(whole).segments
    raw = 32 * 4 * 6 // 8
    assert [segment.size - raw for segment in segments] == [segments[0].size - raw] * LEVELS
    assert 0 <= segments[0].size - raw <= 4


def test_a_cut_file_gives_the_last_whole_level(whole: bytes) -> None:
    chunk = len(whole) - len(api.truncate(whole, LEVELS - 2))
    ends = [len(whole) - chunk * (LEVELS - 1 - level) for level in range(LEVELS)]
    every = [picture.pixels for _, picture in api.decode_levels(whole)]
    for level in (0, 5, 14):
        for cut in (ends[level], ends[level + 1] - 1):
            picture = nicodec.decode(whole[:cut])
            np.testing.assert_array_equal(picture.pixels, every[level])
            assert picture.notes
    with pytest.raises(FormatError):
        nicodec.decode(whole[: ends[0] - 1])


def test_a_part_of_a_level_is_used_on_request(whole: bytes, photo: Pixels) -> None:
    first, second = (len(api.truncate(whole, level)) for level in (0, 1))
    cut = whole[: (first + 3 * second) // 4]
    strict, lenient = (nicodec.decode(cut, allow_partial=allowed) for allowed in (False, True))
    assert psnr(photo, lenient.pixels) > psnr(photo, strict.pixels)


def test_codes_are_those_that_the_graph_gives(
    graphs: "FrozenGraphs", original: Model, whole: bytes, photo: Pixels
) -> None:
    """The original's own program: fetches the codes and packs their bits."""
    codes = np.stack(graphs.run(photo, CODES))
    expected = np.packbits(((codes + 1) / 2).astype(np.int8))
    with np.load(io.BytesIO(api.to_code_file(whole))) as file:
        assert tuple(file["shape"]) == codes.shape
        np.testing.assert_array_equal(file["codes"], expected)


def test_code_files_of_the_original_decode(original: Model, graphs: "FrozenGraphs", photo: Pixels, own: Any) -> None:
    codes = np.stack(graphs.run(photo, CODES[:5]))
    file = io.BytesIO()
    np.savez_compressed(file, shape=codes.shape, codes=np.packbits(((codes + 1) / 2).astype(np.int8)))
    data = api.from_code_file(file.getvalue(), model=original)
    assert off(nicodec.decode(data).pixels, own[4]) <= 1


@pytest.mark.parametrize(("height", "width", "gray"), [(1, 1, False), (33, 50, False), (40, 31, True)])
def test_any_size_and_gray(original: Model, samples: "Samples", height: int, width: int, gray: bool) -> None:
    pixels = samples.photo(height, width)[..., : 1 if gray else 3]
    data = nicodec.encode(from_array(pixels), model=original, level=3)
    api.verify(data)
    assert nicodec.decode(data).pixels.shape == pixels.shape


def test_progress_is_told(original: Model, photo: Pixels) -> None:
    told: list[tuple[int, int]] = []
    data = nicodec.encode(from_array(photo), model=original, level=4, progress=lambda *done: told.append(done))
    nicodec.decode(data, level=2, progress=lambda *done: told.append(done))
    assert told == [(5, 5), (3, 3)]


def test_large_pictures_are_refused(
    original: Model, whole: bytes, photo: Pixels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unrolled, "MOST_PIXELS", 64 * 96 - 1)
    for task in (lambda: nicodec.encode(from_array(photo), model=original), lambda: nicodec.decode(whole)):
        with pytest.raises(RequestError, match=r"96x64 is too large for a graph model.*of at most 6143 pixels"):
            task()


def test_engines_are_chosen_by_family(original: Model) -> None:
    assert isinstance(gru_engine.load(original, "onnxruntime", None), unrolled.Unrolled)
    for family in (None, "other"):
        with pytest.raises(ModelError, match=f"family {family!r}.*upgrade nicodec"):
            gru_engine.load(replace(original, card={"architecture": {"family": family}}), "onnxruntime", None)


def test_a_graphs_tables_are_not_those_of_two_networks(original: Model) -> None:
    assert gru_model.load(original).shape is None
    with pytest.raises(ModelError, match="do not say how its networks go together"):
        Recurrence(original, "onnxruntime", None)


def test_samples_are_rounded_half_up_and_clipped(original: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    class Ramp:
        def synthesise(self, codes: Any, iterations: Any) -> list[npt.NDArray[np.float32]]:
            ramp = np.array([-3.0, 0.49, 0.5, 1.5, 254.4, 254.5, 300.0, 100.0], np.float32)
            return [np.broadcast_to(np.repeat(ramp, 2)[:, None, None], (16, 16, 3)) for _ in iterations]

    engine = unrolled.Unrolled(Ramp())  # type: ignore[arg-type]
    (pixels,) = engine.synthesise([np.ones((32, 1, 1), np.uint8)], [0])
    assert pixels[::2, 0, 0].tolist() == [0, 0, 1, 2, 254, 255, 255, 100]


def test_other_models_card_names_the_licence(original: Model) -> None:
    assert original.card["licence"].startswith("the user's own file")
    assert Path(original.folder).name == "1"
