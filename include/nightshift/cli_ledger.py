"""The part of the command ``nightshift`` that asks the ledger, and tells it what people say."""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from getpass import getuser
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from nightshift.errors import RequestError, UnavailableError
from nightshift.settings import Settings
from nightshift.spec import UNITS, ModelSpec, find_spec

if TYPE_CHECKING:
    from nightshift.ledger import Entry, Ledger

app = typer.Typer()
OUT = Console(soft_wrap=True, markup=False, highlight=False)

Model = Annotated[str, typer.Argument(help="Name of a model declared in include/specs.")]
Subject = Annotated[str, typer.Argument(help='A column, a metric, or a segment such as "carrier = UA".')]
By = Annotated[str, typer.Option("--by", default_factory=getuser, help="Who says so; kept for those who come after.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept as well.")]
Lasts = Annotated[str, typer.Option("--for", help="How long from the last window on, for example 28d.")]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs instead of text for people.")]


@app.command()
def why(
    model: Model,
    date: Annotated[str, typer.Argument(help="A moment of the window, in the model's time: 2013-05-20.")],
    as_json: AsJson = False,
) -> None:
    """Tell why a window was judged and decided as it was: signals, verdict, decision, rule, because."""
    from nightshift.pipelines.why import explain, lines, window_at

    ledger, spec = _open(model)
    entries = ledger.entries(spec.name)
    told = explain(entries, window_at(entries, spec.name, _moment(date)))
    if as_json:
        print_json(told)
    else:
        for line in lines(told):
            OUT.print(line)


@app.command()
def history(model: Model, as_json: AsJson = False) -> None:
    """Tell which version was champion when, by whose decision, what a rebuild said of it, and what was pinned."""
    from nightshift.pipelines.history import reigns, stray
    from nightshift.predictions.pinned import pinned_in, pins
    from nightshift.registry import ModelRegistry

    ledger, spec = _open(model)
    settings, entries = Settings.load(), ledger.entries(spec.name)
    told, moved = reigns(entries), None
    try:
        champion = ModelRegistry(settings.mlflow, settings.releases, wait_seconds=2).champion(spec.name)
        moved = stray(entries, champion.version if champion else None)
    except UnavailableError as error:
        moved = f"whether the alias agrees is not known: {error}"
    folder = settings.predictions / spec.name
    pinned, once = pinned_in(folder), pins(folder)
    if as_json:
        champions = [reign.to_json() for reign in told]
        content = {
            "model": spec.name,
            "champions": champions,
            "pinned": pinned.to_json() if pinned else None,
            "pins": [one.to_json() for one in once],
            "warning": moved,
        }
        print_json(content)
        return
    for reign in told:
        since = f"{reign.since:%Y-%m-%d %H:%M}" if reign.since else "some time"
        until = f"{reign.until:%Y-%m-%d %H:%M} UTC" if reign.until else "now"
        OUT.print(f"version {reign.version}  {since} to {until}  by {reign.by}: {reign.reason}")
        OUT.print(f"    after {reign.before or 'none'}, from {reign.run}; rebuilt: {reign.certificate or 'not yet'}")
    if not told:
        OUT.print(f"{spec.name} has never had a champion; build it")
    for one in once:
        if one.until:
            OUT.print(one.sentence)
    if pinned:
        OUT.print(pinned.sentence)
    if moved:
        OUT.print(moved)


@app.command()
def release(
    model: Model,
    day: Annotated[str, typer.Argument(help="A day of the blocked window, in the model's time: 2013-05-20.")],
    reason: Reason,
    by: By,
) -> None:
    """Let the next snapshot take the days of a window that was BROKEN."""
    from nightshift.pipelines.people import release as say

    _tell(model, lambda ledger, spec: say(ledger, spec, _moment(day), _word(by, reason)), "released")


@app.command()
def accept(model: Model, subject: Subject, reason: Reason, by: By, lasts: Lasts = "26w") -> None:
    """Take what the last window says of a column, metric or segment as the new normal."""
    from nightshift.pipelines.people import accept as say

    _tell(
        model,
        lambda ledger, spec: [say(ledger, spec, subject, _word(by, reason), lasts=_span(lasts))],
        "accepted as normal",
    )


@app.command()
def snooze(model: Model, subject: Subject, reason: Reason, by: By, lasts: Lasts = "4w") -> None:
    """Let nothing but BROKEN be said of a column, metric or segment for a while."""
    from nightshift.pipelines.people import snooze as say

    _tell(model, lambda ledger, spec: [say(ledger, spec, subject, _word(by, reason), lasts=_span(lasts))], "snoozed")


@app.command()
def retrain(model: Model, reason: Reason, by: By) -> None:
    """Wish for a retrain: the next window that is not BROKEN asks for it, within the week's budget."""
    from nightshift.pipelines.people import wish

    _tell(model, lambda ledger, spec: [wish(ledger, spec, _word(by, reason))], "asked for")


@app.command()
def reset(model: Model, reason: Reason, by: By) -> None:
    """Forgive the retrains that brought nothing, so that the governor may ask again."""
    from nightshift.pipelines.people import reset as say

    _tell(model, lambda ledger, spec: [say(ledger, spec, _word(by, reason))], "forgiven")


def print_json(content: Any) -> None:
    """Write JSON for programs on standard output, and nothing else."""
    sys.stdout.write(json.dumps(content, indent=2, sort_keys=True) + "\n")


def _tell(model: str, say: "Callable[[Ledger, ModelSpec], list[Entry]]", done: str) -> None:
    ledger, spec = _open(model)
    for entry in say(ledger, spec):
        subject = f"{entry.body['subject']}, " if "subject" in entry.body else ""
        OUT.print(
            f"{done}: {spec.name}, {subject}{entry.start:%Y-%m-%d} to {entry.end:%Y-%m-%d}, "
            f"by {entry.body['by']}: {entry.body['reason']}"
        )


def _open(model: str) -> "tuple[Ledger, ModelSpec]":
    from nightshift.ledger import Ledger  # brings SQLAlchemy: only what asks the ledger pays

    settings = Settings.load()
    return Ledger(settings.ledger), find_spec(settings.specs, model)


def _word(by: str, reason: str) -> Any:
    from nightshift.pipelines.people import Word

    return Word(by, reason, datetime.now(UTC))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise RequestError(f'{text!r} is no moment; give one such as "2013-05-20" or "2013-05-20T06:00Z"') from None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def _span(text: str) -> timedelta:
    match = re.fullmatch(r"([1-9][0-9]{0,4}) *([mhdw])", text.strip())
    if not match:
        raise RequestError(f'--for is {text!r}; give a number and a unit (m, h, d or w), for example "28d"')
    return timedelta(**{UNITS[match[2]]: int(match[1])})
