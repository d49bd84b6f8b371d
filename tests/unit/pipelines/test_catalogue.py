"""Which features there are, whose they are, and how fresh."""

import os
from pathlib import Path

import pandas as pd
import pytest

from factories.data import PROJECT, at, flight_spec
from nightshift.files import write_json
from nightshift.pipelines.catalogue import catalogue
from nightshift.pipelines.materialise import bring_online
from nightshift.profile.profile import Profile
from nightshift.settings import Settings
from nightshift.spec import Kind

NOW = at("2013-07-12 09:00")


def test_each_view_tells_its_owner_its_users_and_until_when_its_facts_go(tmp_path: Path) -> None:
    settings = Settings.load(project=PROJECT, state=tmp_path)
    before = {row["view"]: row for row in catalogue(settings, now=NOW)}

    bring_online(flight_spec(), settings, until=at("2013-07-12 06:00"))

    after = {row["view"]: row for row in catalogue(settings, now=NOW)}
    assert before["carrier_history"]["until"] is None
    assert after["carrier_history"] == {
        "view": "carrier_history",
        "version": 1,
        "entity": "carrier",
        "owner": "flights@example.org",
        "features": ["carrier_late_1d", "carrier_late_7d"],
        "models": ["arrival_minutes", "flight_delay"],
        "until": at("2013-07-12 06:00"),
        "stale": False,
        "statistics": {},
    }
    later = {row["view"]: row["stale"] for row in catalogue(settings, now=at("2013-07-12 09:01"))}
    assert (later["carrier_history"], later["aircraft"]) == (True, False), "the register of aircraft has no such limit"
    assert (after["flight_clock"]["entity"], after["flight_clock"]["until"]) == (None, None)


def test_without_a_repository_there_are_none(tmp_path: Path) -> None:
    assert catalogue(Settings.load(project=tmp_path), now=NOW) == []


def test_the_newest_profile_of_any_model_says_what_a_feature_was_last(tmp_path: Path) -> None:
    settings = Settings.load(project=PROJECT, state=tmp_path)
    kinds = {"carrier_late_1d": Kind.NUMERIC, "distance_band": Kind.CATEGORICAL}
    rows = pd.DataFrame({"carrier_late_1d": [0.1, 0.3, None, 0.5], "distance_band": ["short", None, None, None]})
    old, new = (Profile.of(part, kinds).to_json() for part in (rows.head(1), rows))
    write_json(tmp_path / "runs" / "flight_delay" / "build" / "a" / "profile.json", old)
    write_json(tmp_path / "runs" / "arrival_minutes" / "monitor" / "b" / "profile.json", {"format": 1, "inputs": new})
    os.utime(tmp_path / "runs" / "flight_delay" / "build" / "a" / "profile.json", (0, 0))

    found = {row["view"]: row["statistics"] for row in catalogue(settings, now=NOW)}

    run = "arrival_minutes/monitor/b"
    late = {"nulls": 0.25, "mean": pytest.approx(0.3), "lowest": 0.1, "highest": 0.5, "rows": 4, "run": run}
    assert found["carrier_history"] == {"carrier_late_1d": late}
    assert found["flight_clock"]["distance_band"]["nulls"] == 0.75
    assert found["flight_clock"]["distance_band"]["mean"] is None
