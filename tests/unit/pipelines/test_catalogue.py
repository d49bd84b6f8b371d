"""Which features there are, whose they are, and how fresh."""

from pathlib import Path

from factories.data import PROJECT, at, flight_spec
from nightshift.pipelines.catalogue import catalogue
from nightshift.pipelines.materialise import bring_online
from nightshift.settings import Settings


def test_each_view_tells_its_owner_its_users_and_until_when_its_facts_go(tmp_path: Path) -> None:
    settings = Settings.load(project=PROJECT, online=f"sqlite:///{tmp_path / 'online.db'}")
    before = {row["view"]: row for row in catalogue(settings)}

    bring_online(flight_spec(), settings, until=at("2013-07-12 06:00"))

    after = {row["view"]: row for row in catalogue(settings)}
    assert before["carrier_history"]["until"] is None
    assert after["carrier_history"] == {
        "view": "carrier_history",
        "version": 1,
        "entity": "carrier",
        "owner": "flights@example.org",
        "features": ["carrier_late_1d", "carrier_late_7d"],
        "models": ["arrival_minutes", "flight_delay"],
        "until": at("2013-07-12 06:00"),
    }
    assert (after["flight_clock"]["entity"], after["flight_clock"]["until"]) == (None, None)


def test_without_a_repository_there_are_none(tmp_path: Path) -> None:
    assert catalogue(Settings.load(project=tmp_path)) == []
