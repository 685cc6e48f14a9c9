"""The decode benchmark: what it runs, what it compares with, what it refuses."""

import re
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner

from nicodec.bitstream import container
from nicodec.codecs.base import EncodeSettings
from nicodec.codecs.registry import codec_by_number
from nicodec.errors import ModelError, RequestError
from nicodec.evaluation import decode_speed, timing
from nicodec.evaluation.__main__ import main
from nicodec.evaluation.synthetic import photo
from nicodec.images import Picture
from nicodec.models import zoo
from nicodec.models.zoo import Model

TIME = r"(\d+\.\d{3}) s"


def test_both_profiles_stand_beside_a_product(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode_speed, "SIZES", ((96, 64),))
    result = CliRunner().invoke(main, ["decode-speed", "--model", model.id, "--threads", "1"])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert len(lines) == 4
    rates: list[float] = []
    for line, profile in ((lines[0], "without"), (lines[2], "with")):
        pattern = rf"{model.id} decode 96x64 {profile} context +{TIME}, entropy {TIME}, network {TIME}, (\d+\.\d\d) bpp"
        found = re.fullmatch(pattern, line)
        assert found is not None, line
        rates.append(float(found[4]))
    assert rates[0] != rates[1]
    giga = model.card["kmac_per_pixel"]["decode"] * 96 * 64 / 1e6
    for line in lines[1::2]:
        assert re.fullmatch(rf"  matrix product of {giga:.2f} GMAC +{TIME}, decode takes \d+\.\d\d times that", line)


def test_parts_are_parts_of_decoding(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """In processor time, which other processes do not lengthen."""
    monkeypatch.setattr("time.perf_counter", time.process_time)
    picture = Picture(pixels=photo(192, 128))
    data = container.write(codec_by_number(model.codec).encode(picture, model, EncodeSettings(effort=1)))
    times = decode_speed.times_here(model, data, 1e8, 1, runs=5)
    assert min(times.entropy, times.network, times.product) > 0
    assert times.decode > max(times.entropy, times.network) / 2


def test_the_product_has_as_many_operations(monkeypatch: pytest.MonkeyPatch) -> None:
    model = replace(zoo.find("l3ic-16c"), card={"kmac_per_pixel": {"encode": 1.0, "decode": 6.5}})
    assert decode_speed.operations(model, "decode", 100) == 650_000
    assert decode_speed.operations(model, "encode", 100) == 100_000
    sides: list[tuple[int, ...]] = []
    monkeypatch.setattr("numpy.matmul", lambda one, other, out: sides.extend((one.shape, other.shape, out.shape)))
    decode_speed.product_time(1e6, runs=1)
    assert set(sides) == {(100, 100)}


@pytest.mark.parametrize("costs", [None, {}, {"decode": "few"}, {"decode": 0}])
def test_cards_without_operations_are_refused(costs: object) -> None:
    model = replace(zoo.find("l3ic-16c"), card={"kmac_per_pixel": costs})
    with pytest.raises(ModelError, match="no usable kmac_per_pixel"):
        decode_speed.measure(model, 96, 64, 1, runs=1)


def test_more_threads_than_cores_are_refused() -> None:
    with pytest.raises(RequestError, match="give fewer --threads"):
        decode_speed.measure(zoo.find("l3ic-16c"), 96, 64, timing.usable_cores() + 1, runs=1)


def test_an_unknown_model_is_one_line() -> None:
    result = CliRunner().invoke(main, ["decode-speed", "--model", "shallow-no-layer"])
    assert result.exit_code == 1
    assert result.stderr.startswith("error: no model 'shallow-no-layer' is installed")


def test_models_with_levels_have_a_benchmark_of_their_own(gru: Model) -> None:
    with pytest.raises(RequestError, match="measure it with level-speed"):
        decode_speed.measure(gru, 96, 64, 1, runs=1)
