"""A step's outcome in Airflow's words: green, skipped, stopped, failed for good, or tried again."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DownstreamTasksSkipped

from nightshift.errors import DataRegistryBusyError, NightshiftError, ReturnToSenderError, UnavailableError
from nightshift.pipelines import steps
from nightshift.pipelines.work import Outcome, Then
from nightshift.runs import folder_name
from nightshift_airflow.operators import StepOperator

ASSET = Asset(name="bikes/champion", uri="nightshift://bikes/champion")
ASKED_AT = datetime(2013, 6, 1, 14, 30, tzinfo=UTC)


@dataclass
class Xcom:
    """What a task says to later ones."""

    said: dict[str, Any] = field(default_factory=dict)
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 3

    def xcom_push(self, key: str, value: Any) -> None:
        self.said[key] = value


def a_dag() -> DAG:
    """Return three steps, one after the other, and one beside them."""
    with DAG("build_bikes", schedule=None) as dag:
        first, second, third = (
            StepOperator(task_id=name, model="bikes", pipeline="build") for name in ("split", "train", "package")
        )
        first >> second >> third
        StepOperator(task_id="beside", model="bikes", pipeline="build", announces=ASSET)
    return dag


def a_task(name: str) -> Any:
    return a_dag().get_task(name)


def a_context(task: Any, **run: Any) -> dict[str, Any]:
    """Return what Airflow gives a task of a run that somebody started by hand."""
    usual = {
        "run_after": ASKED_AT, "run_type": "manual", "data_interval_start": None, "data_interval_end": None,
        "triggering_user_name": "ops",
    }  # fmt: skip
    return {
        "task": task,
        "ti": Xcom(),
        "run_id": "manual__1",
        "params": {"as_of": "2013-05-01"},
        "dag_run": SimpleNamespace(**usual | run),
        "triggering_asset_events": {},
        "outlet_events": {ASSET: SimpleNamespace(extra=None)},
    }


@pytest.fixture
def comes(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Say what the step's run comes to; return how it was called."""

    def put(came: Outcome | Exception) -> list[Any]:
        calls: list[Any] = []

        def run_step(*words: Any, **named: Any) -> Outcome:
            calls.append((words, named))
            if isinstance(came, Exception):
                raise came
            return came

        monkeypatch.setattr(steps, "run_step", run_step)
        return calls

    return put


def run(task_id: str, **dag_run: Any) -> tuple[Any, dict[str, Any]]:
    """Execute one task of ``a_dag`` and return what it returned, with its context."""
    task = a_task(task_id)
    context = a_context(task, **dag_run)
    return task.execute(context), context


# ---------------------------------------------------------------- outcomes


def test_a_step_that_went_well_returns_its_sentence(comes: Any) -> None:
    comes(Outcome("1,000 rows"))

    sentence, context = run("split")

    assert sentence == "1,000 rows"
    assert context["ti"].said == {}


def test_what_the_run_is_to_be_remembered_by_is_left_for_the_scheduler(comes: Any) -> None:
    comes(Outcome("1,000 rows", note="**HEALTHY**: nothing to report"))

    _, context = run("split")

    assert context["ti"].said == {"note": "**HEALTHY**: nothing to report"}


def test_a_step_that_stops_is_green_keeps_its_sentence_and_skips_all_after_it_and_nothing_beside(comes: Any) -> None:
    comes(Outcome("already built", Then.STOP))
    task = a_task("split")
    context = a_context(task)

    with pytest.raises(DownstreamTasksSkipped) as skipped:
        task.execute(context)

    assert set(skipped.value.tasks) == {"train", "package"}
    assert context["ti"].said["return_value"] == "already built"


def test_a_last_step_that_stops_is_green(comes: Any) -> None:
    comes(Outcome("nothing left", Then.STOP))

    assert run("package")[0] == "nothing left"


def test_a_step_with_nothing_to_do_is_skipped_and_tells_no_asset(comes: Any) -> None:
    comes(Outcome("nothing goes live", Then.SKIP))

    with pytest.raises(AirflowSkipException, match="nothing goes live"):
        run("beside")


def test_an_event_is_what_the_asset_carries(comes: Any) -> None:
    comes(Outcome("Lock 'n' load!", event={"version": "7"}))

    _, context = run("beside")

    assert context["outlet_events"][ASSET].extra == {"version": "7"}


def test_without_an_event_the_asset_carries_nothing(comes: Any) -> None:
    comes(Outcome("done"))

    _, context = run("beside")

    assert context["outlet_events"][ASSET].extra is None


def test_only_a_step_that_announces_has_an_outlet() -> None:
    dag = a_dag()

    assert {task.task_id: task.outlets for task in dag.tasks if task.outlets} == {"beside": [ASSET]}


@pytest.mark.parametrize("error", [NightshiftError("spec is wrong"), ReturnToSenderError(["dirty tree"])], ids=repr)
def test_what_no_second_try_can_mend_fails_at_once_with_its_reason(comes: Any, error: Exception) -> None:
    comes(error)

    with pytest.raises(AirflowFailException) as failed:
        run("split")

    assert str(failed.value) == str(error)
    assert failed.value.__cause__ is error


@pytest.mark.parametrize(
    "error", [UnavailableError("away"), DataRegistryBusyError("busy"), OSError("disk"), MemoryError()], ids=repr
)
def test_what_may_heal_is_left_to_airflow_to_try_again(comes: Any, error: Exception) -> None:
    comes(error)

    with pytest.raises(type(error)) as raised:
        run("split")

    assert raised.value is error


# ---------------------------------------------------------------- what a step is told


def test_a_step_is_told_which_run_it_is_and_what_was_asked(comes: Any) -> None:
    calls = comes(Outcome("done"))

    run("split")

    ((words, named),) = calls
    assert words == ("build", "split")
    assert (named["model"], named["run_id"]) == ("bikes", "manual__1")
    assert named["asked"] == {
        "form": {"as_of": "2013-05-01"},
        "events": [],
        "interval": [None, None],
        "run_after": "2013-06-01T14:30:00+00:00",
        "run_type": "manual",
        "user": "ops",
    }


@pytest.mark.parametrize(("try_number", "is_last"), [(1, False), (3, False), (4, True)])
def test_a_step_is_told_whether_it_is_tried_again(comes: Any, try_number: int, *, is_last: bool) -> None:
    calls = comes(Outcome("done"))
    task = a_task("split")

    task.execute(a_context(task) | {"ti": Xcom(try_number=try_number, max_tries=3)})

    ((_, named),) = calls
    assert named["is_last_try"] is is_last


def test_a_night_tells_its_interval(comes: Any) -> None:
    calls = comes(Outcome("done"))
    night = {
        "data_interval_start": datetime(2013, 5, 1, tzinfo=UTC),
        "data_interval_end": datetime(2013, 5, 2, tzinfo=UTC),
    }

    run("split", run_type=SimpleNamespace(value="scheduled"), triggering_user_name=None, **night)

    asked = calls[0][1]["asked"]
    assert asked["interval"] == ["2013-05-01T00:00:00+00:00", "2013-05-02T00:00:00+00:00"]
    assert (asked["run_type"], asked["user"]) == ("scheduled", None)


def test_events_are_told_by_what_they_carry_in_the_order_they_came(comes: Any) -> None:
    calls = comes(Outcome("done"))
    task = a_task("split")
    events = [SimpleNamespace(extra={"as_of": moment}) for moment in ("2013-05-01", "2013-06-01")]
    context = a_context(task) | {"triggering_asset_events": {ASSET: events}}

    task.execute(context)

    assert calls[0][1]["asked"]["events"] == [{"as_of": "2013-05-01"}, {"as_of": "2013-06-01"}]


def test_no_field_of_a_step_is_a_template() -> None:
    assert all(list(task.template_fields) == [] for task in a_dag().tasks)


def test_the_step_that_writes_data_docs_has_a_button_that_leads_there() -> None:
    with DAG("monitor_bikes", schedule=None):
        validate, compare = (
            StepOperator(task_id=name, model="bikes", pipeline="monitor") for name in ("validate", "compare")
        )

    (link,) = validate.operator_extra_links
    key = SimpleNamespace(run_id="scheduled__2013-06-01T00:00:00+00:00")
    folder = folder_name(key.run_id)

    assert link.name == "Data Docs"
    assert link.get_link(validate, ti_key=key) == f"/nightshift/models/bikes/runs/monitor/{folder}/docs"
    assert list(compare.operator_extra_links) == []
