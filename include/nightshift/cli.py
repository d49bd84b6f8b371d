"""The command ``nightshift``: every step and flow, without Airflow too.

Exit status: 0 done; 1 refused or failed, with the reason on standard error;
2 the command itself was wrong.
"""

import logging
import os
import sys
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nightshift import cli_contract, cli_features, cli_ledger, cli_profile
from nightshift.cli_ledger import print_json
from nightshift.errors import NightshiftError, ReturnToSenderError
from nightshift.files import write_json
from nightshift.settings import Settings
from nightshift.spec import find_spec, json_schema, load_specs, with_policy

app = typer.Typer(
    help="The life of tabular XGBoost models: built, proven, served, watched, retrained.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(cli_ledger.app)
app.add_typer(cli_profile.app)
app.add_typer(cli_features.app)
app.add_typer(cli_contract.app)
WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 120
"""A log has no width of its own; the usual 80 columns would break every table."""
OUT, ERR = Console(width=WIDTH), Console(stderr=True)

Model = Annotated[str, typer.Argument(help="Name of a model declared in include/specs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs instead of text for people.")]
RunId = Annotated[
    str | None, typer.Option("--run", help="Name of the run folder; the same name goes on with that run.")
]
Unreproducible = Annotated[
    bool, typer.Option("--allow-unreproducible", help="Go on with an edited checkout; the release is marked.")
]


@app.command()
def check(
    specs: Annotated[bool, typer.Option("--specs", help="Only the declarations.")] = False, as_json: AsJson = False
) -> None:
    """Check declarations, code, environment and data registry; say everything that is wrong."""
    settings = Settings.load()
    problems: list[str] = []
    names: list[str] = []
    try:
        names = list(load_specs(settings.specs))
    except NightshiftError as error:
        problems += str(error).splitlines()
    if not names and not problems:
        problems.append(f"no declaration in {settings.specs}; write one, see docs/spec.md")
    if not specs:
        problems += _version_problems(settings)
    if as_json:
        print_json({"ok": not problems, "models": names, "problems": problems})
    elif not problems:
        beside = "" if specs else "; code, environment and data registry looked at"
        OUT.print(f"{len(names)} declaration(s) read: {', '.join(names)}{beside}. Nothing is wrong.")
    else:
        for problem in problems:
            ERR.print(f"- {problem}", style="red", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(1 if problems else 0)


@app.command()
def build(
    model: Model,
    as_of: Annotated[str | None, typer.Option(help="Build from what was known then, for example 2013-05-01.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the build.")] = "",
    promote: Annotated[bool, typer.Option(help="Let what passes go live.")] = True,
    run: RunId = None,
    allow_unreproducible: Unreproducible = False,
    as_json: AsJson = False,
) -> None:
    """Build a model from versioned code and data: check, snapshot, assemble, split, train, …, promote."""
    form = {"as_of": as_of, "reason": reason, "promote": promote, "allow_unreproducible": allow_unreproducible}
    _run_pipeline("build", model, run, form, as_json=as_json)


@app.command()
def monitor(
    model: Model,
    start: Annotated[str | None, typer.Option(help="First moment of the window.")] = None,
    end: Annotated[str | None, typer.Option(help="Moment after the window.")] = None,
    run: RunId = None,
    allow_unreproducible: Unreproducible = False,
    as_json: AsJson = False,
) -> None:
    """Judge one window of the prediction log and decide; asks for a retrain in the ledger only (Airflow builds)."""
    form = {"start": start, "end": end, "allow_unreproducible": allow_unreproducible}
    _run_pipeline("monitor", model, run, form, as_json=as_json)


@app.command()
def reproduce(
    model: Model,
    version: Annotated[str, typer.Argument(help="Number of a registered version.")],
    reason: Annotated[str, typer.Option(help="Why; kept on the certificate.")] = "",
    run: RunId = None,
    as_json: AsJson = False,
) -> None:
    """Make a registered version again from nothing but its lineage, and certify it; exit status 1 if it differs."""
    from nightshift.pipelines.request import Asked
    from nightshift.pipelines.steps import open_work, run_all

    now = datetime.now(UTC)
    work = open_work("reproduce", model=model, run_id=run or f"shell__{now:%Y-%m-%dT%H%M%S.%fZ}")
    asked = Asked.by_person(now=now, user=getuser(), version=version, reason=reason)
    differs = False
    try:
        run_all("reproduce", work, asked, say=_silent if as_json else _say)
    except ReturnToSenderError as error:
        differs = True
        if not as_json:
            raise
        ERR.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
    if as_json:
        print_json(work.run.read("certificate.json"))
    else:
        OUT.print(f"certificate: {work.run.file('certificate.html')}", markup=False, soft_wrap=True)
    raise typer.Exit(differs)


@app.command()
def replay(
    model: Annotated[str | None, typer.Argument(help="Name of a model whose stored nights are judged again.")] = None,
    policy: Annotated[
        Path | None, typer.Option(help="YAML with other keys for monitor and governor, as in the declaration.")
    ] = None,
    reference: Annotated[Path | None, typer.Option(help="Parquet of what the windows are judged against.")] = None,
    windows: Annotated[Path | None, typer.Option(help="Folder with a Parquet file for each window.")] = None,
    schema: Annotated[Path | None, typer.Option(help="JSON with features, task, ordered, window_rows.")] = None,
    out: Annotated[Path | None, typer.Option(help="JSON to write: an answer for each window.")] = None,
    labels: Annotated[Path | None, typer.Option(help="Folder with the labels of windows, by the same names.")] = None,
    as_json: AsJson = False,
) -> None:
    """Judge stored nights again under another policy, side by side; or judge any windows of files."""
    if reference and windows and schema and out:
        _replay_files(reference, windows, schema, out=out, labels=labels)
        return
    if model is None or policy is None:
        raise typer.BadParameter("give a model and --policy FILE, or --reference, --windows, --schema and --out")
    _replay_policy(model, policy, as_json=as_json)


@app.command()
def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    package: Annotated[Path | None, typer.Option(help="Serve this package only, without a registry.")] = None,
) -> None:
    """Serve the champions (or one package) over HTTP."""
    from nightshift.serving.app import serve as run_server

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # the registry is asked every few seconds
    run_server(Settings.load(), host=host, port=port, package=package)


@app.command()
def key(
    name: Annotated[str, typer.Argument(help="Whose key it is: letters, digits, and . _ @ -")],
    role: Annotated[list[str], typer.Option(help="What it opens: predict, read, admin; may be given again.")],
    per_second: Annotated[float | None, typer.Option(help="So many requests a second may come.", min=0.001)] = None,
    file: Annotated[Path | None, typer.Option(help="File of keys to add it to; made if it is not there.")] = None,
) -> None:
    """Make a key for callers of serving; it is shown once, the file of keys holds its digest only."""
    from nightshift.serving.access import add_key, new_key

    secret, line = new_key(name, *role, per_second=per_second)
    if file is not None:
        add_key(file, line)
    OUT.print(f"the key, for the caller:  {secret}", markup=False, highlight=False, soft_wrap=True)
    where = f"added to {file}" if file else "the line, for the file"
    OUT.print(f"{where}:  {line}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def up() -> None:
    """Start Airflow, MLflow and serving, and wait until they answer."""
    from nightshift.services.house import House

    with OUT.status("starting Airflow, MLflow and serving"):
        House(Settings.load()).up(say=OUT.print)
    show_addresses()


@app.command()
def down() -> None:
    """Stop what ``up`` started."""
    from nightshift.services.house import House

    with OUT.status("stopping"):
        stopped = House(Settings.load()).down()
    OUT.print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show which services run and how each model is."""
    from nightshift.pipelines.overview import overviews
    from nightshift.services.house import House

    settings = Settings.load()
    services = House(settings).status()
    models = overviews(settings)
    if as_json:
        print_json({"services": services, "models": [model.to_json() for model in models]})
        return
    _print_services(services)
    table = Table(
        "model",
        "champion",
        "versions",
        "windows",
        "blocked",
        "last verdict",
        "last decision",
        "promotion paused",
        "pinned",
        title="Models",
    )
    for model in models:
        told = {**model.to_json(), "pinned": model.pinned.version if model.pinned else None}
        table.add_row(*(str(value if value is not None else "–") for value in told.values()))
    OUT.print(table)
    for model in models:
        if model.pinned:
            OUT.print(f"{model.name}: {model.pinned.sentence}", markup=False, highlight=False)


@app.command()
def schema(
    write: Annotated[bool, typer.Option("--write", help="Put it beside the declarations, for editors.")] = False,
) -> None:
    """Print the JSON Schema of a declaration."""
    if write:
        path = Settings.load().specs / "schema.json"
        write_json(path, json_schema())
        OUT.print(f"wrote {path}", markup=False, soft_wrap=True)
    else:
        print_json(json_schema())


@app.command()
def demo() -> None:
    """Tell the whole story on real flights: build, serve, watch, drift, retrain, promote."""
    from nightshift.demo import tell

    tell(Settings.load(), console=OUT)
    show_addresses()


def show_addresses() -> None:
    """Print where everything is and how to sign in."""
    from nightshift.services.house import House, sign_in

    settings = Settings.load()
    _print_services(House(settings).status())
    user, password = sign_in(settings)
    OUT.print(f"Sign in to Airflow as [bold]{user}[/] with the password [bold]{password}[/]")


def main() -> None:
    """Run the command; a refusal is its message on standard error and exit status 1."""
    try:
        app()
    except NightshiftError as error:
        ERR.print(str(error), style="red", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)


def _run_pipeline(pipeline: str, model: str, run: str | None, form: dict[str, Any], *, as_json: bool) -> None:
    from nightshift.pipelines.request import Asked
    from nightshift.pipelines.steps import open_work, run_all

    now = datetime.now(UTC)
    run_id = run or f"shell__{now:%Y-%m-%dT%H%M%S.%fZ}"
    work = open_work(pipeline, model=model, run_id=run_id)
    outcome = run_all(pipeline, work, Asked.by_person(now=now, **form), say=_silent if as_json else _say)
    if as_json:
        print_json({"run": run_id, "folder": str(work.run.path), "outcome": outcome.sentence, "then": outcome.then})
    else:
        OUT.print(f"run folder: {work.run.path}", markup=False, soft_wrap=True)


def _replay_files(reference: Path, windows: Path, schema: Path, *, out: Path, labels: Path | None) -> None:
    from nightshift.files import write_json
    from nightshift.replay.files import replay_files

    found = replay_files(reference, windows, schema, labels=labels)
    write_json(out, found)
    OUT.print(f"{len(found)} windows judged: {out}", markup=False, soft_wrap=True)


def _replay_policy(model: str, policy: Path, *, as_json: bool) -> None:
    from nightshift.ledger import Ledger
    from nightshift.pipelines.rejudge import replay as judge_again
    from nightshift.pipelines.rejudge import side_by_side
    from nightshift.registry import ModelRegistry

    settings = Settings.load()
    declared = find_spec(settings.specs, model)
    found = judge_again(
        Ledger(settings.ledger).entries(model), declared, with_policy(declared, policy),
        settings=settings, registry=ModelRegistry(settings.mlflow, settings.releases),
    )  # fmt: skip
    if as_json:
        print_json(found.to_json())
        return
    sides = ("window", "verdict", "with policy", "decision", "with policy", "truly")
    table = Table(*sides, title=f"{model}: as it was, and with {policy.name}")
    for row in side_by_side(found):
        table.add_row(*row)
    OUT.print(table)
    for side in ("recorded", "policy"):
        told = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in found.totals(side).items())
        OUT.print(f"{side:>8}: {told}", highlight=False)


def _say(step: str, outcome: Any) -> None:
    OUT.print(f"[bold]{step:>18}[/]  ", end="")
    OUT.print(outcome.sentence, markup=False, highlight=False)


def _silent(step: str, outcome: Any) -> None:
    """Say nothing: standard output is for the JSON."""


def _version_problems(settings: Settings) -> list[str]:
    from nightshift.lineage.code import read_code
    from nightshift.lineage.data import DataRegistry
    from nightshift.lineage.environment import read_environment
    from nightshift.pipelines.definitions import changed_views

    problems: list[str] = []
    data = DataRegistry(settings.data_registry, settings.data_remote, scratch=settings.state / "data" / "scratch")
    questions = (
        lambda: read_code(settings.project).problems(),
        lambda: read_environment(settings.lock).problems(),
        data.problems,
        lambda: changed_views(settings),
    )
    for question in questions:
        try:
            problems += question()
        except ReturnToSenderError as error:
            problems += error.reasons
        except NightshiftError as error:
            problems.append(str(error))
    return problems


def _print_services(services: dict[str, dict[str, Any]]) -> None:
    table = Table("service", "state", "address", title="Services")
    for name, service in services.items():
        state = "[green]up[/]" if service["answers"] else "[red]does not answer[/]" if service["up"] else "[dim]down[/]"
        table.add_row(name, state, service["url"] or "")
    OUT.print(table)


if __name__ == "__main__":
    main()
