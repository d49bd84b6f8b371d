"""Who waits for a verdict goes on, skips or waits by the newest one, and by nothing else."""

from datetime import timedelta
from pathlib import Path

import pytest

from factories.monitoring import ADA, enter, window
from factories.spec import a_spec
from factories.spine import a_day, a_ledger
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines import people
from nightshift.pipelines.outlook import Answer, Outlook, WaitsFor, outlook
from nightshift.verdict import Status

SPEC = a_spec(governor={"wanted": 2, "nights": 3})
DRIFT, NOT_BROKEN = WaitsFor.DRIFT, WaitsFor.NOT_BROKEN


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return a_ledger(tmp_path)


@pytest.mark.parametrize("waits_for", WaitsFor)
def test_without_a_verdict_everybody_waits(ledger: Ledger, waits_for: WaitsFor) -> None:
    found = outlook(ledger, SPEC, waits_for, None)

    assert found == Outlook(Answer.WAIT, "no window of bikes was judged yet")


@pytest.mark.parametrize(
    ("nights", "answer"),
    [
        ([Status.DRIFTED], Answer.SKIP),
        ([Status.DRIFTED, Status.DRIFTED], Answer.GO_ON),
        ([Status.DEGRADED, Status.HEALTHY, Status.DRIFTED], Answer.GO_ON),
        ([Status.DRIFTED, Status.HEALTHY, Status.HEALTHY, Status.DRIFTED], Answer.SKIP),
        ([Status.DRIFTED, Status.DRIFTED, Status.HEALTHY], Answer.SKIP),
        ([Status.DRIFTED, Status.DRIFTED, Status.BROKEN], Answer.SKIP),
        ([Status.DRIFTED, Status.DRIFTED, Status.UNKNOWN], Answer.SKIP),
    ],
)
def test_drift_is_what_the_policy_wants_of_the_last_windows(
    ledger: Ledger, nights: list[Status], answer: Answer
) -> None:
    for number, status in enumerate(nights):
        window(ledger, number, status)

    found = outlook(ledger, SPEC, DRIFT, None)

    assert (found.answer, found.verdict) == (answer, nights[-1])
    assert found.entry == ledger.windows("bikes")[-1].id


def test_the_illness_of_another_version_does_not_count(ledger: Ledger) -> None:
    window(ledger, 1, Status.DRIFTED, version="1")
    window(ledger, 2, Status.DRIFTED, version="2")

    assert outlook(ledger, SPEC, DRIFT, None).sentence.endswith("1 of the last 1 windows not healthy, 2 are wanted")


@pytest.mark.parametrize("waits_for", WaitsFor)
def test_a_window_that_ended_too_early_is_no_verdict(ledger: Ledger, waits_for: WaitsFor) -> None:
    window(ledger, 1)

    assert outlook(ledger, SPEC, waits_for, a_day(2)).answer is not Answer.WAIT
    late = outlook(ledger, SPEC, waits_for, a_day(2) + timedelta(seconds=1))
    assert (late.answer, late.entry) == (Answer.WAIT, None)


@pytest.mark.parametrize("status", [Status.HEALTHY, Status.DRIFTED, Status.DEGRADED, Status.UNKNOWN])
def test_who_only_cannot_work_with_broken_data_goes_on(ledger: Ledger, status: Status) -> None:
    window(ledger, 1, Status.BROKEN)
    window(ledger, 2, status)

    assert outlook(ledger, SPEC, NOT_BROKEN, None).answer is Answer.GO_ON


def test_broken_data_are_waited_out_until_a_person_releases_them(ledger: Ledger) -> None:
    window(ledger, 1, Status.BROKEN)
    enter(ledger, Kind.BLOCK, a_day(1), a_day(2), run="monitor/x", reasons=[])

    before = outlook(ledger, SPEC, NOT_BROKEN, None)
    people.release(ledger, SPEC, a_day(1), ADA)
    after = outlook(ledger, SPEC, NOT_BROKEN, None)

    assert (before.answer, after.answer) == (Answer.WAIT, Answer.GO_ON)
    assert "BROKEN: BROKEN says so" in before.sentence


def test_an_outlook_outlives_its_json(ledger: Ledger) -> None:
    window(ledger, 1, Status.DRIFTED)

    for found in (outlook(ledger, SPEC, DRIFT, None), outlook(ledger, SPEC, DRIFT, a_day(9))):
        assert Outlook.from_json(found.to_json()) == found
