"""The chapters, in order. Each first looks whether it has been told, so that a second telling goes on.

Everything below happens in the flights' own time, 2013: a replayed week is a
backfill of the monitor, and a retrain at its end knows nothing later. Some
quiet weeks are left out, to keep the story short; one is spoilt on purpose.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from nightshift.demo.replay import ask, callers_entities
from nightshift.demo.table import comparison_table, windows_table
from nightshift.errors import ReturnToSenderError, ServiceError
from nightshift.ledger import Entry, Kind, Ledger
from nightshift.lineage.code import read_code
from nightshift.pipelines.materialise import bring_online
from nightshift.pipelines.standing import blocks
from nightshift.registry import ModelRegistry
from nightshift.services.airflow_api import AirflowApi, DagRun
from nightshift.services.house import House, sign_in
from nightshift.settings import Settings
from nightshift.spec import ModelSpec, find_spec

MODEL = "flight_delay"
FIRST_BUILD = datetime(2013, 5, 1, tzinfo=UTC)
WINDOWS = tuple(
    datetime(2013, month, day, tzinfo=UTC)
    for month, day in ((5, 13), (5, 20), (6, 3), (6, 17), (6, 24), (7, 1), (7, 8), (7, 15))
)
SPOILT = datetime(2013, 5, 20, tzinfo=UTC)
"""The week in which the caller sends distances in kilometres: a fault on the way, not a change of the world."""
KILOMETRES = 1.609344
DAGS = (f"build_{MODEL}", f"monitor_{MODEL}")
BUILD_SECONDS, MONITOR_SECONDS, SWAP_SECONDS, DAGS_SECONDS, EVENT_SECONDS = 900.0, 300.0, 60.0, 120.0, 60.0
POLL_SECONDS = 0.5


@dataclass
class Stage:
    """What the chapters share: where things are, who watches, and whether the release can be proven."""

    spec: ModelSpec
    settings: Settings
    api: AirflowApi
    ledger: Ledger
    registry: ModelRegistry
    progress: Progress
    conf: dict[str, bool]

    def champion(self) -> str | None:
        release = self.registry.champion(self.spec.name)
        return release.version if release else None


def tell(settings: Settings, *, console: Console) -> None:
    """Run the story from wherever it stands and end with its table and the addresses.

    Raises
    ------
    NightshiftError
        If a chapter fails; what was done so far is kept, and telling again goes on from there.
    """
    began = time.monotonic()
    spec = find_spec(settings.specs, MODEL)
    conf = _release_conf(settings, console)
    with _progress(console) as progress:
        waiting = progress.add_task("starting Airflow, MLflow and serving", total=None)
        House(settings).up(say=console.print)
        progress.update(waiting, total=1, completed=1)
        settings = Settings.load(project=settings.project, state=settings.state)
        user, password = sign_in(settings)
        with AirflowApi(settings.airflow, user=user, password=password) as api:
            stage = Stage(
                spec, settings, api, Ledger(settings.ledger), ModelRegistry(settings.mlflow, settings.releases),
                progress, conf,
            )  # fmt: skip
            _open_dags(stage)
            _build_first_champion(stage)
            for start in WINDOWS:
                _live_through(stage, start)
    console.print(windows_table(stage.ledger, spec))
    _tell_what_stands(stage, console)
    comparison = comparison_table(stage.registry, stage.ledger, spec, settings)
    if comparison:
        console.print(comparison)
    console.print(f"told in {(time.monotonic() - began) / 60:.1f} minutes")


def _release_conf(settings: Settings, console: Console) -> dict[str, bool]:
    """Return the form's answer about an edited checkout: the demo goes on with it, but says so."""
    try:
        problems = read_code(settings.project).problems()
    except ReturnToSenderError as error:
        problems = list(error.reasons)
    if problems:
        console.print("[yellow]The releases of this demo are marked *not reproducible*:[/]")
        for problem in problems:
            console.print(f"  - {problem}", style="yellow", markup=False)
    return {"allow_unreproducible": bool(problems)}


def _progress(console: Console) -> Progress:
    bars = (SpinnerColumn(finished_text="[green]✓[/]"), TextColumn("{task.description}"), BarColumn(bar_width=24))
    return Progress(*bars, MofNCompleteColumn(), TimeElapsedColumn(), console=console)


def _open_dags(stage: Stage) -> None:
    stage.api.wait_for_dags(set(DAGS), seconds=DAGS_SECONDS)
    for dag in DAGS:
        stage.api.unpause(dag)


def _build_first_champion(stage: Stage) -> None:
    if stage.champion():
        return
    conf = {"as_of": FIRST_BUILD.isoformat(), "reason": "demo: the first champion", **stage.conf}
    running = [run for run in stage.api.runs(DAGS[0]) if run.kind == "manual" and not run.is_finished]
    run = running[0] if running else stage.api.trigger(DAGS[0], conf=conf)
    _watch(stage, run, f"build on January to April, as of {FIRST_BUILD:%Y-%m-%d}", BUILD_SECONDS)
    if not stage.champion():
        raise ServiceError(f"{DAGS[0]} ended without a champion; see {stage.settings.airflow}/dags/{DAGS[0]}")


def _live_through(stage: Stage, start: datetime) -> None:
    """Replay one week through the API, let the monitor judge it, and see a retrain through if it asks for one."""
    end = start + stage.spec.monitor.window
    entry = _judged(stage, start)
    if entry is None:
        _wait_for_champion(stage)
        _replay(stage, start, end)
        entry = _monitor(stage, start)
    if entry.body["decision"]["retrain"]:
        _see_retrain_through(stage, entry)


def _replay(stage: Stage, start: datetime, end: datetime) -> None:
    task = stage.progress.add_task(f"week of {start:%d %b}: flights through the API", total=None)
    bring_online(stage.spec, stage.settings, since=start, until=end)
    rows = callers_entities(stage.spec, stage.settings, start=start, end=end)
    if start == SPOILT:
        stage.progress.console.print(f"  week of {start:%d %b}: planted: the caller sends distances in kilometres")
        rows = rows.assign(distance=rows["distance"] * KILOMETRES)
    stage.progress.update(task, total=len(rows))
    for answered, _ in ask(stage.settings.serving, stage.spec, rows):
        stage.progress.advance(task, answered)


def _monitor(stage: Stage, start: datetime) -> Entry:
    if not any(_is_for(run, start) and not run.is_finished for run in stage.api.runs(DAGS[1])):
        stage.api.backfill(DAGS[1], start=start, end=start, conf=stage.conf)
    run = stage.api.wait_for_run(
        DAGS[1], lambda run: _is_for(run, start) and not run.is_finished, seconds=EVENT_SECONDS
    )
    _watch(stage, run, f"week of {start:%d %b}: the monitor judges", MONITOR_SECONDS)
    stage.api.close_backfills(DAGS[1])
    entry = _judged(stage, start)
    if entry is None:
        raise ServiceError(f"{run.dag} {run.run_id} ended without a ledger entry; see {stage.settings.airflow}")
    status, decision = entry.body["verdict"]["status"], entry.body["decision"]["sentence"]
    stage.progress.console.print(f"  week of {start:%d %b}: [bold]{status}[/]; {decision}")
    return entry


def _tell_what_stands(stage: Stage, console: Console) -> None:
    """Say what is blocked and how to release it, whether the retrain helped, and where to read more."""
    name, entries = stage.spec.name, stage.ledger.entries(stage.spec.name)
    for block in blocks(entries):
        last = block.end - timedelta(days=1)
        console.print(
            f"[bold red]blocked[/] from training: {block.start:%d %b} to {last:%d %b}, until somebody says "
            f"[bold]nightshift release {name} {block.start:%Y-%m-%d} --by YOU --reason WHY[/]"
        )
    helped = [entry.body["sentence"] for entry in entries if entry.kind is Kind.HELP]
    if helped:
        console.print(helped[-1], highlight=False)
    console.print("weeks that the story leaves out were never judged, and the page *Models* says so", highlight=False)
    console.print(f"every window tells all: [bold]nightshift why {name} {SPOILT:%Y-%m-%d}[/]")


def _see_retrain_through(stage: Stage, entry: Entry) -> None:
    """Wait for the build that the asset event started; its end is a new champion, or the old one kept."""
    run = stage.api.wait_for_run(DAGS[0], lambda run: run.kind == "asset_triggered", seconds=EVENT_SECONDS)
    if not run.is_finished:
        _watch(stage, run, f"the build runs by itself, as of {entry.end:%Y-%m-%d}", BUILD_SECONDS)


def _wait_for_champion(stage: Stage) -> None:
    """Return once serving answers with the champion's version."""
    version = stage.champion()

    def serves() -> bool:
        try:
            answer = httpx.get(f"{stage.settings.serving}/v1/models/{stage.spec.name}", timeout=5)
            return answer.is_success and str(answer.json().get("version")) == version
        except (httpx.HTTPError, ValueError):
            return False

    deadline = time.monotonic() + SWAP_SECONDS
    while not serves():
        if time.monotonic() > deadline:
            raise ServiceError(f"serving does not answer with version {version} after {SWAP_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)


def _watch(stage: Stage, run: DagRun, title: str, seconds: float) -> None:
    task = stage.progress.add_task(title, total=None)

    def show(states: dict[str, str | None]) -> None:
        done = sum(state in ("success", "skipped", "failed", "upstream_failed") for state in states.values())
        stage.progress.update(task, total=len(states), completed=done)

    if not stage.progress.console.is_terminal:
        stage.progress.console.print(title)
    ended = stage.api.wait(run, seconds=seconds, watch=show)
    if ended.state != "success":
        raise ServiceError(stage.api.failure(ended))


def _judged(stage: Stage, start: datetime) -> Entry | None:
    end = start + stage.spec.monitor.window  # a person may have judged other windows that begin as early
    return next((one for one in stage.ledger.windows(stage.spec.name) if (one.start, one.end) == (start, end)), None)


def _is_for(run: DagRun, start: datetime) -> bool:
    return run.kind == "backfill" and run.start == start
