"""Airflow tells people of runs over the channels of the declaration; addresses come from environment or connections."""

import asyncio
import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.triggers.callback import CallbackTrigger

from factories.sinks import a_channel, a_postbox
from factories.spec import write_spec
from nightshift.spec import EXAMPLE, example_spec, load_spec
from nightshift_airflow.channels import address_of
from nightshift_airflow.deadlines import late
from nightshift_airflow.notifiers import RunNotifier
from nightshift_airflow.operators import StepOperator


def a_context(**more: Any) -> dict[str, Any]:
    usual = {"ti": SimpleNamespace(task_id="train"), "dag_run": SimpleNamespace(run_id="scheduled__1")}
    return usual | more


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Declare ``bikes`` with a channel that takes everything; yields what it was sent."""
    monkeypatch.setenv("NIGHTSHIFT_STATE", str(tmp_path))
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(write_spec(tmp_path / "specs", EXAMPLE + "alerts: [ops]\n").parent))
    with a_channel() as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)
        yield heard


# ---------------------------------------------------------------- runs


def test_a_task_that_failed_for_good_is_told_and_its_success_ends_it(told: list[dict[str, Any]]) -> None:
    with DAG("build_bikes", schedule=None):
        task = StepOperator(task_id="train", model="bikes", pipeline="build")

    (failed,), (well,) = task.on_failure_callback, task.on_success_callback
    failed(a_context(exception=OSError("disk full")))
    well(a_context())

    assert [message["title"] for message in told] == [
        "bikes: build_bikes failed at train (opened)",
        "bikes: train of build_bikes is well (resolved)",
    ]
    assert "- disk full" in told[0]["message"]


def test_a_skip_is_well_too() -> None:
    with DAG("build_bikes", schedule=None):
        task = StepOperator(task_id="promote", model="bikes", pipeline="build")

    (skipped,) = task.on_skipped_callback
    assert skipped.about == "well"


def test_a_late_run_is_told_from_the_triggerers_loop(told: list[dict[str, Any]]) -> None:
    deadline = late(load_spec(example_spec()), "monitor", after=timedelta(hours=1))
    # what a Deadline Alert gives: the run as the API tells of it, and no task
    context = {"dag_run": {"dag_run_id": "scheduled__1"}, "deadline": {}}
    callback = CallbackTrigger(deadline.callback.path, {**deadline.callback.kwargs, "context": context})

    async def until_told() -> list[Any]:
        return [event.payload async for event in callback.run()]

    payloads = asyncio.run(until_told())

    assert [payload["state"] for payload in payloads] == ["running", "success"]
    (message,) = told
    assert message["title"] == "bikes: monitor_bikes is not over yet (opened)"
    assert "run scheduled__1" in message["message"]


def test_telling_that_fails_fails_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(tmp_path))

    RunNotifier(model="bikes", pipeline="build", about="failed").notify(a_context())


# ---------------------------------------------------------------- addresses


def connect(monkeypatch: pytest.MonkeyPatch, **connection: Any) -> None:
    """Let Airflow know the connection ``nightshift_ops``."""
    monkeypatch.setenv("AIRFLOW_CONN_NIGHTSHIFT_OPS", json.dumps(connection))


def test_a_channel_nobody_knows_has_no_address() -> None:
    assert address_of("ops") is None


def test_the_environment_outranks_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, conn_type="generic", password="json://airflow")
    before = address_of("ops")
    monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", "json://environment")

    assert (before, address_of("ops")) == ("json://airflow", "json://environment")


@pytest.mark.parametrize(
    ("connection", "address"),
    [
        ({"conn_type": "generic", "password": "slack://a/b/c"}, "slack://a/b/c"),
        ({"conn_type": "generic"}, None),
        ({"conn_type": "apprise", "extra": {"config": {"path": "json://here"}}}, "json://here"),
        ({"conn_type": "apprise", "extra": {"config": [{"path": "json://a"}, {"path": "json://b"}]}}, "json://a, json://b"),
        ({"conn_type": "apprise"}, None),
        (
            {"conn_type": "smtp", "host": "mail.example.org", "login": "night@example.org", "password": "p@ss",
             "port": 465, "extra": {"to": "ops@example.org"}},
            "mailtos://night%40example.org:p%40ss@mail.example.org:465?smtp=mail.example.org&from=night%40example.org"
            "&to=ops%40example.org&mode=ssl",
        ),
    ],
)  # fmt: skip
def test_a_connection_of_any_kind_is_an_address(
    monkeypatch: pytest.MonkeyPatch, connection: dict[str, Any], address: str | None
) -> None:
    connect(monkeypatch, **connection)

    assert address_of("ops") == address


def test_a_letter_goes_out_over_a_mail_servers_connection(
    told: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NIGHTSHIFT_CHANNEL_OPS")
    with a_postbox() as (url, letters):
        port = int(url.partition("?")[0].rpartition(":")[2])
        extra = {"disable_ssl": True, "disable_tls": True, "from_email": "night@example.org", "to": "ops@example.org"}
        connect(monkeypatch, conn_type="smtp", host="127.0.0.1", port=port, extra=extra)

        RunNotifier(model="bikes", pipeline="build", about="failed").notify(a_context(exception=OSError("disk full")))

    (letter,) = letters
    assert b"Subject: bikes: build_bikes failed at train (opened)" in letter
