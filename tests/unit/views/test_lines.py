"""Every kind of entry is told in words."""

from pathlib import Path
from typing import Any

import pytest

from factories.monitoring import enter, promotion, window
from factories.spine import a_day, a_ledger
from nightshift.ledger import Kind
from nightshift.verdict import Status
from nightshift.views.lines import line_of

PERSON = {"by": "ada", "reason": "she looked"}
BODIES: dict[Kind, dict[str, Any]] = {
    Kind.BUILD: {"run": "build/x", "version": None, "verdict": {"status": "FAIL", "checks": []}, "why": "auc is 0.5"},
    Kind.CERTIFICATE: {
        "version": "1",
        "identical": False,
        "first_difference": "data",
        "user": "ada",
        "reason": "audit",
    },
    Kind.BLOCK: {"run": "monitor/x", "reasons": ["nulls", "a sentinel"]},
    Kind.RELEASE: PERSON,
    Kind.HELP: {"version": "2", "helped": None, "sentence": "nobody can say yet"},
    Kind.ACCEPTANCE: {**PERSON, "subject": "wind", "levels": {}},
    Kind.SNOOZE: {**PERSON, "subject": "wind"},
    Kind.WISH: PERSON,
    Kind.RESET: PERSON,
    Kind.PAUSE: {"run": "promote/x", "user": "ada", "reason": "odd"},
    Kind.RESUME: {"run": "promote/y", "user": "ada", "reason": "fine"},
}


@pytest.mark.parametrize("kind", BODIES)
def test_an_entry_says_what_and_because_of_what(kind: Kind, tmp_path: Path) -> None:
    entry = enter(a_ledger(tmp_path), kind, a_day(1), a_day(2), **BODIES[kind])

    line = line_of(entry)

    assert line.kind is kind
    assert line.about == "2 Jan 2013"
    assert line.what
    assert line.because


def test_a_persons_word_has_a_name(tmp_path: Path) -> None:
    paused = enter(a_ledger(tmp_path), Kind.PAUSE, a_day(1), a_day(1), **BODIES[Kind.PAUSE])

    assert (line_of(paused).by, line_of(paused).about) == ("ada", "")


def test_a_window_is_told_by_its_verdict_and_its_decision(tmp_path: Path) -> None:
    line = line_of(window(a_ledger(tmp_path), 1, Status.DRIFTED))

    assert (line.status, line.what, line.because) == ("DRIFTED", "DRIFTED says so", "no retrain, because of a test")


def test_a_window_that_was_judged_again_says_because_of_what(tmp_path: Path) -> None:
    line = line_of(window(a_ledger(tmp_path), 1, restated={"because": "labels came in"}))

    assert line.what.startswith("judged again, because labels came in: ")


def test_a_promotion_says_who_answered_before(tmp_path: Path) -> None:
    assert line_of(promotion(a_ledger(tmp_path), 1, "2", before="1")).what == "version 2 went live, after version 1"
