"""What people are told of runs: a step that failed, a run that is late, a night that did not come."""

import logging
from datetime import UTC, datetime, timedelta

from croniter import croniter

from nightshift.alerts import Address, Level, Report, Told, deliver, tell
from nightshift.errors import NightshiftError
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines.freshness import report_stale
from nightshift.pipelines.telling import links
from nightshift.settings import Settings
from nightshift.spec import ModelSpec, declared_names, find_spec

LOGGER = logging.getLogger("nightshift.alarms")
GRACE = timedelta(hours=2)
"""How long after its hour a night may be judged; as long as a run of the monitor may take."""
ERROR_LINES = 12


def tell_of_run(
    model: str, pipeline: str, about: str, *, task: str, run_id: str, error: str, address: Address
) -> Told | None:
    """Tell people that a task of a run ``failed`` or is ``well``, or that the run is ``late``; none if none must know.

    Each task that can fail has an incident of its own, which ends when the same task
    succeeds in any later run; a run that was late is over when its last task is.
    """
    settings = Settings.load()
    spec, now = find_spec(settings.specs, model), datetime.now(UTC)
    if about == "well":
        return _well(settings, spec, pipeline, task, now, address)
    dag = f"{pipeline}_{model}"
    late = about == "late"
    report = Report(
        model=model,
        thing=f"{pipeline} late" if late else f"{pipeline} {task}",
        level=Level.SERIOUS,
        title=f"{model}: {dag} is not over yet" if late else f"{model}: {dag} failed at {task}",
        key=run_id if late else _first_line(error),
        at=now,
        facts=(f"run {run_id}", *error.splitlines()[:ERROR_LINES]),
        to_do=("look at the run; clear the task once the cause is mended",),
        links=links(settings, model, dag=dag, run_id=run_id),
    )
    return tell(report, spec.alerts, folder=settings.alerts, address=address)


def _first_line(error: str) -> str:
    return error.splitlines()[0] if error else ""


def _well(
    settings: Settings, spec: ModelSpec, pipeline: str, task: str, now: datetime, address: Address
) -> Told | None:
    told = None
    for thing, title in ((f"{pipeline} {task}", f"{task} of {pipeline}_{spec.name} is well"), *_last(pipeline, task)):
        # every task of every run comes here: what was never told of costs a look for a file
        if not (settings.alerts / "incidents" / f"{spec.name}.{thing.replace(' ', '-')}.json").exists():
            continue
        report = Report(spec.name, thing, Level.FINE, f"{spec.name}: {title}", "", now)
        told = tell(report, spec.alerts, folder=settings.alerts, address=address)
    return told


def _last(pipeline: str, task: str) -> tuple[tuple[str, str], ...]:
    """Return the incident that ends with a pipeline's last task."""
    ends = {"monitor": "alert", "build": "promote"}
    return ((f"{pipeline} late", f"{pipeline} is over"),) if ends.get(pipeline) == task else ()


def watch(settings: Settings, *, now: datetime, address: Address) -> list[str]:
    """Look after all models: tell of nights that did not come and of stale views, and send what waits.

    Returns what was done, a line each.

    A declaration that cannot be read keeps nobody else from being looked after.
    """
    ledger = Ledger(settings.ledger)
    said = []
    for name in declared_names(settings.specs):
        try:
            spec = find_spec(settings.specs, name)
            told = [_look(settings, ledger, spec, now, address), *_stale(settings, spec, now, address)]
        except NightshiftError as error:
            LOGGER.error("%s was not looked after: %s", name, error)
            said.append(f"{name} was not looked after: {error}")
        else:
            said += [f"{name}: {one.sentence}" for one in told if one.alert]
    waiting = deliver(settings.alerts, now=now, address=address)
    return said + [f"{count} wait for {channel}" for channel, count in waiting.items()]


def _look(settings: Settings, ledger: Ledger, spec: ModelSpec, now: datetime, address: Address) -> Told:
    missed = missed_since(spec, [entry.at for entry in ledger.entries(spec.name, Kind.WINDOW)], now=now)
    report = Report(
        model=spec.name,
        thing="missed night",
        level=Level.SERIOUS if missed else Level.FINE,
        title=f"{spec.name}: a night was not judged",
        key="",
        at=now,
        facts=(f"monitor_{spec.name} was due at {missed:%Y-%m-%d %H:%M} UTC, and nothing was judged since",)
        if missed
        else (),
        since=missed,
        to_do=(f"see whether monitor_{spec.name} is paused, failed or still runs, then backfill it",),
        links=links(settings, spec.name, dag=f"monitor_{spec.name}"),
    )
    return tell(report, spec.alerts, folder=settings.alerts, address=address)


def _stale(settings: Settings, spec: ModelSpec, now: datetime, address: Address) -> list[Told]:
    report = report_stale(settings, spec, now=now)
    return [tell(report, spec.alerts, folder=settings.alerts, address=address)] if report else []


def missed_since(spec: ModelSpec, judged: list[datetime], *, now: datetime) -> datetime | None:
    """Return the hour at which a night was due that nobody judged since; none if all is as planned.

    A model of which nothing was ever judged is not watched yet, and one whose
    source has ended has no nights any more.

    Parameters
    ----------
    judged
        When windows were judged, by the wall clock.
    """
    if not judged or not spec.in_calendar(now):
        return None
    due: datetime = croniter(spec.schedule.monitor, now - GRACE).get_prev(datetime)
    return due if max(judged) < due else None
