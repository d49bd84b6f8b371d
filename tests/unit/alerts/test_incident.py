"""One message for one incident: opened, updated, worse, resolved; everything else is kept quiet and counted."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.sinks import a_channel
from factories.spine import a_day
from nightshift.alerts import Level, Report, Told, open_incidents, tell
from nightshift.errors import SettingsError
from nightshift.spec import Alerts

HOUR = timedelta(hours=1)
POLICY = Alerts(channels=("log",), cooldown="12h", remind="6d")  # type: ignore[arg-type]
SICK = Report(
    "bikes",
    "nights",
    Level.NOTICE,
    "bikes: DRIFTED",
    key="temperature",
    at=a_day(10),
    facts=("temperature moved",),
    since=a_day(8),
    of=a_day(9),
    decided="no retrain, because 1 of 3",
    to_do=("look at the weather",),
    links=(("Ledger", "http://here/ledger"),),
)


class People:
    """Somebody who is told; ``told`` are the titles of what came."""

    def __init__(self, folder: Path, policy: Alerts = POLICY) -> None:
        self.folder, self.policy = folder, policy
        self.told: list[str] = []

    def hear(self, report: Report = SICK, *, after: timedelta = timedelta(0), **changes: Any) -> Told:
        came = tell(replace(report, at=report.at + after, **changes), self.policy, folder=self.folder)
        if came.alert:
            self.told.append(came.alert.title.removeprefix("bikes: "))
        return came


@pytest.fixture
def people(tmp_path: Path) -> People:
    return People(tmp_path)


def test_a_message_says_what_since_when_how_bad_what_was_decided_and_what_to_do(people: People) -> None:
    told = people.hear()

    assert told.alert is not None
    assert (told.sentence, told.alert.title) == ("told log (opened)", "bikes: DRIFTED (opened)")
    assert told.alert.text.splitlines() == [
        "How bad: to know; it can wait for the next working day.",
        "- temperature moved",
        "Since: 2013-01-09 00:00",
        "Decided: no retrain, because 1 of 3.",
        "To do: look at the weather",
        "Ledger: http://here/ledger",
    ]


def test_what_people_know_is_told_again_only_as_a_reminder(people: People) -> None:
    people.hear()
    for night in range(1, 6):
        people.hear(after=24 * HOUR * night)

    reminder = people.hear(after=24 * HOUR * 6)

    assert people.told == ["DRIFTED (opened)", "DRIFTED (still open)"]
    assert reminder.alert is not None
    assert "Message 2 since 2013-01-11 00:00 UTC, 5 more in between said nothing new" in reminder.alert.text


def test_other_reasons_wait_for_the_cooldown_and_worse_ones_for_nothing(people: People) -> None:
    people.hear()
    people.hear(after=HOUR, key="wind")
    people.hear(after=12 * HOUR, key="wind")
    people.hear(after=13 * HOUR, key="rain", level=Level.URGENT, title="bikes: BROKEN")

    assert people.told == ["DRIFTED (opened)", "DRIFTED (updated)", "BROKEN (worse)"]


def test_the_end_is_told_once_and_what_comes_later_is_another_incident(people: People) -> None:
    well = replace(SICK, level=Level.FINE, title="bikes: HEALTHY", key="", facts=())
    people.hear(well)
    people.hear()
    people.hear(well, after=HOUR)
    people.hear(well, after=2 * HOUR)
    people.hear(after=3 * HOUR, since=a_day(12))

    assert people.told == ["DRIFTED (opened)", "HEALTHY (resolved)", "DRIFTED (opened)"]


def test_nobody_is_told_of_an_earlier_moment_than_the_last(people: People) -> None:
    people.hear()

    old = people.hear(after=HOUR, of=a_day(3), level=Level.FINE)
    older = people.hear(after=2 * HOUR, of=a_day(3), level=Level.URGENT)

    assert people.told == ["DRIFTED (opened)"]
    assert old == older == Told("a later moment was told of already")


def test_two_things_are_two_incidents(people: People) -> None:
    people.hear()
    people.hear(thing="alias", title="bikes: moved")

    assert people.told == ["DRIFTED (opened)", "moved (opened)"]


def test_in_quiet_hours_only_what_is_urgent_is_told(tmp_path: Path) -> None:
    night = Alerts(channels=("ops",), quiet={"start": "22:00", "end": "07:00", "zone": "Europe/Berlin"})  # type: ignore[arg-type]
    report = replace(SICK, at=datetime(2026, 1, 1, 23, tzinfo=UTC))
    with a_channel() as (address, heard):
        held = tell(report, night, folder=tmp_path, address=lambda _: address)
        worse = replace(report, level=Level.URGENT, title="bikes: BROKEN")
        urgent = tell(worse, night, folder=tmp_path, address=lambda _: address)
        morning = replace(worse, at=datetime(2026, 1, 2, 6, tzinfo=UTC))
        tell(morning, night, folder=tmp_path, address=lambda _: address)

    assert held.sentence == "told nobody (opened); ops after the quiet hours"
    assert urgent.sentence == "told ops (worse)"
    assert [message["title"] for message in heard] == ["bikes: BROKEN (worse)", "bikes: DRIFTED (opened)"]


def test_a_sink_that_is_down_gets_it_later_and_nobody_is_told_twice(tmp_path: Path) -> None:
    policy = Alerts(channels=("ops",))
    down = tell(SICK, policy, folder=tmp_path, address=lambda _: "json://127.0.0.1:1")

    with a_channel() as (address, heard):
        for hour in (1, 2):
            tell(replace(SICK, at=SICK.at + hour * HOUR), policy, folder=tmp_path, address=lambda _: address)

    assert down.sentence == "told nobody (opened); ops did not take it"
    assert [message["title"] for message in heard] == ["bikes: DRIFTED (opened)"]


def test_a_channel_without_an_address_makes_no_second_message_to_the_others(tmp_path: Path) -> None:
    policy = Alerts(channels=("ops", "pager"))
    with a_channel() as (address, heard):
        addresses = {"ops": address}
        with pytest.raises(SettingsError, match="make an Airflow connection called nightshift_pager"):
            tell(SICK, policy, folder=tmp_path, address=addresses.get)

        again = tell(replace(SICK, at=SICK.at + HOUR), policy, folder=tmp_path, address=addresses.get)

    assert (again.alert, len(heard)) == (None, 1)


@given(st.lists(st.tuples(st.sampled_from(Level), st.sampled_from("ab"), st.integers(0, 200)), max_size=15))
def test_people_hear_openings_and_ends_in_turn_whatever_comes(
    tmp_path_factory: pytest.TempPathFactory, reports: list[tuple[Level, str, int]]
) -> None:
    people = People(tmp_path_factory.mktemp("people"))
    hours = 0
    for level, key, more in reports:
        hours += more
        people.hear(after=hours * HOUR, level=level, key=key, of=a_day(9) + hours * HOUR)

    turns = [title.rpartition(" (")[2] for title in people.told if title.endswith(("(opened)", "(resolved)"))]
    assert turns == (["opened)", "resolved)"] * len(turns))[: len(turns)]


def test_what_is_not_over_can_be_looked_up_with_the_words_that_were_told(people: People) -> None:
    people.hear()
    people.hear(thing="late run", title="bikes: late", level=Level.SERIOUS, after=HOUR)
    people.hear(model="trikes", title="trikes: DRIFTED")
    people.hear(thing="gaps")
    people.hear(thing="gaps", level=Level.FINE, after=HOUR)

    found = open_incidents(people.folder, "bikes")

    assert list(found) == ["nights", "late run"]
    assert found["nights"].facts == ("temperature moved",)
    assert found["nights"].to_do == ("look at the weather",)
    assert (found["late run"].title, found["late run"].level) == ("bikes: late", Level.SERIOUS)


def test_a_file_of_an_incident_that_cannot_be_read_hides_no_other(people: People) -> None:
    people.hear()
    (people.folder / "incidents" / "bikes.torn.json").write_text('{"format": 1, "lev')

    assert list(open_incidents(people.folder, "bikes")) == ["nights"]
    assert open_incidents(people.folder, "nobody") == {}
