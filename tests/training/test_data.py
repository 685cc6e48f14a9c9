"""Crops for training: nothing is lost, and the same step gives the same data."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from nicodec.errors import PictureError, RequestError
from nicodec.training import data

if TYPE_CHECKING:
    from nicodec.tests.samples import Samples


def test_finds_pictures_in_all_folders(pictures: Path) -> None:
    assert [path.name for path in data.find_pictures(pictures)] == ["a.png", "b.png"]


@pytest.mark.parametrize("folder", ["more/empty", "absent"])
def test_no_pictures_is_an_error(tmp_path: Path, folder: str) -> None:
    (tmp_path / "more/empty").mkdir(parents=True)
    with pytest.raises(RequestError, match="no images found"):
        data.find_pictures(tmp_path / folder)


def test_pictures_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n")
    for task in (
        lambda: data.pack_crops(tmp_path, tmp_path / "x.npy", 8),
        lambda: data.load_validation(tmp_path, 1, 8),
    ):
        with pytest.raises(PictureError, match=r"broken\.png"):
            task()
    assert not (tmp_path / "x.npy").exists()


def test_crops_cover_every_pixel(samples: "Samples", tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    photo = samples.photo(70, 41)
    Image.fromarray(photo).save(tmp_path / "in" / "photo.png")
    packed = data.pack_crops(tmp_path / "in", tmp_path / "out" / "crops.npy", 32)
    places = [(y, x) for y in (0, 32, 38) for x in (0, 9)]
    assert packed.dtype == np.uint8
    np.testing.assert_array_equal(packed, [photo[y : y + 32, x : x + 32] for y, x in places])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["crops.npy"]


def test_packs_only_once(pictures: Path, tmp_path: Path) -> None:
    target = tmp_path / "crops.npy"
    first = data.pack_crops(pictures, target, 256)
    assert first.shape == (2 * 2 + 1 * 2, 256, 256, 3)
    np.testing.assert_array_equal(data.pack_crops(tmp_path / "absent", target, 256), first)


def test_too_small_pictures_are_an_error(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="smaller than 301x301"):
        data.pack_crops(pictures, tmp_path / "crops.npy", 301)


def test_a_batch_depends_on_step_and_seed_only(pictures: Path, tmp_path: Path) -> None:
    packed = data.pack_crops(pictures, tmp_path / "crops.npy", 64)

    def batch(step: int, seed: int) -> data.Pixels:
        return data.sample_batch(packed, step=step, batch=3, size=24, seed=seed)

    assert batch(5, 1).shape == (3, 24, 24, 3)
    np.testing.assert_array_equal(batch(5, 1), batch(5, 1))
    assert (batch(5, 1) != batch(6, 1)).any()
    assert (batch(5, 1) != batch(5, 2)).any()


def test_a_batch_holds_crops_and_mirrored_crops() -> None:
    y, x = np.mgrid[:20, :20]
    packed = np.stack([np.stack([y, x, np.full_like(x, k)], axis=-1) for k in range(4)]).astype(np.uint8)
    batch = data.sample_batch(packed, step=0, batch=200, size=8, seed=0)
    mirrored = batch[:, 0, 0, 1] > batch[:, 0, 1, 1]
    assert 60 < mirrored.sum() < 140
    upright = np.where(mirrored[:, None, None, None], batch[:, :, ::-1], batch)
    for crop in upright:
        top, left, index = crop[0, 0]
        np.testing.assert_array_equal(crop, packed[index, top : top + 8, left : left + 8])
    assert set(upright[:, 0, 0, 0]) == set(upright[:, 0, 0, 1]) == set(range(13))


def test_validation_pictures_are_centred(pictures: Path, samples: "Samples") -> None:
    first, second = data.load_validation(pictures, 2, 64, max_side=256)
    np.testing.assert_array_equal(first, samples.photo(300, 280)[22:278, 12:268])
    assert second.shape == (256, 256, 3)
    assert len(data.load_validation(pictures, 1, 64)) == 1


def test_validation_pictures_must_be_large_enough(pictures: Path) -> None:
    with pytest.raises(RequestError, match=r"a\.png is smaller than 512x512"):
        data.load_validation(pictures, 1, 512)


def test_blocks_are_those_of_the_crops(samples: "Samples") -> None:
    packed = samples.noise(6, 20, 20, 3)
    blocks = data.blocks_of(packed, 8, 1000)
    expected = [crop[y : y + 8, x : x + 8] for crop in packed for y in (0, 8) for x in (0, 8)]
    np.testing.assert_array_equal(blocks, expected)
    assert len(data.blocks_of(packed, 8, 8)) == 8
