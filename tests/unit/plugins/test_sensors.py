"""A sensor looks once and defers; its trigger asks until there is an answer, and is made again to the letter."""

import asyncio
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow.triggers.base import TriggerEvent

from factories.monitoring import window
from factories.spec import write_spec
from factories.spine import a_ledger
from nightshift.errors import SpecError, UnavailableError
from nightshift.ledger import Ledger
from nightshift.verdict import Status
from nightshift_airflow import triggers
from nightshift_airflow.links import LedgerLink
from nightshift_airflow.sensors import DriftSensor
from nightshift_airflow.triggers import DriftTrigger


@pytest.fixture
def ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    """The ledger of an installation that declares ``bikes``."""
    monkeypatch.setenv("NIGHTSHIFT_STATE", str(tmp_path))
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(write_spec(tmp_path / "specs").parent))
    return a_ledger(tmp_path)


def a_sensor(**more: Any) -> DriftSensor:
    with DAG("score_bikes", schedule=None):
        return DriftSensor(task_id="wait", model="bikes", **more)


def run(trigger: DriftTrigger) -> TriggerEvent:
    """Return the one event of a trigger."""

    async def all_of_it() -> list[TriggerEvent]:
        return [event async for event in trigger.run()]

    (event,) = asyncio.run(asyncio.wait_for(all_of_it(), timeout=60))
    return event


# ---------------------------------------------------------------- the sensor


def test_it_goes_on_at_once_when_the_policy_is_met(ledger: Ledger) -> None:
    window(ledger, 1, Status.DRIFTED)
    last = window(ledger, 2, Status.DRIFTED)

    found = a_sensor().execute({})

    assert found is not None
    assert (found["answer"], found["verdict"], found["entry"]) == ("go on", "DRIFTED", last.id)


def test_it_skips_at_once_when_the_newest_verdict_passes(ledger: Ledger) -> None:
    window(ledger, 1, Status.HEALTHY)

    with pytest.raises(AirflowSkipException, match="is HEALTHY"):
        a_sensor().execute({})


def test_without_a_verdict_it_defers_to_its_trigger_until_its_time_is_over(ledger: Ledger) -> None:
    sensor = a_sensor(at="2013-01-05", timeout=90, poke_interval=7)

    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute({})

    assert isinstance(deferred.value.trigger, DriftTrigger)
    assert deferred.value.trigger.serialize() == (
        "nightshift_airflow.triggers.DriftTrigger",
        {"model": "bikes", "waits_for": "drift", "at": "2013-01-05T00:00:00+00:00", "poll_seconds": 7.0},
    )
    assert (deferred.value.method_name, deferred.value.timeout) == ("execute_complete", timedelta(seconds=90))


def test_who_scores_waits_while_the_newest_verdict_is_broken(ledger: Ledger) -> None:
    sensor = a_sensor(waits_for="not broken")
    window(ledger, 1, Status.BROKEN)
    with pytest.raises(TaskDeferred):
        sensor.execute({})
    window(ledger, 2, Status.DRIFTED)

    assert sensor.execute({})["answer"] == "go on"  # type: ignore[index]


def test_a_ledger_that_is_away_is_left_to_the_trigger(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> dict[str, Any]:
        raise UnavailableError("the ledger did not answer")

    monkeypatch.setattr(triggers, "look", away)

    with pytest.raises(TaskDeferred):
        a_sensor().execute({})


@pytest.mark.parametrize(("soft_fail", "raised"), [(False, AirflowFailException), (True, AirflowSkipException)])
@pytest.mark.parametrize("wrong", [{"model": "bike"}, {"at": "soon"}], ids=str)
def test_what_no_waiting_mends_fails_at_once_or_is_skipped_softly(
    ledger: Ledger, wrong: dict[str, str], *, soft_fail: bool, raised: type[Exception]
) -> None:
    with DAG("score_bikes", schedule=None):
        sensor = DriftSensor(task_id="wait", soft_fail=soft_fail, **({"model": "bikes"} | wrong))  # type: ignore[arg-type]

    with pytest.raises(raised, match=r"did you mean 'bikes'|at is 'soon'"):
        sensor.execute({})


@pytest.mark.parametrize(("soft_fail", "raised"), [(False, AirflowSensorTimeout), (True, AirflowSkipException)])
def test_when_its_time_is_over_it_fails_or_is_skipped_softly(*, soft_fail: bool, raised: type[Exception]) -> None:
    sensor = a_sensor(soft_fail=soft_fail)

    with pytest.raises(raised):
        sensor.resume_execution("__fail__", {"error": "Trigger timeout"}, {})  # type: ignore[arg-type]


def test_what_the_trigger_found_is_what_the_task_returns(ledger: Ledger) -> None:
    found = {"answer": "go on", "sentence": "bikes is DRIFTED", "entry": 3, "verdict": "DRIFTED"}

    assert a_sensor().execute_complete({}, found) == found
    with pytest.raises(AirflowSkipException, match="bikes is HEALTHY"):
        a_sensor().execute_complete({}, found | {"answer": "skip", "sentence": "bikes is HEALTHY"})
    with pytest.raises(AirflowFailException, match="no model"):
        a_sensor().execute_complete({}, {"error": "no model is called so"})


def test_without_a_triggerer_it_may_hold_its_worker(ledger: Ledger) -> None:
    window(ledger, 1, Status.DRIFTED)
    window(ledger, 2, Status.DRIFTED)

    found = a_sensor(deferrable=False).execute({})

    assert found is not None
    assert found["answer"] == "go on"


def test_nobody_waits_for_what_there_is_not() -> None:
    with pytest.raises(ValueError, match="waits_for is 'rain'; give 'drift' or 'not broken'"):
        a_sensor(waits_for="rain")


def test_a_button_leads_to_the_entry(ledger: Ledger) -> None:
    sensor, link = a_sensor(), LedgerLink()
    before = link.get_link(sensor, ti_key=None)
    last = window(ledger, 1, Status.HEALTHY)

    with pytest.raises(AirflowSkipException):
        sensor.execute({})

    assert before == "/nightshift/models/bikes/ledger"
    assert link.get_link(sensor, ti_key=None) == f"/nightshift/models/bikes/ledger?before={last.id + 1}"


# ---------------------------------------------------------------- the trigger


def test_a_trigger_is_made_again_from_what_it_says_of_itself() -> None:
    trigger = DriftTrigger(model="bikes", waits_for="not broken", at="2013-01-05T00:00:00+00:00", poll_seconds=5)
    path, kept = trigger.serialize()

    assert (path, kept) == (
        f"{DriftTrigger.__module__}.{DriftTrigger.__qualname__}",
        {"model": "bikes", "waits_for": "not broken", "at": "2013-01-05T00:00:00+00:00", "poll_seconds": 5},
    )
    assert DriftTrigger(**kept).serialize() == trigger.serialize()


def test_a_trigger_asks_until_there_is_an_answer(ledger: Ledger) -> None:
    last = window(ledger, 1, Status.HEALTHY)

    event = run(DriftTrigger(model="bikes", waits_for="drift"))

    assert event.payload["answer"] == "skip"
    assert event.payload["entry"] == last.id


def test_it_asks_again_while_there_is_none_or_the_ledger_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[Any] = [UnavailableError("away"), {"answer": "wait"}, {"answer": "go on", "entry": 3}]

    def look(*_: Any) -> dict[str, Any]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    monkeypatch.setattr(triggers, "look", look)

    event = run(DriftTrigger(model="bikes", waits_for="drift", poll_seconds=0))

    assert (event.payload, answers) == ({"answer": "go on", "entry": 3}, [])


def test_what_no_later_question_mends_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: Any) -> dict[str, Any]:
        raise SpecError("no model is called bikes")

    monkeypatch.setattr(triggers, "look", gone)

    assert run(DriftTrigger(model="bikes", waits_for="drift")).payload == {"error": "no model is called bikes"}


def test_asking_never_holds_the_loop_of_all_triggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The question takes as long as the loop needs to turn a hundred times; it would wait for ever if it held it."""
    turned = threading.Event()

    def slow(*_: Any) -> dict[str, Any]:
        assert turned.wait(timeout=30), "the loop stood still meanwhile"
        return {"answer": "go on", "entry": 1}

    async def both() -> None:
        async def turn() -> None:
            for _ in range(100):
                await asyncio.sleep(0)
            turned.set()

        asked = asyncio.ensure_future(anext(aiter(DriftTrigger(model="bikes", waits_for="drift").run())))
        await asyncio.gather(asked, turn())

    monkeypatch.setattr(triggers, "look", slow)
    began = time.monotonic()

    asyncio.run(both())

    assert time.monotonic() - began < 30
