"""People hear once of views that stale online, and of their end."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from factories.data import PROJECT, at
from factories.sinks import a_channel
from nightshift.features.declared import load_service
from nightshift.features.online import micros, online_name, open_online
from nightshift.pipelines.alarms import watch
from nightshift.pipelines.freshness import stale_views, untils_of
from nightshift.settings import Settings

MODEL = "arrival_minutes"
NOON = at("2013-07-12 12:00")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return an installation that declares one model with a feature service, and tells ``ops``."""
    include = tmp_path / "include"
    shutil.copytree(PROJECT / "include" / "features", include / "features")
    include.joinpath("specs").mkdir()
    declared = (PROJECT / "include" / "specs" / f"{MODEL}.yaml").read_text()
    (include / "specs" / f"{MODEL}.yaml").write_text(declared + "alerts: [ops]\n")
    return Settings.load(project=tmp_path, state=tmp_path / "state")


def bring(settings: Settings, until: datetime, *, but: str = "") -> None:
    """Let the views' facts go up to ``until``; which facts does not matter here."""
    service, online = load_service(settings.features, MODEL), open_online(settings.online)
    for view in service.views:
        if view != but:
            online.put(online_name(service, view), [], after=-1, until=micros(until))
    online.close()


def test_the_watch_tells_once_of_stale_views_and_of_their_end(settings: Settings) -> None:
    with a_channel() as (url, heard):
        before = watch(settings, now=NOON, address=lambda _: url)
        bring(settings, NOON)
        said = [watch(settings, now=NOON + timedelta(minutes=m), address=lambda _: url) for m in (180, 181, 196)]
        bring(settings, NOON + timedelta(hours=3))
        after = watch(settings, now=NOON + timedelta(minutes=200), address=lambda _: url)

    assert (before, said[0], said[2]) == ([], [], []), "nothing was ever online, then fresh, then known already"
    assert said[1] == [f"{MODEL}: told ops (opened)"]
    assert after == [f"{MODEL}: told ops (resolved)"]
    assert heard[0]["title"] == f"{MODEL}: 4 of 5 views are stale online (opened)"
    assert "facts of route_history end at 2013-07-12 12:00 UTC, longer ago than 3:00:00" in heard[0]["message"]
    assert "aircraft" not in heard[0]["message"]


def test_a_source_that_has_ended_is_never_stale(settings: Settings) -> None:
    bring(settings, NOON)

    assert watch(settings, now=at("2014-06-01"), address=lambda _: None) == []


def test_a_view_that_was_left_out_is_stale_where_others_are_there(settings: Settings) -> None:
    bring(settings, NOON, but="route_history")
    service, online = load_service(settings.features, MODEL), open_online(settings.online)

    found = stale_views(service, untils_of(service, online), now=NOON)

    assert found == ["route_history was never put online by its present definition"]
