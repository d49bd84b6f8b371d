"""A yes goes on, a no and silence end the run green, and what does not count is asked for again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import AirflowException, DownstreamTasksSkipped

from nightshift.pipelines import approval, steps, telling
from nightshift.pipelines.approval import Response, Said
from nightshift.pipelines.work import Outcome
from nightshift.spec import Approval
from nightshift_airflow.approval import ApprovalOperator
from nightshift_airflow.operators import StepOperator


class Ti:
    """What a task says to later ones."""

    map_index = -1

    def __init__(self) -> None:
        self.said: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.said[key] = value


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[Response]:
    """What the ledger was told; it believes the first letter of the reason."""
    responses: list[Response] = []
    comes = {"a": Said.APPROVED, "r": Said.REFUSED, "e": Said.EXPIRED, "v": Said.VOID}

    def settle(_: Any, response: Response) -> tuple[Said, Outcome]:
        responses.append(response)
        return comes[response.reason[:1] or "e"], Outcome(f"it is {response.reason}", note="noted")

    monkeypatch.setattr(approval, "settle", settle)
    monkeypatch.setattr(steps, "open_work", lambda *_, **__: None)
    monkeypatch.setattr(telling, "was_answered", lambda *_: None)
    return responses


def a_task(**declared: Any) -> ApprovalOperator:
    with DAG("build_bikes", schedule=None, params={"as_of": "2013-05-01", "reason": "nightly"}):
        task = ApprovalOperator(task_id="approve", model="bikes", approval=Approval(**declared))
        task >> StepOperator(task_id="promote", model="bikes", pipeline="build")
    return task


def answer(option: str, reason: str | None, user: str | None = "bob") -> tuple[Any, Ti]:
    task, ti = a_task(), Ti()
    event = {
        "chosen_options": [option],
        "params_input": {"reason": reason} if reason else {},
        "responded_at": datetime(2026, 1, 1, tzinfo=UTC),
        "responded_by_user": {"id": user, "name": user} if user else None,
        "timedout": user is None,
    }
    return task.execute_complete({"task": task, "ti": ti, "run_id": "r"}, event), ti


def test_a_yes_goes_on(heard: list[Response]) -> None:
    returned, ti = answer("Approve", "approved")

    assert (returned, heard) == ("it is approved", [Response(True, "approved", "bob")])
    assert ti.said == {"note": "noted"}


@pytest.mark.parametrize(("reason", "user"), [("refused", "bob"), (None, None)])
def test_a_no_and_silence_skip_what_comes_after(heard: list[Response], reason: str | None, user: str | None) -> None:
    with pytest.raises(DownstreamTasksSkipped) as skipped:
        answer("Refuse", reason, user)

    assert list(skipped.value.tasks) == ["promote"]
    assert heard == [Response(False, reason or "", user)]


def test_an_answer_that_does_not_count_is_another_try(heard: list[Response]) -> None:
    with pytest.raises(AirflowException, match="it is void; asked again"):
        answer("Approve", "void")


@pytest.mark.parametrize(("said", "then"), [(Said.APPROVED, None), (Said.REFUSED, ["promote"])])
def test_who_has_answered_is_not_asked_again_by_another_try(
    monkeypatch: pytest.MonkeyPatch, heard: list[Response], said: Said, then: list[str] | None
) -> None:
    monkeypatch.setattr(approval, "answered", lambda _: (said, Outcome(f"it is {said}", note="noted")))
    task, ti = a_task(), Ti()

    def again() -> Any:
        return task.execute({"task": task, "ti": ti, "run_id": "r"})

    if then is None:
        assert again() == "it is approved"
    else:
        with pytest.raises(DownstreamTasksSkipped) as skipped:
            again()
        assert list(skipped.value.tasks) == then
    assert ti.said["note"] == "noted"
    assert heard == []


def test_the_form_is_what_the_declaration_says() -> None:
    task = a_task(expires="3d", approvers=["bob", "eve"])

    assert (task.options, task.defaults, task.response_timeout) == (
        ["Approve", "Refuse"], ["Refuse"], timedelta(days=3)
    )  # fmt: skip
    assert task.assigned_users == [{"id": "bob", "name": "bob"}, {"id": "eve", "name": "eve"}]
    assert list(task.serialized_params) == ["reason"]
    assert list(task.template_fields) == []
    assert a_task().assigned_users is None
