"""How a model's rows are made: a service, a query of its own, or they are ready."""

from pathlib import Path

import pytest

from factories.data import PROJECT, a_spec, flight_spec
from nightshift.data.tables import Views
from nightshift.errors import FeatureError
from nightshift.pipelines.recipe import recipe, service_of
from nightshift.settings import Settings


def test_a_query_beside_the_declarations_is_found(tmp_path: Path) -> None:
    settings = Settings.load(project=tmp_path)
    settings.features.mkdir(parents=True)
    before = recipe(a_spec(), settings)
    (settings.features / "rides.sql").write_text("SELECT 1")

    found = recipe(a_spec(), settings)

    assert before is None
    assert found == settings.features / "rides.sql"


def test_the_service_that_a_declaration_names_makes_its_rows() -> None:
    found = recipe(flight_spec(), Settings.load(project=PROJECT))

    assert isinstance(found, Views)
    assert "carrier_history" in found.queries


def test_a_service_that_nobody_declared_is_named_with_those_that_are() -> None:
    with pytest.raises(FeatureError, match=r"no feature service is called 'rides'; declared are: .*flight_delay"):
        service_of(a_spec(feature_service="rides"), Settings.load(project=PROJECT))
