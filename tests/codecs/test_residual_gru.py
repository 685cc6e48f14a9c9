"""What only the residual GRU has: tiles that see each other from afar, and the original's code files."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

import nicodec
from nicodec import api
from nicodec.bitstream import container as nic
from nicodec.bitstream.container import Container
from nicodec.codecs import recurrence
from nicodec.codecs.base import DecodeRequest, EncodeSettings
from nicodec.codecs.residual_gru import ResidualGru
from nicodec.errors import RequestError
from nicodec.images import Picture, from_array
from nicodec.metrics.psnr import psnr
from nicodec.models import zoo
from nicodec.models.zoo import Model

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples

pytestmark = pytest.mark.skipif(
    all(model.id != "residual-gru" for model in zoo.installed()), reason="the weights of residual-gru are not installed"
)

CODEC = ResidualGru()


@pytest.fixture(scope="module")
def gru() -> Model:
    return zoo.find("residual-gru")


@pytest.fixture
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of at most 64 pixels a side without their halo at level 15, of 256 at level 0."""
    monkeypatch.setattr(recurrence, "WHOLE_PIXELS", 64 * 64)
    monkeypatch.setattr(recurrence, "OUTER_PIXELS", 64 + 2 * 16 * 10)


@pytest.fixture(scope="module")
def wide(samples: "Samples") -> Picture:
    return from_array(samples.photo(64, 512))


@pytest.fixture(scope="module")
def coded_in_one_piece(gru: Model, wide: Picture) -> Container:
    return CODEC.encode(wide, gru, EncodeSettings())


@pytest.fixture(scope="module")
def decoded_in_one_piece(gru: Model, coded_in_one_piece: Container) -> dict[int, Picture]:
    return dict(CODEC.decode_levels(coded_in_one_piece, gru, DecodeRequest(), [0, 5, 15]))


@pytest.mark.usefixtures("small_tiles")
def test_tiles_give_the_same_pixels(
    gru: Model, coded_in_one_piece: Container, decoded_in_one_piece: dict[int, Picture]
) -> None:
    coded, tiles = coded_in_one_piece, []
    request = DecodeRequest()
    levels = CODEC.decode_levels(coded, gru, request, [0, 5, 15], lambda done, total: tiles.append(total))
    arriving = enumerate(
        picture for _, picture in CODEC.decode_arriving(coded.header, coded.segments[:6], gru, request)
    )
    for level, picture in (*levels, *(pair for pair in arriving if pair[0] in (0, 5))):
        assert np.abs(picture.pixels.astype(int) - decoded_in_one_piece[level].pixels).max() <= 1
    assert max(tiles) == 16 * 8


@pytest.mark.usefixtures("small_tiles")
def test_tiles_encode_nearly_as_well(
    gru: Model, wide: Picture, coded_in_one_piece: Container, decoded_in_one_piece: dict[int, Picture]
) -> None:
    tiled = CODEC.encode(wide, gru, EncodeSettings())
    for level, picture in CODEC.decode_levels(tiled, gru, DecodeRequest(), [0, 5, 15]):
        loss = psnr(wide.pixels, decoded_in_one_piece[level].pixels) - psnr(wide.pixels, picture.pixels)
        assert loss < 0.05, level
    sizes = [len(nic.write(coded)) for coded in (tiled, coded_in_one_piece)]
    assert sizes[0] < 1.01 * sizes[1]


def test_code_files_go_there_and_back(samples: "Samples") -> None:
    data = nicodec.encode(samples.photo(128, 160), model="residual-gru")
    again = api.from_code_file(api.to_code_file(data), model="residual-gru")
    assert again == data  # 128x160 has no padding
    with pytest.raises(RequestError):
        api.from_code_file(api.to_code_file(data), model="l3ic-16c")
