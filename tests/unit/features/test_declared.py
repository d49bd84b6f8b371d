"""What the feature repository declares, and what of it makes another feature."""

import shutil
from pathlib import Path

import pytest

from factories.data import PROJECT
from nightshift.errors import FeatureError
from nightshift.features.declared import FILE, load_service

EXAMPLE = PROJECT / "include" / "features"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of the example's repository."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "features", ignore=shutil.ignore_patterns("__pycache__")))


def edit(folder: Path, before: str, after: str, *, file: str = FILE) -> None:
    text = (folder / file).read_text()
    assert before in text
    (folder / file).write_text(text.replace(before, after, 1))


def test_a_service_knows_its_keys_its_request_and_its_features() -> None:
    service = load_service(EXAMPLE, "flight_delay")

    assert service.keys == ("origin", "dest", "carrier", "tailnum")
    assert set(service.request) == {"scheduled_departure", "scheduled_arrival", "distance"}
    assert {"weekday", "carrier_late_1d", "plane_age"} <= service.features


@pytest.mark.parametrize(
    ("file", "before", "after"),
    [
        (FILE, "ttl: 12h", "ttl: 13h"),
        (FILE, "      humidity: percent\n", ""),
        (FILE, "entity: dest", "entity: carrier"),
        ("carrier_history.sql", "1 DAY", "2 DAYS"),
        ("flight_clock.py", "clock.isoweekday()", "clock.weekday()"),
    ],
)
def test_whatever_changes_a_feature_changes_the_digest(folder: Path, file: str, before: str, after: str) -> None:
    known = load_service(folder, "flight_delay").digest

    edit(folder, before, after, file=file)

    assert load_service(folder, "flight_delay").digest != known


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("team: operations research", "team: another"),
        ("visibility: miles", "visibility: in miles"),
        ("stale_after: 3h", "stale_after: 4h"),
    ],
)
def test_prose_owners_and_alarms_change_no_digest(folder: Path, before: str, after: str) -> None:
    known = load_service(folder, "flight_delay").digest

    edit(folder, before, after)

    assert load_service(folder, "flight_delay").digest == known


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("    entity: dest\n", "    entity: town\n", "views.dest_history.entity names town; declared are origin, dest"),
        ("carrier_history, aircraft]", "carrier_story, aircraft]", "names carrier_story, which nothing declares"),
        ("dest_late_7d:", "carrier_late_7d:", "dest_history too; a name has one meaning"),
        ("    ttl: 12h", "    tll: 12h", r"features.yaml:\d+: views.origin_weather.tll"),
        ("version: 1", "version: one", r"features.yaml:\d+: views.origin_weather.version"),
    ],
)
def test_a_wrong_repository_is_told_where(folder: Path, before: str, after: str, message: str) -> None:
    edit(folder, before, after)

    with pytest.raises(FeatureError, match=message):
        load_service(folder, "flight_delay")


def test_a_query_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "aircraft.sql").unlink()

    with pytest.raises(FeatureError, match=r"service flight_delay needs aircraft\.sql"):
        load_service(folder, "flight_delay")
