"""setup.cfg says what is there: packages, data, entry points."""

from configparser import ConfigParser
from importlib import import_module
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from nicodec.codecs import registry

ROOT = Path(__file__).parents[1]
NO_PACKAGES = {"tests", "build", "dist", "runs", "demo-out"}


def config() -> ConfigParser:
    parser = ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def packages() -> list[str]:
    return config().get("options", "packages").split()


def folder_of(package: str) -> Path:
    return ROOT.joinpath(*package.split(".")[1:])


def entry_points(group: str) -> list[EntryPoint]:
    lines = config().get("options.entry_points", group).strip().splitlines()
    return [
        EntryPoint(name.strip(), value.strip(), group) for name, _, value in (line.partition("=") for line in lines)
    ]


def test_every_folder_of_modules_is_a_package() -> None:
    modules = [path.relative_to(ROOT) for path in ROOT.rglob("*.py")]
    folders = {path.parent for path in modules if not set(path.parts) & NO_PACKAGES and not _is_hidden(path)}
    assert sorted(packages()) == sorted(".".join(("nicodec", *folder.parts)) for folder in folders)


def _is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


def test_every_data_pattern_finds_something() -> None:
    """Weights may be absent from a checkout, but not from one that is released; see the codec tests."""
    for package, patterns in config().items("options.package_data"):
        for pattern in patterns.split():
            if not pattern.startswith("weights/"):
                assert list(folder_of(package).glob(pattern)), f"{package}: {pattern}"


@pytest.mark.parametrize("group", ["console_scripts", registry.GROUP])
def test_every_entry_point_loads(group: str) -> None:
    points = entry_points(group)
    assert points
    for point in points:
        assert callable(point.load())


def test_every_codec_is_registered() -> None:
    registered = {point.value for point in entry_points(registry.GROUP)}
    modules = [import_module(f"nicodec.codecs.{path.stem}") for path in (ROOT / "codecs").glob("*.py")]
    codecs = {
        f"{module.__name__}:{name}"
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type)
        and value.__module__ == module.__name__
        and isinstance(getattr(value, "number", None), int)
    }
    assert codecs == registered


def test_codec_numbers_and_ids_are_unique() -> None:
    codecs = [point.load() for point in entry_points(registry.GROUP)]
    assert len({codec.number for codec in codecs}) == len({codec.id for codec in codecs}) == len(codecs)
