"""Every step by its name, and how to run one, or all of them in order, without Airflow."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from types import MappingProxyType
from typing import Any

from nightshift.alerts import Address, in_environment
from nightshift.errors import NightshiftError, UnavailableError
from nightshift.pipelines.operate_request import OperateRequest
from nightshift.pipelines.request import Asked, BuildRequest, MonitorRequest, PromoteRequest, ReproduceRequest
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.runs import RunFolder
from nightshift.settings import Settings
from nightshift.spec import find_spec

Step = Callable[[Work], Outcome]
STEPS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "build": {
            "check_versions": "prepare", "snapshot": "prepare", "materialise": "materialise",
            "assemble": "prepare", "split": "prepare",
            "train": "learn", "profile": "learn", "package": "learn", "evaluate": "learn",
            "register": "release", "rehearse": "release", "promote": "release",
        },
        "monitor": {
            "collect": "observe", "profile": "observe", "validate": "observe", "compare": "observe",
            "performance": "measure", "look_back": "look_back", "skew": "skew",
            "judge": "conclude", "decide": "conclude", "alert": "telling", "request_retraining": "conclude",
        },
        "reproduce": dict.fromkeys(
            ("recall", "check_out", "install", "fetch", "rebuild", "certify"), "reproduce"
        ),
        "promote": {"preflight": "preflight", "promote": "promote"},
        "operate": {"operate": "operate"},
    }
)  # fmt: skip
"""The steps of each pipeline, in an order in which they can run, and the module of each."""
Request = BuildRequest | MonitorRequest | ReproduceRequest | PromoteRequest | OperateRequest
REQUESTS: Mapping[str, type[Request]] = MappingProxyType(
    {
        "build": BuildRequest,
        "monitor": MonitorRequest,
        "reproduce": ReproduceRequest,
        "promote": PromoteRequest,
        "operate": OperateRequest,
    }
)
"""What each pipeline can be asked for."""

__all__ = ["STEPS", "Then", "open_work", "run_all", "run_step"]


def find_step(pipeline: str, name: str) -> Step:
    """Return a step. Its module is imported now: a task's process pays for its own step's libraries only."""
    step: Step = getattr(import_module(f"nightshift.pipelines.{STEPS[pipeline][name]}"), name)
    return step


def open_work(
    pipeline: str, *, model: str, run_id: str, settings: Settings | None = None, address: Address = in_environment
) -> Work:
    """Return the run called ``run_id`` of a model's pipeline; nothing is made on disk yet."""
    settings = settings or Settings.load()
    spec = find_spec(settings.specs, model)
    folder = RunFolder.of(settings.runs, model=model, pipeline=pipeline, run_id=run_id)
    return Work(spec, folder, settings, run_id=run_id, address=address)


def begin(pipeline: str, work: Work, asked: Asked) -> None:
    """Settle what the run is asked to do; trying again must ask for the same."""
    work.run.begin(REQUESTS[pipeline].from_asked(work.spec, asked).to_json())


def run_step(
    pipeline: str,
    name: str,
    *,
    model: str,
    run_id: str,
    asked: Mapping[str, Any],
    is_last_try: bool = False,
    address: Address = in_environment,
) -> Outcome:
    """Run one step for a scheduler; the first one also settles the request from what the scheduler says.

    After its last try a build lets go of its lease even if all that failed it is a server that was away.
    """
    work = open_work(pipeline, model=model, run_id=run_id, address=address)
    if name == next(iter(STEPS[pipeline])):
        begin(pipeline, work, Asked.by_scheduler(asked))
    return _run(pipeline, name, work, is_last_try=is_last_try)


def _run(pipeline: str, name: str, work: Work, *, is_last_try: bool) -> Outcome:
    """Run one step; a build that failed gives its lease back, so that it holds no retrain up."""
    try:
        return find_step(pipeline, name)(work)
    except UnavailableError:
        if is_last_try:
            _give_lease_back(pipeline, work)
        raise
    except Exception:
        _give_lease_back(pipeline, work)
        raise


def _give_lease_back(pipeline: str, work: Work) -> None:
    if pipeline == "build":
        with suppress(NightshiftError):  # the step's own error is the one to tell
            work.ledger.end_lease(work.spec.name, work.holder, now=work.now())


def run_all(
    pipeline: str, work: Work, asked: Asked, *, say: Callable[[str, Outcome], None] = lambda _name, _outcome: None
) -> Outcome:
    """Run a pipeline's steps one after the other and return the last outcome that counts."""
    begin(pipeline, work, asked)
    last = Outcome("nothing to do", Then.STOP)
    for name in STEPS[pipeline]:
        outcome = _run(pipeline, name, work, is_last_try=True)  # a scheduler would try again; nobody does here
        say(name, outcome)
        if outcome.then is not Then.SKIP:
            last = outcome
        if outcome.then is Then.STOP:
            break
    return last
