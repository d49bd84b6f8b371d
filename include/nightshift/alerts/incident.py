"""One message for one incident: when it opens, when there is news of it, when it is over.

What was told last is a file for each incident. A report that says nothing new
is counted and kept quiet; the next message says how many there were.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from nightshift.alerts.channels import Address, in_environment
from nightshift.alerts.message import Alert, Level
from nightshift.alerts.outbox import Sent, deliver, send
from nightshift.errors import SettingsError
from nightshift.files import read_json, write_json
from nightshift.spec import Alerts

INCIDENTS = "incidents"


@dataclass(frozen=True)
class Report:
    """How one thing about a model is now, for people.

    ``thing`` names what can have an incident of its own, in words that can be a
    file's name; a ``level`` of FINE ends it. ``since`` is when it began and ``of``
    which moment it speaks of, both in the model's time; a report of an earlier
    moment than the last is history. ``key`` is what makes it news: two reports with
    the same key say the same to people.
    """

    model: str
    thing: str
    level: Level
    title: str
    key: str
    at: datetime
    facts: tuple[str, ...] = ()
    since: datetime | None = None
    of: datetime | None = None
    decided: str = ""
    to_do: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Told:
    """What became of a report: the message and who took it, or why nothing was said."""

    sentence: str
    alert: Alert | None = None
    sent: Sent | None = None


@dataclass(frozen=True)
class Incident:
    """What people were told last of an incident (``title`` to ``to_do``); ``quiet`` reports have come since."""

    level: Level
    key: str
    opened: datetime
    told: datetime
    messages: int
    quiet: int = 0
    since: datetime | None = None
    of: datetime | None = None
    is_open: bool = True
    title: str = ""
    facts: tuple[str, ...] = ()
    to_do: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        moments = {name: _text(getattr(self, name)) for name in ("opened", "told", "since", "of")}
        return {"format": 1, **asdict(self), **moments, "level": str(self.level)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        moments = {name: _moment(content[name]) for name in ("opened", "told", "since", "of")}
        lists = {name: tuple(content.get(name, ())) for name in ("facts", "to_do")}
        known = {name: value for name, value in content.items() if name != "format"}
        return cls(**{**known, **moments, **lists, "level": Level(content["level"])})


def tell(report: Report, policy: Alerts, *, folder: Path, address: Address = in_environment) -> Told:
    """Tell people of ``report`` if it is news to them; what waited for a channel is sent first.

    Worse than what they know is told at once, also in quiet hours if it is
    URGENT. Other reasons than before are told when ``policy.cooldown`` is over,
    and the same as before every ``policy.remind``.
    """
    file = folder / INCIDENTS / f"{report.model}.{report.thing.replace(' ', '-')}.json"
    with _alone(file):
        known = Incident.from_json(read_json(file)) if file.exists() else None
        if known and report.of and known.of and report.of < known.of:
            return _silence(report, "a later moment was told of already", folder, address)
        before = known if known and known.is_open else None
        what = _news(report, before, policy)
        if what is None:
            if before:
                write_json(file, replace(before, quiet=before.quiet + 1, of=report.of or before.of).to_json())
            why = "people know it, and nothing is new" if before else "nobody needs to be told"
            return _silence(report, why, folder, address)
        after = _after(report, before)
        alert = _alert(report, what, before, after, policy)
        # told first and remembered second: who is killed in between tells it twice, and never not at all
        try:
            sent = send(alert, policy.channels, folder=folder, address=address)
        except SettingsError:
            write_json(file, after.to_json())  # one channel has no address; the others were told
            raise
        write_json(file, after.to_json())
    return Told(_sentence(what, sent), alert, sent)


def _news(report: Report, before: Incident | None, policy: Alerts) -> str | None:
    """Return what a message would be called; none if there is none to send."""
    if report.level is Level.FINE:
        return "resolved" if before else None
    if before is None:
        return "opened"
    if report.level.is_worse_than(before.level):
        return "worse"
    rest = policy.remind if report.key == before.key else policy.cooldown
    return None if report.at - before.told < rest else "still open" if report.key == before.key else "updated"


def _after(report: Report, before: Incident | None) -> Incident:
    opened, since = (before.opened, before.since) if before else (report.at, report.since)
    return Incident(
        level=report.level,
        key=report.key,
        opened=opened,
        told=report.at,
        messages=before.messages + 1 if before else 1,
        since=since,
        of=report.of or (before.of if before else None),
        is_open=report.level is not Level.FINE,
        title=report.title,
        facts=report.facts,
        to_do=report.to_do,
    )


def open_incidents(folder: Path, model: str) -> dict[str, Incident]:
    """Return what people were told of a model and is not over, by thing, oldest first; empty if all is well.

    A file that cannot be read is left out: the alert itself was sent.
    """
    found = {}
    for file in folder.joinpath(INCIDENTS).glob(f"{model}.*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            incident = Incident.from_json(read_json(file))
            if incident.is_open:
                found[file.name.split(".")[1].replace("-", " ")] = incident
    return dict(sorted(found.items(), key=lambda one: (one[1].opened, one[0])))


def _alert(report: Report, what: str, before: Incident | None, after: Incident, policy: Alerts) -> Alert:
    lines = [f"How bad: {report.level.words}."]
    lines += [f"- {fact}" for fact in report.facts]
    lines += _since(before, after)
    lines += [f"Decided: {report.decided}."] if report.decided else []
    lines += [f"To do: {step}" for step in report.to_do]
    lines += [f"{name}: {url}" for name, url in report.links]
    quiet = policy.quiet.over(report.at) if policy.quiet and report.level is not Level.URGENT else None
    incident = f"{report.model}:{report.thing}"
    return Alert(report.model, incident, f"{report.title} ({what})", "\n".join(lines), report.at, report.level, quiet)


def _since(before: Incident | None, after: Incident) -> list[str]:
    words = [f"Since: {after.since:%Y-%m-%d %H:%M}"] if after.since else []
    if before:
        more = f", {before.quiet} more in between said nothing new" if before.quiet else ""
        words.append(f"Message {after.messages} since {after.opened:%Y-%m-%d %H:%M} UTC{more}")
    return ["; ".join(words)] if words else []


def _silence(report: Report, why: str, folder: Path, address: Address) -> Told:
    deliver(folder, now=report.at, address=address)  # what a channel did not take earlier, or was held back
    return Told(why)


def _sentence(what: str, sent: Sent) -> str:
    refused = f"; {', '.join(sent.failed)} did not take it" if sent.failed else ""
    held = f"; {', '.join(sent.held)} after the quiet hours" if sent.held else ""
    return f"told {', '.join(sent.channels) or 'nobody'} ({what}){refused}{held}"


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Keep other processes from telling the same incident meanwhile."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _moment(text: str | None) -> Any:
    return datetime.fromisoformat(text) if text else None
