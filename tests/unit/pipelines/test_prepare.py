"""A blocked day is in no snapshot until a person releases it, and then in the next."""

from datetime import timedelta
from pathlib import Path

import pytest

from factories.monitoring import ADA
from factories.nights import Watching, rides_of, start_of, watched
from nightshift.data.snapshot import days_in
from nightshift.errors import ReturnToSenderError
from nightshift.ledger import Kind
from nightshift.pipelines import people
from nightshift.pipelines.prepare import check_versions, snapshot
from nightshift.pipelines.request import Asked, BuildRequest
from nightshift.runs import RunFolder


def test_a_blocked_day_leaves_the_snapshots_and_comes_back_when_released(tmp_path: Path) -> None:
    nights = watched(tmp_path, versions=(), time={"column": "at", "first": "2013-01-21"})
    for day in (20, 21, 22, 23):
        nights.tell(rides_of(day, rows=10))
    ledger = nights.work("x").ledger

    def build(until: int) -> tuple[set[int], list[str]]:
        run = RunFolder.of(nights.settings.runs, model="rides", pipeline="build", run_id=f"b{until}-{len(taken)}")
        work = Watching(nights.spec, run, nights.settings)
        work.data.create()
        asked = Asked.by_person(now=start_of(until), as_of=start_of(until).isoformat())
        work.run.begin(BuildRequest.from_asked(nights.spec, asked).to_json())
        snapshot(work)
        version = work.data.version("rides")
        assert version is not None
        days = days_in(work.data.list_files(version))
        return {(day - start_of(0).date()).days for day in days}, work.run.read("snapshot.json")["blocked"]

    taken: list[tuple[set[int], list[str]]] = []
    taken.append(build(23))  # days 20 and 21: the labels of 22 are not mature
    for day in (21, 22):
        ledger.append(
            "rides", Kind.BLOCK, start=start_of(day), end=start_of(day + 1), now=start_of(day + 2),
            body={"run": "monitor/x", "reasons": ["speed is -1"]},
        )  # fmt: skip
    taken.append(build(25))
    for day in (21, 22):
        people.release(ledger, nights.spec, start_of(day) + timedelta(hours=1), ADA)
    taken.append(build(25))

    assert taken == [
        ({20, 21}, []),
        ({20, 23}, ["2013-01-22", "2013-01-23"]),
        ({20, 21, 22, 23}, []),
    ]


def test_a_data_registry_that_is_gone_is_not_begun_anew(tmp_path: Path) -> None:
    work = watched(tmp_path, versions=()).work("x")
    for version in ("2", "10"):
        body = {"version": version, "before": None, "run": "build/1"}
        work.ledger.append("rides", Kind.PROMOTION, start=start_of(1), end=start_of(1), body=body, now=start_of(2))
    asked = Asked.by_person(now=start_of(3), as_of=start_of(2), allow_unreproducible=True)
    work.run.begin(BuildRequest.from_asked(work.spec, asked).to_json())

    with pytest.raises(
        ReturnToSenderError, match=r"holds no rides, though version\(s\) 2, 10 were built from it: restore"
    ):
        check_versions(work)

    assert work.data.head() is None
