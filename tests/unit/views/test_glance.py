"""All models on one page: whoever needs a person comes first, and the reason is said."""

from pathlib import Path

import pytest

from factories.monitoring import enter, promotion, window
from factories.page import some_settings
from factories.spine import a_day, add_window
from nightshift.ledger import Kind
from nightshift.predictions.pinned import Pinned, note
from nightshift.settings import Settings
from nightshift.verdict import Status
from nightshift.views.glance import Glance, glances
from nightshift.views.reading import LedgerReader


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return some_settings(tmp_path)


@pytest.fixture
def ledger(settings: Settings) -> LedgerReader:
    return LedgerReader(settings.ledger)


def only(settings: Settings, ledger: LedgerReader) -> Glance:
    (found,) = glances(settings, ledger)
    return found


def test_a_declared_model_without_a_past_is_there_and_asks_for_nobody(settings: Settings, ledger: LedgerReader) -> None:
    found = only(settings, ledger)

    assert (found.name, found.last, found.champion, found.asks) == ("bikes", None, None, "")


def test_a_model_shows_who_answers_and_its_last_window(settings: Settings, ledger: LedgerReader) -> None:
    promotion(ledger, 1, "1")
    promotion(ledger, 40, "2", before="1")
    for day in range(41, 50):
        window(ledger, day)

    found = only(settings, ledger)

    assert found.champion is not None
    assert (found.champion.version, found.built_as_of) == ("2", a_day(40))
    assert found.last is not None
    assert (found.last.start, found.asks) == (a_day(49), "")


def test_a_version_that_a_person_brought_back_learned_when_it_was_built(
    settings: Settings, ledger: LedgerReader
) -> None:
    promotion(ledger, 1, "1")
    promotion(ledger, 40, "2", before="1")
    enter(ledger, Kind.PROMOTION, a_day(50), a_day(50), version="1", before="2", run="promote/x", by_hand=True)

    assert only(settings, ledger).built_as_of == a_day(1)


@pytest.mark.parametrize("status", [Status.DRIFTED, Status.DEGRADED, Status.BROKEN, Status.UNKNOWN])
def test_a_model_that_is_not_healthy_asks_for_a_person(
    settings: Settings, ledger: LedgerReader, status: Status
) -> None:
    window(ledger, 1, status)

    assert only(settings, ledger).asks == f"is {status}"


def test_days_that_wait_ask_for_a_person_until_they_are_released(settings: Settings, ledger: LedgerReader) -> None:
    enter(ledger, Kind.BLOCK, a_day(1), a_day(2), run="monitor/x", reasons=["nulls"])
    window(ledger, 3)
    before = only(settings, ledger).asks

    enter(ledger, Kind.RELEASE, a_day(1), a_day(2), by="ada", reason="mended", block=1)

    assert (before, only(settings, ledger).asks) == ("keeps 1 window from training", "")


def test_a_pause_asks_for_a_person(settings: Settings, ledger: LedgerReader) -> None:
    enter(ledger, Kind.PAUSE, a_day(1), a_day(1), run="promote/x", user="ada", reason="odd")

    assert only(settings, ledger).asks == "promotes nothing by itself"


def test_a_pin_asks_for_a_person_until_it_ends(settings: Settings, ledger: LedgerReader) -> None:
    (name,) = (one.name for one in glances(settings, ledger))
    note(settings.predictions / name, Pinned("1", "ada", "2 refuses rain", a_day(2)))
    pinned = only(settings, ledger)
    note(settings.predictions / name, None)

    assert pinned.asks == "answers with version 1, which is pinned"
    assert pinned.pinned is not None
    assert pinned.pinned.by == "ada"
    assert only(settings, ledger).asks == ""


def test_a_pin_is_not_hidden_by_what_else_asks(settings: Settings, ledger: LedgerReader) -> None:
    (name,) = (one.name for one in glances(settings, ledger))
    note(settings.predictions / name, Pinned("1", "ada", "2 refuses rain", a_day(2)))
    enter(ledger, Kind.PAUSE, a_day(1), a_day(1), run="promote/x", user="ada", reason="odd")

    assert only(settings, ledger).asks == "answers with version 1, which is pinned, promotes nothing by itself"


def test_the_worst_comes_first_and_a_forgotten_model_is_not_forgotten(settings: Settings, ledger: LedgerReader) -> None:
    for name, status in (("well", "HEALTHY"), ("drifting", "DRIFTED"), ("broken", "BROKEN")):
        body = window(ledger, 1, Status(status)).body
        add_window(ledger, 1, body, model=name)

    found = glances(settings, ledger)

    # the last of bikes' own windows says BROKEN as well
    assert [one.name for one in found] == ["bikes", "broken", "drifting", "well"]
    assert [one.is_declared for one in found] == [True, False, False, False]
