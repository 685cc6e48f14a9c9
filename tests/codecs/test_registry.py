"""Codecs by number: built-in ones, plugins, and plugins that do not work."""

# pyright: reportPrivateUsage=false

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from nicodec.codecs import registry
from nicodec.codecs.l3ic import L3ic
from nicodec.errors import ModelError

Plugins = Callable[..., None]


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch) -> Plugins:
    """Installs entry points, as pairs of name and value, beside those of the checkout."""

    def install(*pairs: tuple[str, str]) -> None:
        points = [EntryPoint(name, value, registry.GROUP) for name, value in pairs]
        monkeypatch.setattr(registry, "entry_points", lambda group: points)

    monkeypatch.setattr(registry, "_checkout_entry_points", lambda: [_BUILT_IN])
    monkeypatch.setattr(registry, "_entry_points", registry._entry_points.__wrapped__)
    return install


_BUILT_IN = EntryPoint("l3ic", "nicodec.codecs.l3ic:L3ic", registry.GROUP)


def test_finds_the_built_in_codec() -> None:
    codec = registry.codec_by_number(1)
    assert isinstance(codec, L3ic)
    assert codec.id == "l3ic"
    assert "l3ic" in registry.codec_ids()
    assert registry.broken_codecs() == {}


def test_unknown_number_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="codec number 254, which is not installed; update nicodec or add its plugin"):
        registry.codec_by_number(254)


def test_built_in_codecs_need_no_installation(plugins: Plugins) -> None:
    plugins()
    assert registry.codec_ids() == ("l3ic",)


def test_an_installed_codec_comes_before_the_checkout(plugins: Plugins) -> None:
    plugins(("l3ic", "nicodec.codecs.base:EncodeSettings"))
    assert registry.codec_ids() == ()
    assert list(registry.broken_codecs()) == ["l3ic"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("nicodec_no_such_module:Codec", "ModuleNotFoundError: No module named 'nicodec_no_such_module'"),
        ("nicodec.codecs.l3ic:NoSuchClass", "AttributeError: "),
        ("nicodec.codecs.tiling:Span", "TypeError: "),
        ("nicodec.codecs.base:EncodeSettings", "TypeError: nicodec.codecs.base:EncodeSettings is not a codec"),
    ],
)
def test_a_broken_plugin_does_not_break_the_others(plugins: Plugins, value: str, reason: str) -> None:
    plugins(("broken", value))
    assert registry.codec_by_number(1).id == "l3ic"
    broken = registry.broken_codecs()
    assert list(broken) == ["broken"]
    assert broken["broken"].startswith(reason)
    assert "\n" not in broken["broken"]


def test_loads_no_more_codecs_than_it_needs(plugins: Plugins, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []
    load = EntryPoint.load

    def recorded(point: EntryPoint) -> object:
        loaded.append(point.name)
        return load(point)

    monkeypatch.setattr(EntryPoint, "load", recorded)
    registry._load.cache_clear()
    plugins(("foreign", "nicodec_no_such_module:Codec"), ("another", "nicodec.codecs.tiling:Span"))
    for _ in range(2):
        assert registry.codec_by_number(1).id == "l3ic"
    assert loaded == ["l3ic"]
    with pytest.raises(ModelError, match="codec number 254"):
        registry.codec_by_number(254)
    assert loaded == ["l3ic", "another", "foreign"]
    assert set(registry.broken_codecs()) == {"foreign", "another"}
    assert len(loaded) == 3


def test_built_in_codecs_come_first(plugins: Plugins) -> None:
    plugins(("a", "foreign:Codec"), ("gdn", "nicodec.codecs.gdn:Gdn"), ("l3ic", "nicodec.codecs.l3ic:L3ic"))
    assert [point.name for point in registry._entry_points()] == ["l3ic", "gdn", "a"]


def test_entry_points_of_the_checkout_are_those_of_setup_cfg() -> None:
    points = registry._checkout_entry_points()
    assert all(point.group == registry.GROUP for point in points)
    assert {point.name for point in points} <= {point.name for point in registry._entry_points()}
