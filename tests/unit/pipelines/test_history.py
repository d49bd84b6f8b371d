"""Who answered when is told from the ledger alone, and an alias that was moved past it is found."""

from pathlib import Path
from typing import Any

import pytest

from factories.spine import a_day, a_ledger
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines.history import reigns, stray


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return a_ledger(tmp_path)


def tell(ledger: Ledger, kind: Kind, day: int, **body: Any) -> None:
    ledger.append("bikes", kind, start=a_day(0), end=a_day(0), body=body, now=a_day(day))


def promote(ledger: Ledger, version: str, day: int, **body: Any) -> None:
    tell(ledger, Kind.PROMOTION, day, **{"version": version, "before": None, "run": f"build/{version}", **body})


def test_each_version_reigns_until_the_next(ledger: Ledger) -> None:
    promote(ledger, "1", 1, cause="night", reason="nightly build")
    promote(ledger, "2", 5, user="ada", reason="summer", before="1")
    promote(ledger, "1", 6, user="bob", reason="back", before="2")

    told = reigns(ledger.entries("bikes"))

    assert [(reign.version, reign.since, reign.until) for reign in told] == [
        ("1", a_day(1), a_day(5)), ("2", a_day(5), a_day(6)), ("1", a_day(6), None)
    ]  # fmt: skip
    assert [(reign.by, reign.reason, reign.before) for reign in told] == [
        ("night", "nightly build", None), ("ada", "summer", "1"), ("bob", "back", "2")
    ]  # fmt: skip


def test_a_reign_knows_its_newest_certificate(ledger: Ledger) -> None:
    promote(ledger, "1", 1)
    promote(ledger, "2", 2)
    tell(ledger, Kind.CERTIFICATE, 3, version="1", identical=False, first_difference="lock: recorded 1, rebuilt 2")
    tell(ledger, Kind.CERTIFICATE, 4, version="1", identical=True, first_difference=None)

    assert [reign.certificate for reign in reigns(ledger.entries("bikes"))] == ["identical", None]


def test_a_champion_that_the_ledger_was_never_told_of_is_told_by_the_next(ledger: Ledger) -> None:
    promote(ledger, "1", 1)
    promote(ledger, "3", 5, before="2")

    told = reigns(ledger.entries("bikes"))

    assert [(reign.version, reign.since, reign.until, reign.before) for reign in told] == [
        ("1", a_day(1), a_day(5), None), ("2", None, a_day(5), "1"), ("3", a_day(5), None, "2")
    ]  # fmt: skip
    assert "killed half way" in told[1].reason


def test_the_same_version_promoted_again_hides_no_champion(ledger: Ledger) -> None:
    promote(ledger, "1", 1)
    promote(ledger, "1", 2, before="1")

    assert [reign.version for reign in reigns(ledger.entries("bikes"))] == ["1", "1"]


def test_nothing_promoted_is_no_reign(ledger: Ledger) -> None:
    assert reigns(ledger.entries("bikes")) == []


@pytest.mark.parametrize(("champion", "agrees"), [("2", True), ("1", False), ("7", False), (None, False)])
def test_an_alias_that_was_moved_by_hand_is_found(ledger: Ledger, champion: str | None, agrees: bool) -> None:
    promote(ledger, "1", 1)
    promote(ledger, "2", 2)

    said = stray(ledger.entries("bikes"), champion)

    assert (said is None) == agrees
    assert agrees or "the ledger knows of version 2" in str(said)


def test_an_alias_without_any_promotion_is_found(ledger: Ledger) -> None:
    assert "no promotion" in str(stray([], "3"))
    assert stray([], None) is None
