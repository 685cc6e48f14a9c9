"""The installed models: codec tests run on the weights that users get."""

import pytest

from nicodec.models import zoo
from nicodec.models.zoo import Model


def _newest_of_each() -> dict[str, Model]:
    return {model.id: model for model in reversed(zoo.installed())}


@pytest.fixture(scope="session", params=sorted(_newest_of_each()) or ["none"])
def any_model(request: pytest.FixtureRequest) -> Model:
    """Every installed model in turn, its newest revision."""
    return zoo.find(request.param)


@pytest.fixture(scope="session")
def model() -> Model:
    """The fastest installed model."""
    models = _newest_of_each().values()
    if not models:
        pytest.fail("no model is installed")
    return min(models, key=lambda candidate: candidate.number)
