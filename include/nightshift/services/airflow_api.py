"""A few words of Airflow's REST API: what the demo and the tests ask of a real scheduler."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx

from nightshift.errors import ServiceError, UnavailableError

Found = TypeVar("Found")
FINISHED = ("success", "failed")
CALL_SECONDS = 30.0
POLL_SECONDS = 0.5
BUSY_PAUSES = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class DagRun:
    """One run as Airflow tells of it; ``start`` is that of its data interval, none for events and people.

    ``note`` is what stands on the run's page.
    """

    dag: str
    run_id: str
    state: str
    kind: str
    conf: Mapping[str, Any]
    start: datetime | None = None
    note: str | None = None

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED


class AirflowApi:
    """Signed in as one user; use it in a ``with`` block.

    Raises
    ------
    UnavailableError
        From any call, if the api-server does not answer.
    ServiceError
        From any call, if it answers with a refusal; its own words are in the message.
    """

    def __init__(self, url: str, *, user: str, password: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=CALL_SECONDS)
        token = self._call("POST", "/auth/token", {"username": user, "password": password})["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def dags(self) -> set[str]:
        """Return the ids of the DAGs the scheduler knows."""
        return {dag["dag_id"] for dag in self._call("GET", "/api/v2/dags?limit=1000")["dags"]}

    def wait_for_dags(self, dags: set[str], *, seconds: float) -> None:
        """Return once the scheduler knows these DAGs; a ServiceError after ``seconds``."""
        self._until(lambda: self.dags() >= dags, seconds, f"Airflow does not show {', '.join(sorted(dags))}")

    def wait_for_run(self, dag: str, wanted: Callable[[DagRun], bool], *, seconds: float) -> DagRun:
        """Return the newest run that is ``wanted`` as soon as there is one; a ServiceError after ``seconds``."""
        found = self._until(
            lambda: [run for run in self.runs(dag) if wanted(run)], seconds, f"no such run of {dag} appeared"
        )
        return found[0]

    def unpause(self, dag: str) -> None:
        """Let a DAG run by schedule and by event."""
        self._call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def trigger(self, dag: str, *, conf: Mapping[str, Any], run_id: str | None = None) -> DagRun:
        """Start a run as a person would with the form; a refused field is an error."""
        body = {"logical_date": None, "conf": dict(conf)} | ({"dag_run_id": run_id} if run_id else {})
        return _run(self._call("POST", f"/api/v2/dags/{dag}/dagRuns", body))

    def backfill(self, dag: str, *, start: datetime, end: datetime, conf: Mapping[str, Any]) -> int:
        """Run the intervals that begin in [start, end], oldest first; runs that exist are done again.

        A backfill whose runs have all ended is closed first: the scheduler itself does so every half
        minute only, and until then Airflow refuses another one of the same DAG.
        """
        self.close_backfills(dag)
        body = {
            "dag_id": dag,
            "from_date": start.isoformat(),
            "to_date": end.isoformat(),
            "max_active_runs": 1,
            "reprocess_behavior": "completed",
            "dag_run_conf": dict(conf),
            "run_backwards": False,
        }
        return int(self._call("POST", "/api/v2/backfills", body)["id"])

    def close_backfills(self, dag: str) -> None:
        """Tell Airflow that a DAG's backfills have ended, if no run of one is left to do."""
        if any(run.kind == "backfill" and not run.is_finished for run in self.runs(dag)):
            return
        for open_one in self._call("GET", f"/api/v2/backfills?dag_id={dag}&limit=100")["backfills"]:
            if open_one["completed_at"] is None:
                self._call("PUT", f"/api/v2/backfills/{open_one['id']}/cancel")

    def runs(self, dag: str) -> list[DagRun]:
        """Return the newest hundred runs of a DAG, newest first."""
        answer = self._call("GET", f"/api/v2/dags/{dag}/dagRuns?order_by=-id&limit=100")
        return [_run(run) for run in answer["dag_runs"]]

    def run(self, dag: str, run_id: str) -> DagRun:
        """Return one run as it is now."""
        return _run(self._call("GET", f"/api/v2/dags/{dag}/dagRuns/{quote(run_id, safe='')}"))

    def tasks(self, run: DagRun) -> dict[str, str | None]:
        """Return the state of each task of a run by name; none before it was looked at."""
        answer = self._call("GET", f"/api/v2/dags/{run.dag}/dagRuns/{quote(run.run_id, safe='')}/taskInstances")
        return {task["task_id"]: task["state"] for task in answer["task_instances"]}

    def clear(self, run: DagRun, task: str) -> None:
        """Let a task of a run, and what comes after it, be done again."""
        body = {"dag_run_id": run.run_id, "task_ids": [task], "include_downstream": True, "only_failed": False,
                "dry_run": False}  # fmt: skip
        self._call("POST", f"/api/v2/dags/{run.dag}/clearTaskInstances", body)

    def wait_for_task(self, run: DagRun, task: str, state: str, *, seconds: float) -> None:
        """Return once a task of a run is in this state; a ServiceError after ``seconds``."""
        what = f"{run.dag}.{task} was not {state}"
        self._until(lambda: self.tasks(run).get(task) == state, seconds, what)

    def returned(self, run: DagRun, task: str) -> Any:
        """Return what a task returned."""
        path = f"{_task(run, task)}/xcomEntries/return_value?deserialize=true"
        return self._call("GET", path)["value"]

    def link(self, run: DagRun, task: str, name: str) -> str | None:
        """Return where a button on a task's page leads; none if there is nothing to lead to."""
        links: dict[str, str | None] = self._call("GET", f"{_task(run, task)}/links")["extra_links"]
        return links.get(name)

    def question(self, run: DagRun, task: str) -> str:
        """Return what a task that waits for a person's answer shows, in Markdown."""
        return str(self._call("GET", f"{_task(run, task)}/-1/hitlDetails")["body"])

    def answer(self, run: DagRun, task: str, option: str, **fields: str | None) -> None:
        """Answer a task that waits for a person, as the one who is signed in."""
        body = {"chosen_options": [option], "params_input": fields}
        self._call("PATCH", f"{_task(run, task)}/-1/hitlDetails", body)

    def log(self, run: DagRun, task: str, *, attempt: int = 1) -> str:
        """Return what a task said, errors with their words, for messages."""
        content = self._call("GET", f"{_task(run, task)}/logs/{attempt}?full_content=true")["content"]
        return "\n".join(_line(line) for line in content)

    def wait(
        self, run: DagRun, *, seconds: float, watch: Callable[[dict[str, str | None]], None] = lambda _tasks: None
    ) -> DagRun:
        """Return the run once it is finished; ``watch`` sees the tasks' states on the way.

        Raises
        ------
        ServiceError
            If it takes longer than ``seconds``.
        """
        deadline = time.monotonic() + seconds
        while not (now := self.run(run.dag, run.run_id)).is_finished:
            watch(self.tasks(now))
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"{run.dag} {run.run_id} is still {now.state} after {seconds:.0f} s: {self.tasks(now)}"
                )
            time.sleep(POLL_SECONDS)
        watch(self.tasks(now))
        return now

    def failure(self, run: DagRun) -> str:
        """Return which task of a failed run failed, and the end of what it said."""
        for task, state in self.tasks(run).items():
            if state == "failed":
                return f"{run.dag}.{task} failed:\n{self.log(run, task)[-3000:]}"
        return f"{run.dag} {run.run_id} ended {run.state}"

    def _until(self, look: Callable[[], Found], seconds: float, otherwise: str) -> Found:
        deadline = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > deadline:
                raise ServiceError(f"{otherwise} within {seconds:.0f} s; see the logs below the state folder")
            time.sleep(POLL_SECONDS)
        return found

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        try:
            answer = self._http.request(method, path, json=body)
            for pause in BUSY_PAUSES:
                if not _was_locked_out(answer):
                    break
                time.sleep(pause)
                answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            where = self._http.base_url
            raise UnavailableError(f"Airflow at {where} did not answer: {error}. Is it up? `make status`") from error
        if answer.is_error:
            raise ServiceError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:1000]}")
        return answer.json()


def _was_locked_out(answer: httpx.Response) -> bool:
    """Return whether another component held Airflow's database: nothing was written, and it may be asked again."""
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return True
    # after five seconds, as when the disk stands still while somebody writes
    return answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR and '"reason":"Database error"' in answer.text


def _task(run: DagRun, task: str) -> str:
    return f"/api/v2/dags/{run.dag}/dagRuns/{quote(run.run_id, safe='')}/taskInstances/{task}"


def _line(line: Any) -> str:
    if not isinstance(line, Mapping):
        return str(line)
    errors = [f"{error['exc_type']}: {error['exc_value']}" for error in line.get("error_detail") or []]
    return "\n".join([str(line.get("event", "")), *errors])


def _run(content: Mapping[str, Any]) -> DagRun:
    start = content.get("data_interval_start")
    return DagRun(
        dag=content["dag_id"],
        run_id=content["dag_run_id"],
        state=content["state"],
        kind=content["run_type"],
        conf=content.get("conf") or {},
        start=datetime.fromisoformat(start) if start else None,
        note=content.get("note"),
    )
