"""A model of each codec."""

import pytest

from nicodec.errors import ModelMissingError
from nicodec.models import zoo
from nicodec.models.zoo import Model


@pytest.fixture(params=["l3ic", pytest.param("shallow", marks=pytest.mark.train)])
def model(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Model:
    """The fastest l3ic model, and an untrained shallow one, the only one that commands then find."""
    if request.param == "l3ic":
        return zoo.find("l3ic-16c")
    untrained: Model = request.getfixturevalue("small_shallow")
    monkeypatch.setattr(zoo, "_PACKAGED", untrained.folder / "absent")
    monkeypatch.setenv(zoo.ENVIRONMENT_VARIABLE, str(untrained.folder.parents[1]))
    return untrained


@pytest.fixture
def gru() -> Model:
    """The progressive model."""
    try:
        return zoo.find("residual-gru")
    except ModelMissingError as error:
        pytest.skip(str(error))
