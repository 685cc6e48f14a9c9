"""The benchmark of levels: what it times, what it compares with, what it refuses."""

from dataclasses import replace

import pytest

from nicodec import api, images
from nicodec.errors import ModelError, RequestError
from nicodec.evaluation import level_speed, timing
from nicodec.evaluation.synthetic import photo
from nicodec.models import zoo
from nicodec.models.zoo import Model


def test_times_stand_beside_products_of_as_many_operations(gru: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(gru, card={**gru.card, "kmac_per_pixel": {"encode": 5.0, "decode": 3.0}})
    products: list[float] = []

    def product_time(macs: float, runs: int) -> float:
        products.append(macs)
        return macs * 1e-9

    monkeypatch.setattr(level_speed, "product_time", product_time)
    found = level_speed.times_here(model, (96, 64), (0, 5), 1, runs=1)
    pixels = 96 * 64
    assert products == [3000 * pixels]
    data = api.encode(images.Picture(pixels=photo(96, 64)), model=gru)
    for times, level in zip(found, (0, 5), strict=True):
        assert times.level == level
        assert times.bpp == 8 * len(api.truncate(data, level)) / pixels
        # The last level is coded, but not decoded while encoding.
        assert times.encode_product == pytest.approx((5000 * (level + 1) - 3000) * pixels * 1e-9)
        assert times.decode_product == pytest.approx(3000 * (level + 1) * pixels * 1e-9)
        assert min(times.encode, times.decode, times.entropy) > 0


def test_a_process_of_its_own_gives_the_levels_asked_for(gru: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(level_speed, "SIZE", (64, 32))
    found = level_speed.measure(gru, (1, 3), 1, runs=1)
    data = api.encode(images.Picture(pixels=photo(64, 32)), model=gru)
    expected = [(level, 8 * len(api.truncate(data, level)) / (64 * 32)) for level in (1, 3)]
    assert [(times.level, times.bpp) for times in found] == expected
    assert all(min(times.encode, times.decode, times.entropy, times.decode_product) > 0 for times in found)


def test_what_cannot_be_measured_is_refused(gru: Model) -> None:
    with pytest.raises(RequestError, match="give fewer --threads"):
        level_speed.measure(gru, (0,), timing.usable_cores() + 1)
    with pytest.raises(RequestError, match="has no level 16"):
        level_speed.measure(gru, (0, 16), 1)
    with pytest.raises(RequestError, match="l3ic-16c has no levels"):
        level_speed.measure(zoo.find("l3ic-16c"), (0,), 1)
    with pytest.raises(ModelError, match="no usable kmac_per_pixel for encode"):
        level_speed.measure(replace(gru, card={**gru.card, "kmac_per_pixel": {"decode": 1.0}}), (0,), 1)
