"""Whoever asks why gets all of it: signals, verdict, decision, rule, because, and what was said and restated since."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from factories.monitoring import ADA, enter, helped, promotion, window
from factories.spec import a_spec
from factories.spine import DAY, a_check, a_day, a_ledger
from nightshift.errors import RequestError
from nightshift.governor import Trigger
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines import people
from nightshift.pipelines.why import explain, lines, window_at
from nightshift.verdict import Status

SIGNALS = {
    "drift": 0.25,
    "output_drift": 0.1,
    "columns": {"temperature": {"psi": 0.9, "effect": 0.2, "status": "DRIFTED"}},
    "labelled": 950,
    "coverage": 0.95,
    "realised": {"rmse": {"value": 3.0, "low": 2.5, "high": 3.5}},
    "estimated": {"rmse": {"value": 3.2, "low": 3.0, "high": 3.4}},
    "estimate_errors": {"rmse": 0.2},
}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return a_ledger(tmp_path)


def told(ledger: Ledger, number: int) -> str:
    entries = ledger.entries("bikes")
    return "\n".join(lines(explain(entries, window_at(entries, "bikes", a_day(number)))))


def test_signals_verdict_decision_rule_and_because_are_told(ledger: Ledger) -> None:
    warm = replace(a_check(Status.DRIFTED), sentence="temperature rose", observed=0.9, allowed=0.1, rows=1000)
    window(ledger, 3, checks=[warm], signals=SIGNALS, retrain=True, trigger=Trigger.DRIFT)

    page = told(ledger, 3)

    for words in (
        "bikes, 2013-01-04T00:00 to 2013-01-05T00:00: DRIFTED",
        "answered by version 1, 1,000 rows, judged by monitor/night-3",
        "drift 0.250, of the answers 0.100; PSI: temperature 0.90",
        "labels: 950 known, 95% of the mature cohort",
        "rmse realised: 3.0000 (2.5000 to 3.5000)",
        "rmse estimated: 3.2000 (3.0000 to 3.4000), was off by +0.2000 where labels are known",
        "DRIFTED  temperature: temperature rose",
        "observed 0.9, allowed 0.1, rows 1,000",
        "decision: retrain",
        "rule: retrain, asked for by: drift",
        "retrain: asked",
    ):
        assert words in page


def test_what_programs_get_is_json_and_holds_the_quiet_checks_too(ledger: Ledger) -> None:
    window(ledger, 3, checks=[a_check(Status.DRIFTED), a_check(subject="weather")])
    entries = ledger.entries("bikes")

    found = json.loads(json.dumps(explain(entries, window_at(entries, "bikes", a_day(3)))))

    assert [check["subject"] for check in found["reasons"]] == ["temperature"]
    assert [check["subject"] for check in found["checks"]] == ["temperature", "weather"]
    assert (found["verdict"], found["decision"], found["rule"]) == ("DRIFTED", "no retrain", "healthy")


def test_any_moment_of_a_window_names_it(ledger: Ledger) -> None:
    window(ledger, 3, days=7)
    entries = ledger.entries("bikes")

    assert window_at(entries, "bikes", a_day(3)) == window_at(entries, "bikes", a_day(10) - DAY / 24)


def test_a_day_that_was_not_judged_is_answered_with_the_nearest_that_were(ledger: Ledger) -> None:
    for number in (1, 2, 20, 40):
        window(ledger, number)

    with pytest.raises(RequestError, match="the nearest begin on: 2013-01-02, 2013-01-03, 2013-01-21"):
        window_at(ledger.entries("bikes"), "bikes", a_day(10))


def test_the_newest_judgement_is_told_and_the_old_ones_listed(ledger: Ledger) -> None:
    old = window(ledger, 3)
    restated = {"of": old.id, "was": "HEALTHY", "because": "12 more labels are known than when it was judged"}
    window(ledger, 3, Status.DEGRADED, restated=restated)

    page = told(ledger, 3)

    assert page.startswith("bikes, 2013-01-04T00:00 to 2013-01-05T00:00: DEGRADED")
    assert "judged more than once:" in page
    assert "HEALTHY\n" in page
    assert "DEGRADED, restated: 12 more labels are known than when it was judged" in page


def test_a_block_and_its_release_are_told(ledger: Ledger) -> None:
    window(ledger, 3, Status.BROKEN)
    enter(ledger, Kind.BLOCK, a_day(3), a_day(4), run="monitor/x", reasons=["speed is -1 in 30 % of rows"])
    before = told(ledger, 3)

    people.release(ledger, a_spec(), a_day(3), ADA)

    assert "its days are kept from training until: nightshift release bikes 2013-01-04" in before
    assert "kept from training" not in told(ledger, 3)
    assert "released by ada on 2013-04-11 00:00: she looked" in told(ledger, 3)


def test_what_came_of_a_retrain_is_told_with_it(ledger: Ledger) -> None:
    window(ledger, 3, Status.DRIFTED, retrain=True)
    promotion(ledger, 4, "2", before="1")
    helped(ledger, 4, "2", True)

    assert "since then: it was compared" in told(ledger, 3)


def test_entries_from_before_there_were_signals_are_told(ledger: Ledger) -> None:
    old = {"run": "monitor/x", "rows": 9, "version": None, "verdict": {"status": "UNKNOWN", "checks": []},
           "decision": {"retrain": False, "rule": "unknown", "sentence": "no retrain, because"}}  # fmt: skip
    enter(ledger, Kind.WINDOW, a_day(1), a_day(2), **old)

    assert told(ledger, 1).splitlines()[1].startswith("  answered by version –, 9 rows")
