"""What an operator says by a form is one entry of the ledger, with a name and a reason, however often it is tried."""

from pathlib import Path
from typing import Any

import pytest

from factories.monitoring import enter, window
from factories.spec import a_spec
from factories.spine import a_check, a_day, a_run
from nightshift.errors import RequestError
from nightshift.ledger import Kind
from nightshift.pipelines.operate import operate
from nightshift.pipelines.operate_request import Action, OperateRequest
from nightshift.pipelines.request import Asked
from nightshift.pipelines.standing import pause_words
from nightshift.pipelines.work import Work
from nightshift.settings import Settings
from nightshift.verdict import Status

SPEC = a_spec(monitor={"segments": ["weather"]})


def asked(user: str | None = "ada", **form: Any) -> Asked:
    return Asked.by_person(now=a_day(9), user=user, **{"reason": "she looked", **form})


def request(**form: Any) -> OperateRequest:
    return OperateRequest.from_asked(SPEC, asked(**form))


@pytest.fixture
def work(tmp_path: Path) -> Work:
    """A model whose last window was BROKEN, and is blocked."""
    work = Work(SPEC, a_run(tmp_path / "runs", pipeline="operate"), Settings.load(state=tmp_path))
    window(work.ledger, 3, checks=[a_check(Status.BROKEN)])
    enter(work.ledger, Kind.BLOCK, a_day(3), a_day(4), run="monitor/x", reasons=[])
    return work


SAID = [
    ({"action": "accept", "subject": "temperature"}, Kind.ACCEPTANCE),
    ({"action": "snooze", "subject": "weather = wet", "lasts": "2w"}, Kind.SNOOZE),
    ({"action": "release", "day": "2013-01-04"}, Kind.RELEASE),
    ({"action": "retrain"}, Kind.WISH),
    ({"action": "reset"}, Kind.RESET),
]


@pytest.mark.parametrize(("form", "kind"), SAID, ids=lambda case: str(case))
def test_a_form_filled_in_is_one_entry_with_who_and_why(work: Work, form: dict[str, Any], kind: Kind) -> None:
    work.run.begin(request(**form).to_json())

    first, again = operate(work), operate(work)

    (entry,) = work.ledger.entries("bikes", kind)
    assert (entry.body["by"], entry.body["reason"], entry.body["run"]) == ("ada", "she looked", work.holder)
    assert first == again
    assert "by ada: she looked" in first.note


def test_every_action_can_be_said() -> None:
    assert {form["action"] for form, _ in SAID} == set(Action)


@pytest.mark.parametrize(("form", "_"), SAID, ids=lambda case: str(case))
def test_a_request_outlives_its_file(form: dict[str, Any], _: Kind) -> None:
    said = request(**form)

    assert OperateRequest.from_json(said.to_json()) == said


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"action": "dance"}, "action is 'dance'; known are: accept, snooze, release, retrain, reset"),
        ({}, "action is ''; known are"),
        ({"action": "retrain", "reason": " "}, "reason is empty"),
        ({"action": "accept"}, "subject is empty; accept needs it"),
        ({"action": "release", "day": None}, "day is empty; release needs it"),
        ({"action": "release", "day": "soon"}, "day is 'soon'; give a moment"),
        ({"action": "release", "day": "2013-01-04", "subject": "weather"}, "subject is 'weather', which release does"),
        ({"action": "snooze", "subject": "weather", "lasts": "long"}, "lasts is 'long'; give a number and a unit"),
        ({"action": "snooze", "subject": "weather", "lasts": "0d"}, "lasts is no time at all"),
        ({"action": "reset", "why": "x"}, "the form has a field 'why'"),
    ],
)
def test_a_form_that_makes_no_sense_is_refused_with_what_would(form: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        request(**form)


def test_nobody_operates_without_a_name() -> None:
    with pytest.raises(RequestError, match="nobody is named"):
        OperateRequest.from_asked(SPEC, asked(user=None, action="reset"))


def test_what_makes_no_sense_now_changes_nothing(work: Work) -> None:
    work.run.begin(request(action="release", day="2013-02-01").to_json())

    with pytest.raises(RequestError, match="nothing of bikes is blocked"):
        operate(work)

    assert work.ledger.entries("bikes", Kind.RELEASE) == []


def test_a_pause_says_since_when_by_whom_and_why(work: Work) -> None:
    enter(work.ledger, Kind.PAUSE, a_day(5), a_day(5), user="ada", reason="it is odd", version="1")

    assert pause_words(work.ledger.entries("bikes")) == "since 2013-01-06 01:00 by ada: it is odd"


def test_without_a_pause_there_is_nothing_to_say(work: Work) -> None:
    assert pause_words(work.ledger.entries("bikes")) is None
