"""People hear of a failed step, a late run and a night that did not come, once, and of the end of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from factories.monitoring import window
from factories.sinks import a_channel
from factories.spec import a_spec, write_spec
from factories.spine import a_ledger
from nightshift.alerts import Alert, Told, send
from nightshift.pipelines.alarms import missed_since, tell_of_run, watch
from nightshift.settings import Settings
from nightshift.spec import EXAMPLE

NIGHTLY = a_spec(schedule={"monitor": "0 4 * * *"})


def at(day: int, hour: int = 0) -> datetime:
    return datetime(2026, 1, day, hour, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An installation that declares ``bikes`` and a model that cannot be read."""
    specs = write_spec(tmp_path / "specs", EXAMPLE + "alerts: [ops]\n").parent
    write_spec(specs, "nonsense: 1\n", name="wrong")
    monkeypatch.setenv("NIGHTSHIFT_STATE", str(tmp_path))
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(specs))
    monkeypatch.setenv("NIGHTSHIFT_AIRFLOW_PAGES", "https://airflow.example.org/")
    return Settings.load()


def run(
    about: str, *, task: str = "train", run_id: str = "r1", error: str = "no rows\nat all", **more: Any
) -> Told | None:
    return tell_of_run("bikes", "build", about, task=task, run_id=run_id, error=error, **more)


# ---------------------------------------------------------------- runs


def test_a_failed_step_is_told_once_and_so_is_its_end(settings: Settings) -> None:
    with a_channel() as (url, heard):
        for night in ("r1", "r2"):
            run("failed", run_id=night, address=lambda _: url)
        run("well", address=lambda _: url)
        run("well", address=lambda _: url)

    assert [message["title"] for message in heard] == [
        "bikes: build_bikes failed at train (opened)",
        "bikes: train of build_bikes is well (resolved)",
    ]
    assert "- no rows\n- at all" in heard[0]["message"]
    assert "Run: https://airflow.example.org/dags/build_bikes/runs/r1" in heard[0]["message"]


def test_another_step_that_is_well_ends_nothing(settings: Settings) -> None:
    with a_channel() as (url, heard):
        run("failed", address=lambda _: url)
        told = run("well", task="split", address=lambda _: url)

    assert (told, len(heard)) == (None, 1)


def test_a_late_run_is_over_with_its_last_task(settings: Settings) -> None:
    with a_channel() as (url, heard):
        run("late", task="", error="", address=lambda _: url)
        run("well", task="train", address=lambda _: url)
        run("well", task="promote", address=lambda _: url)

    assert [message["title"] for message in heard] == [
        "bikes: build_bikes is not over yet (opened)",
        "bikes: build is over (resolved)",
    ]


def test_a_step_that_never_failed_leaves_no_trace(settings: Settings) -> None:
    assert run("well", address=lambda _: None) is None
    assert not settings.alerts.exists()


# ---------------------------------------------------------------- nights


@pytest.mark.parametrize(
    ("judged", "now", "missed"),
    [
        ([at(5, 4)], at(6, 5), None),  # due an hour ago: it may still run
        ([at(5, 4)], at(6, 7), at(6, 4)),
        ([at(5, 4), at(6, 5)], at(6, 7), None),
        ([at(6, 5), at(5, 4)], at(6, 7), None),
        ([at(1, 4)], at(6, 7), at(6, 4)),
        ([], at(6, 7), None),
    ],
)
def test_a_night_is_missed_when_its_hour_is_over_and_nothing_was_judged_since(
    judged: list[datetime], now: datetime, missed: datetime | None
) -> None:
    assert missed_since(NIGHTLY, judged, now=now) == missed


def test_a_source_that_has_ended_has_no_nights(settings: Settings) -> None:
    over = a_spec(time={"column": "hour", "last": "2026-01-05"})

    assert missed_since(over, [at(5, 4)], now=at(20)) is None


def test_the_watch_tells_of_a_missed_night_and_of_its_end_and_of_no_other_model(settings: Settings) -> None:
    ledger = a_ledger(settings.state)
    window(ledger, 1)  # on a day of 2013
    with a_channel() as (url, heard):
        first = watch(settings, now=at(6, 7), address=lambda _: url)
        watch(settings, now=at(6, 8), address=lambda _: url)
        ledger.append(
            "bikes", window(ledger, 2).kind, start=at(5), end=at(6), body=window(ledger, 3).body, now=at(6, 9)
        )
        watch(settings, now=at(6, 10), address=lambda _: url)

    assert [message["title"].rpartition(" ")[2] for message in heard] == ["(opened)", "(resolved)"]
    assert first[0] == "bikes: told ops (opened)"
    assert first[1].startswith("wrong was not looked after: wrong.yaml:1: ")


def test_the_watch_sends_what_waits(settings: Settings) -> None:
    alert = Alert("bikes", "bikes:x", "held back", "until the morning", at(6, 1), not_before=at(6, 7))
    with a_channel() as (url, heard):
        send(alert, ["ops"], folder=settings.alerts, address=lambda _: url)
        early = watch(settings, now=at(6, 7) - timedelta(seconds=1), address=lambda _: url)
        watch(settings, now=at(6, 7), address=lambda _: url)

    assert early[-1] == "1 wait for ops"
    assert [message["title"] for message in heard] == ["held back"]
    assert [json.loads(line)["title"] for line in (settings.alerts / "bikes.jsonl").read_text().splitlines()] == [
        "held back"
    ]
