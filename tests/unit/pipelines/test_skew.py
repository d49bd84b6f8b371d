"""Real flights, answered by keys from definitions with a bug in them: the window is BROKEN, and the bug has a name."""

import json
import shutil
from collections.abc import Callable
from datetime import timedelta
from functools import cache, cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pandas as pd
import pytest

from factories.data import PROJECT, at
from factories.model import PROFILE, pack
from nightshift.demo.replay import callers_entities
from nightshift.features.declared import FILE, load_service
from nightshift.features.online import micros, open_online
from nightshift.pipelines.materialise import bring_online
from nightshift.pipelines.request import Asked, MonitorRequest
from nightshift.pipelines.skew import skew
from nightshift.pipelines.work import Work
from nightshift.registry import ModelRegistry
from nightshift.runs import RunFolder
from nightshift.serving.lookup import Lookup
from nightshift.settings import Settings
from nightshift.spec import find_spec
from nightshift.verdict import Check, Status, judge_window

MODEL = "arrival_minutes"
START, END = at("2013-07-08"), at("2013-07-10")
LATER = micros(at("2026-01-01"))


class OneRelease(ModelRegistry):
    """A registry whose every version is a package that learned from the definitions as they are."""

    def __init__(self) -> None:
        """Ask no server."""

    def fetch(self, model: str, version: str) -> Path:
        return _package()


class Watching(Work):
    @cached_property
    def registry(self) -> ModelRegistry:
        return OneRelease()


@cache
def _package() -> Path:
    made = load_service(PROJECT / "include" / "features", MODEL).to_json()
    folder = Path(mkdtemp()) / "package"
    pack(folder, profile={**PROFILE, "features": made})
    return folder


@pytest.fixture
def served(tmp_path: Path) -> Settings:
    """Return what serving has: a copy of the feature repository, to plant a bug in."""
    for name in ("specs", "features", "sources"):
        shutil.copytree(PROJECT / "include" / name, tmp_path / "include" / name)
    return Settings.load(project=tmp_path, state=tmp_path / "served")


def window_of(served: Settings, *, stale_since: timedelta | None = None) -> pd.DataFrame:
    """Return what a window's answers were made from, asked by keys of what ``served`` means by its features."""
    spec = find_spec(served.specs, MODEL)
    bring_online(spec, served, since=START, until=END - (stale_since or timedelta(0)))
    service = load_service(served.features, MODEL)
    lookup = Lookup(
        service, open_online(served.online), key=spec.key, time=spec.time.column, known_before=spec.time.known_before
    )
    asked = callers_entities(spec, served, start=START, end=END)
    entities: list[dict[str, Any]] = json.loads(asked.to_json(orient="records", date_format="iso", date_unit="us"))
    rows = pd.DataFrame([row for row, _ in lookup.rows(entities, LATER)])
    return rows[[spec.key, *spec.features]].rename(columns={spec.key: "key"})


def judged(rows: pd.DataFrame, folder: Path) -> list[Check]:
    """Return what the monitor's step says of a window with these rows."""
    settings = Settings.load(project=PROJECT, state=folder / "watched")
    spec = find_spec(settings.specs, MODEL)
    run = RunFolder.of(settings.runs, model=MODEL, pipeline="monitor", run_id="x")
    work = Watching(spec, run, settings)
    run.begin(MonitorRequest.from_asked(spec, Asked.by_person(now=END, start=START, end=END)).to_json())
    run.write("window.json", {"format": 1, "version": "1", "judged": len(rows), "rows": len(rows)})
    rows.to_parquet(run.file("window.parquet"))
    skew(work)
    return [Check.from_json(check) for check in run.read("skew.json")["checks"]]


def plant(file: str, before: str, after: str) -> Callable[[Settings], None]:
    def bug(served: Settings) -> None:
        path = served.features / file
        assert before in path.read_text()
        path.write_text(path.read_text().replace(before, after))

    return bug


@pytest.mark.parametrize(
    ("bug", "column", "name"),
    [
        (
            plant("origin_weather.sql", "visib AS", "visib * 1.609344 AS"),
            "visibility",
            "1.609 times as much: another unit",
        ),
        (
            plant("flight_clock.py", "America/New_York", "UTC"),
            "departure_hour",
            "+4 hours on the clock: another time zone",
        ),
    ],
)
def test_a_bug_in_a_definition_is_broken_and_named(
    served: Settings, tmp_path: Path, bug: Callable[[Settings], None], column: str, name: str
) -> None:
    bug(served)

    checks = {check.subject: check for check in judged(window_of(served), tmp_path)}

    assert checks[column].status is Status.BROKEN
    assert name in checks[column].sentence
    assert judge_window(list(checks.values())).status is Status.BROKEN


def test_views_that_stand_still_are_broken_and_named(served: Settings, tmp_path: Path) -> None:
    plant(FILE, "    stale_after: 3h\n", "")(served)  # so that nobody notices

    checks = {check.subject: check for check in judged(window_of(served, stale_since=timedelta(hours=30)), tmp_path)}

    for column in ("visibility", "origin_delay_3h", "carrier_late_1d", "route_minutes_7d"):
        assert checks[column].status is Status.BROKEN
        assert "the view is stale online" in checks[column].sentence, checks[column].sentence


def test_nothing_is_found_where_serving_means_the_same(served: Settings, tmp_path: Path) -> None:
    (check,) = judged(window_of(served), tmp_path)

    assert (check.status, check.observed) == (Status.HEALTHY, 0.0)
    assert check.rows is not None
    assert check.rows > 1800
