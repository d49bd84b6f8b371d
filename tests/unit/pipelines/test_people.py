"""People's words are kept with who and why; what makes no sense is refused with what would."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from factories.monitoring import ADA, enter, window
from factories.spec import a_spec
from factories.spine import DAY, a_check, a_day, a_ledger
from nightshift.errors import RequestError
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines import people
from nightshift.verdict import Status

SPEC = a_spec(monitor={"segments": ["weather"], "limits": {"performance": {"rmse": 1.0}}})
WEEK = timedelta(days=7)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return a_ledger(tmp_path)


@pytest.mark.parametrize("word", [{"by": " "}, {"reason": ""}])
def test_nobody_says_anything_without_a_name_and_a_reason(word: dict[str, str]) -> None:
    with pytest.raises(RequestError, match="is empty; say who you are and why"):
        replace(ADA, **word)


def test_a_release_says_who_why_and_which_block(ledger: Ledger) -> None:
    block = enter(ledger, Kind.BLOCK, a_day(3), a_day(10), run="monitor/x", reasons=[])

    (entry,) = people.release(ledger, SPEC, a_day(9), ADA)

    assert (entry.kind, entry.start, entry.end, entry.at) == (Kind.RELEASE, a_day(3), a_day(10), ADA.at)
    assert entry.body == {"by": "ada", "reason": "she looked", "block": block.id}


def test_what_is_not_blocked_cannot_be_released(ledger: Ledger) -> None:
    enter(ledger, Kind.BLOCK, a_day(3), a_day(10), run="monitor/x", reasons=[])

    with pytest.raises(RequestError, match=r"nothing of bikes is blocked on 2013-01-11 .* windows from: 2013-01-04"):
        people.release(ledger, SPEC, a_day(10), ADA)


def test_accepting_remembers_how_far_each_check_was_beyond_what_is_allowed(ledger: Ledger) -> None:
    drift = replace(a_check(Status.DRIFTED), observed=0.4, allowed=0.1)
    names = replace(a_check(Status.BROKEN, name="type"), observed="text", allowed="number")
    window(ledger, 1, checks=[drift, names, a_check(Status.DRIFTED, subject="weather")])

    entry = people.accept(ledger, SPEC, "temperature", ADA, lasts=WEEK)

    assert entry.body["levels"] == {"drift": pytest.approx(0.3), "type": None}
    assert (entry.start, entry.end) == (a_day(1), a_day(2) + WEEK)


def test_a_segment_is_accepted_by_its_own_checks(ledger: Ledger) -> None:
    check = replace(a_check(Status.DRIFTED, name="output drift", subject="weather = wet"), observed=0.9, allowed=0.5)
    sick = {"weather = wet": {"rows": 300, "status": "DRIFTED", "why": "moved", "checks": [check.to_json()]}}
    window(ledger, 1, segments=sick)

    entry = people.accept(ledger, SPEC, "weather = wet", ADA, lasts=WEEK)

    assert entry.body["levels"] == {"output drift": pytest.approx(0.4)}


def test_what_is_fine_need_not_be_accepted(ledger: Ledger) -> None:
    window(ledger, 1, Status.DRIFTED)

    with pytest.raises(RequestError, match=r"says nothing against weather.*; what speaks: temperature"):
        people.accept(ledger, SPEC, "weather", ADA, lasts=WEEK)


@pytest.mark.parametrize("subject", ["temperature", "rmse", "weather = wet", "output", "rows"])
def test_columns_metrics_and_segments_can_be_snoozed(ledger: Ledger, subject: str) -> None:
    window(ledger, 1)

    assert people.snooze(ledger, SPEC, subject, ADA, lasts=DAY).body["subject"] == subject


@pytest.mark.parametrize(
    ("subject", "hint"),
    [
        ("temprature", "did you mean 'temperature'"),
        ("xyz", "known are: temperature, weather, rmse, mae, output"),
        ("zone = east", "is no segment of bikes; monitor.segments declares: weather"),
    ],
)
def test_what_no_check_speaks_of_is_refused_with_what_was_meant(ledger: Ledger, subject: str, hint: str) -> None:
    window(ledger, 1)

    with pytest.raises(RequestError, match=hint):
        people.snooze(ledger, SPEC, subject, ADA, lasts=DAY)


def test_before_the_first_window_there_is_nothing_to_answer_for(ledger: Ledger) -> None:
    with pytest.raises(RequestError, match="no window of bikes was judged yet"):
        people.snooze(ledger, SPEC, "weather", ADA, lasts=DAY)
