"""What stands is read from the ledger alone, so that it outlives every process."""

from pathlib import Path

import pytest

from factories.monitoring import ADA, enter, helped, promotion, window
from factories.spec import a_spec
from factories.spine import DAY, a_day, a_ledger
from nightshift.governor import Retrain, Trigger
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines import people
from nightshift.pipelines.standing import blocked_days, blocks, quiets, reset, retrains, was_released, wish
from nightshift.verdict import Status

SPEC = a_spec()


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return a_ledger(tmp_path)


def block(ledger: Ledger, number: int, *, days: int = 1) -> None:
    enter(ledger, Kind.BLOCK, a_day(number), a_day(number) + days * DAY, run="monitor/x", reasons=["it is broken"])


# ---------------------------------------------------------------- blocks


def test_a_block_stands_until_a_person_releases_it(ledger: Ledger, tmp_path: Path) -> None:
    block(ledger, 3, days=2)
    block(ledger, 7)

    people.release(ledger, SPEC, a_day(4), ADA)

    entries = a_ledger(tmp_path).entries("bikes")  # another process
    assert [standing.start for standing in blocks(entries)] == [a_day(7)]
    assert was_released(entries, a_day(3), a_day(5))
    assert blocked_days(entries) == {a_day(7).date()}


def test_a_window_blocked_twice_is_one_block(ledger: Ledger) -> None:
    block(ledger, 3)
    block(ledger, 3)

    assert len(blocks(ledger.entries("bikes"))) == 1


def test_every_day_that_a_block_touches_is_kept_out(ledger: Ledger) -> None:
    enter(ledger, Kind.BLOCK, a_day(1) + DAY / 2, a_day(3) + DAY / 2, run="monitor/x", reasons=[])

    assert blocked_days(ledger.entries("bikes")) == {a_day(number).date() for number in (1, 2, 3)}


def test_a_block_that_ends_at_midnight_leaves_the_next_day_alone(ledger: Ledger) -> None:
    block(ledger, 1, days=2)

    assert blocked_days(ledger.entries("bikes")) == {a_day(1).date(), a_day(2).date()}


# ---------------------------------------------------------------- what came of retrains


def test_what_came_of_each_retrain_is_told(ledger: Ledger) -> None:
    for number in (1, 10, 20, 30, 40):
        window(ledger, number, Status.DRIFTED, retrain=True)
    promotion(ledger, 11, "2", before="1")
    helped(ledger, 11, "2", False)
    promotion(ledger, 21, "3", before="2")
    helped(ledger, 21, "3", None)
    helped(ledger, 21, "3", True)
    promotion(ledger, 31, "4", before="3")

    found = retrains(ledger.entries("bikes"), waiting=False)

    assert found == [
        Retrain(a_day(2), helped=False),  # nothing came of it
        Retrain(a_day(11), helped=False),
        Retrain(a_day(21), helped=True),  # the newest word counts
        Retrain(a_day(31), helped=None),  # later rows are not known yet
        Retrain(a_day(41), helped=False),
    ]


def test_a_retrain_that_waits_for_its_build_is_not_in_vain_yet(ledger: Ledger) -> None:
    for number in (1, 10):
        window(ledger, number, Status.DRIFTED, retrain=True)

    assert [one.helped for one in retrains(ledger.entries("bikes"), waiting=True)] == [False, None]


def test_a_window_judged_twice_asked_once(ledger: Ledger) -> None:
    window(ledger, 1, Status.DRIFTED, retrain=True)
    window(ledger, 1, Status.DEGRADED, retrain=True)

    assert len(retrains(ledger.entries("bikes"), waiting=False)) == 1


# ---------------------------------------------------------------- wishes and forgiveness


def test_a_wish_waits_until_it_is_met(ledger: Ledger) -> None:
    assert wish(ledger.entries("bikes")) is None
    people.wish(ledger, SPEC, ADA)
    window(ledger, 1, Status.BROKEN)
    window(ledger, 2, Status.DRIFTED, retrain=True, trigger=Trigger.DRIFT)

    waiting = wish(ledger.entries("bikes"))
    window(ledger, 3, retrain=True, trigger=Trigger.PERSON)

    assert waiting is not None
    assert waiting.body == {"by": "ada", "reason": "she looked"}
    assert wish(ledger.entries("bikes")) is None


def test_forgiveness_covers_what_was_asked_for_until_then(ledger: Ledger) -> None:
    window(ledger, 1, Status.DRIFTED, retrain=True)
    window(ledger, 5, Status.DRIFTED)

    people.reset(ledger, SPEC, ADA)

    assert reset(ledger.entries("bikes")) == a_day(2)


# ---------------------------------------------------------------- what is quiet


def test_a_snooze_holds_from_the_last_window_until_it_expires(ledger: Ledger) -> None:
    window(ledger, 10, Status.DRIFTED)

    people.snooze(ledger, SPEC, "weather", ADA, lasts=3 * DAY)

    entries = ledger.entries("bikes")
    assert [bool(quiets(entries, end=a_day(day))) for day in (10, 11, 14, 15)] == [False, True, True, False]
    assert quiets(entries, end=a_day(12))["weather"].words == "snoozed by ada until 2013-01-15: she looked"


def test_what_was_accepted_of_one_champion_is_asked_again_of_the_next(ledger: Ledger) -> None:
    window(ledger, 10, Status.DRIFTED)  # the check's subject is temperature
    people.accept(ledger, SPEC, "temperature", ADA, lasts=100 * DAY)
    people.snooze(ledger, SPEC, "weather", ADA, lasts=100 * DAY)
    before = quiets(ledger.entries("bikes"), end=a_day(12))

    promotion(ledger, 13, "2")

    assert set(before) == {"temperature", "weather"}
    assert set(quiets(ledger.entries("bikes"), end=a_day(20))) == {"weather"}


def test_the_newest_word_on_a_subject_counts(ledger: Ledger) -> None:
    window(ledger, 10, Status.DRIFTED)
    people.snooze(ledger, SPEC, "temperature", ADA, lasts=30 * DAY)
    people.accept(ledger, SPEC, "temperature", ADA, lasts=60 * DAY)

    (quiet,) = quiets(ledger.entries("bikes"), end=a_day(12)).values()

    assert quiet.levels == {"drift": None}
