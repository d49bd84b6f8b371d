"""A second declaration, a regression that shares views with the first, goes through the very steps of a build."""

from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import pandas as pd
import pytest

from factories.data import PROJECT, at, flight_source
from nightshift.features.declared import load_service
from nightshift.files import read_json
from nightshift.lineage.data import DatasetVersion
from nightshift.pipelines.rebuild import NoReleases
from nightshift.pipelines.request import Asked
from nightshift.pipelines.steps import STEPS, begin, find_step
from nightshift.pipelines.work import Work
from nightshift.registry import ModelRegistry
from nightshift.runs import RunFolder
from nightshift.settings import Settings
from nightshift.spec import ModelSpec, find_spec

MODEL = "arrival_minutes"
AS_OF = at("2013-07-10")
UNTIL = list(STEPS["build"]).index("register")


class Unregistered(Work):
    """A build's work without MLflow, which takes half a minute to start; all else is real."""

    @cached_property
    def registry(self) -> ModelRegistry:
        return NoReleases(self.settings.mlflow, self.settings.releases)


def smaller(spec: ModelSpec) -> ModelSpec:
    """Return the declaration with three weeks to learn from."""
    days = spec.split.model_copy(
        update={"train": timedelta(days=14), "validation": timedelta(days=4), "test": timedelta(days=4)}
    )
    return spec.model_copy(
        update={
            "split": days,
            "time": spec.time.model_copy(update={"first": date(2013, 6, 8)}),
            "training": spec.training.model_copy(update={"rounds": 40}),
        }
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Work:
    settings = Settings.load(project=PROJECT, state=tmp_path_factory.mktemp("state"))
    spec = smaller(find_spec(settings.specs, MODEL))
    folder = RunFolder.of(settings.runs, model=MODEL, pipeline="build", run_id="once")
    work = Unregistered(spec, folder, settings)
    begin("build", work, Asked.by_person(now=datetime.now(UTC), as_of=AS_OF.isoformat(), allow_unreproducible=True))
    for name in list(STEPS["build"])[:UNTIL]:
        find_step("build", name)(work)
    return work


def test_a_regression_on_shared_views_is_built_judged_and_put_online(built: Work) -> None:
    assert built.run.read("verdict.json")["status"] == "PASS", built.run.read("verdict.json")
    assert built.run.read("evaluation.json")["metrics"].keys() == {"rmse", "mae", "r2"}
    assert built.run.file("package").is_dir()


def test_the_version_of_the_splits_names_the_definitions_they_were_made_by(built: Work) -> None:
    service = load_service(built.settings.features, MODEL)
    pinned = DatasetVersion.from_json(built.run.read("split.json")["pinned"])

    fetched = built.data.fetch(pinned, built.run.path.parent / "again")

    assert read_json(fetched / "features.json")["digest"] == service.digest
    assert built.run.read("lineage.json")["features"] == service.digest


def test_two_models_share_the_very_same_views(built: Work) -> None:
    ours, other = (load_service(built.settings.features, name).digests for name in (MODEL, "flight_delay"))

    shared = ours.keys() & other.keys()

    assert {"origin_weather", "origin_history", "carrier_history", "flight_clock"} <= shared
    assert {name: ours[name] for name in shared} == {name: other[name] for name in shared}
    assert "route_history" in ours.keys() - other.keys()


def test_the_history_of_a_route_is_what_had_become_known_by_then(built: Work) -> None:
    rows = pd.read_parquet(built.run.file("table.parquet")).set_index("flight_id").sample(40, random_state=3)
    flights = flight_source().extract(AS_OF - timedelta(days=40), AS_OF)["flights"].set_index("flight_id")

    for name, row in rows.iterrows():
        moment = row["scheduled_departure"] - timedelta(hours=2)
        known = flights[
            (flights["route"] == flights.at[name, "route"])
            & (flights["known_at"] <= moment)
            & (flights["known_at"] > moment - timedelta(days=7))
        ]
        minutes = known["arrival_minutes"].clip(-60, 180).mean()
        assert row["route_minutes_7d"] == pytest.approx(minutes, nan_ok=True)
        assert row["route_flights_7d"] == len(known)
