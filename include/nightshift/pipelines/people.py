"""What people say of a model, kept in its ledger with who and why: release, accept, snooze, wish, reset."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches
from typing import Any

from nightshift.errors import RequestError
from nightshift.ledger import Entry, Kind, Ledger
from nightshift.pipelines.output import OUTPUT
from nightshift.pipelines.quieting import excess
from nightshift.pipelines.standing import blocks
from nightshift.spec import WATCHED, ModelSpec
from nightshift.verdict import Status, Verdict

OTHERS = (OUTPUT, "rows", "labels", "inputs")
"""What checks speak of beside columns and metrics."""


@dataclass(frozen=True)
class Word:
    """Who says it, why, and when; in which ``run``, if by a form."""

    by: str
    reason: str
    at: datetime
    run: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("by", self.by), ("reason", self.reason)):
            if not value.strip():
                raise RequestError(f"--{name} is empty; say who you are and why, it is kept for those who come after")

    @property
    def body(self) -> dict[str, Any]:
        """What an entry keeps of it."""
        return {"by": self.by, "reason": self.reason} | ({"run": self.run} if self.run else {})


def release(ledger: Ledger, spec: ModelSpec, moment: datetime, word: Word) -> list[Entry]:
    """Let the next snapshot take the days of each blocked window that holds ``moment``.

    Raises
    ------
    RequestError
        If no block holds it.
    """
    standing = blocks(ledger.entries(spec.name))
    held = [block for block in standing if block.start <= moment < block.end]
    if not held:
        known = ", ".join(f"{block.start:%Y-%m-%d}" for block in standing) or "none"
        raise RequestError(
            f"nothing of {spec.name} is blocked on {moment:%Y-%m-%d %H:%M}; blocked are windows from: {known}"
        )
    return [
        ledger.append(
            spec.name,
            Kind.RELEASE,
            start=block.start,
            end=block.end,
            body={**word.body, "block": block.id},
            now=word.at,
        )
        for block in held
    ]


def accept(ledger: Ledger, spec: ModelSpec, subject: str, word: Word, *, lasts: timedelta) -> Entry:
    """Take what the last window says of ``subject`` as the new normal, until a new champion or ``lasts`` is over.

    A check of it speaks again when it is a quarter further from what is allowed.

    Raises
    ------
    RequestError
        If there is no such subject, or the last window says nothing against it.
    """
    last = _last_window(ledger, spec, subject)
    checks = Verdict.from_json(last.body["verdict"]).reasons
    levels = {check.name: excess(check) for check in checks if check.subject == subject}
    segment = last.body.get("segments", {}).get(subject, {"status": Status.HEALTHY})
    if not levels and segment["status"] in (Status.HEALTHY, Status.UNKNOWN):
        speaking = ", ".join(sorted({check.subject for check in checks})) or "nothing"
        raise RequestError(
            f"the window from {last.start:%Y-%m-%d} says nothing against {subject}, so there is nothing to accept; "
            f"what speaks: {speaking}"
        )
    if not levels:
        levels = {check.name: excess(check) for check in Verdict.from_json(_plain(segment)).reasons}
    return _say(ledger, Kind.ACCEPTANCE, spec, last, subject, word, lasts, levels=levels)


def snooze(ledger: Ledger, spec: ModelSpec, subject: str, word: Word, *, lasts: timedelta) -> Entry:
    """Let no check of ``subject`` but BROKEN speak, from the last window on until ``lasts`` is over.

    Raises
    ------
    RequestError
        If there is no such subject, or no window was judged yet.
    """
    return _say(ledger, Kind.SNOOZE, spec, _last_window(ledger, spec, subject), subject, word, lasts, levels=None)


def wish(ledger: Ledger, spec: ModelSpec, word: Word) -> Entry:
    """Ask for a retrain; the next window that is not BROKEN asks for it, within the week's budget."""
    return ledger.append(spec.name, Kind.WISH, start=word.at, end=word.at, body=word.body, now=word.at)


def reset(ledger: Ledger, spec: ModelSpec, word: Word) -> Entry:
    """Forgive the retrains that brought nothing: the governor may ask again, without longer rests."""
    asked = [entry.end for entry in ledger.entries(spec.name, Kind.WINDOW) if entry.body["decision"]["retrain"]]
    until = max(asked, default=word.at)
    return ledger.append(spec.name, Kind.RESET, start=until, end=until, body=word.body, now=word.at)


def _say(
    ledger: Ledger,
    kind: Kind,
    spec: ModelSpec,
    last: Entry,
    subject: str,
    word: Word,
    lasts: timedelta,
    *,
    levels: dict[str, float | None] | None,
) -> Entry:
    body = {**word.body, "subject": subject}
    return ledger.append(
        spec.name,
        kind,
        start=last.start,
        end=last.end + lasts,
        body=body if levels is None else {**body, "levels": levels},
        now=word.at,
    )


def _last_window(ledger: Ledger, spec: ModelSpec, subject: str) -> Entry:
    _check_subject(spec, subject)
    windows = ledger.windows(spec.name)
    if not windows:
        raise RequestError(f"no window of {spec.name} was judged yet, so there is nothing to answer for")
    return windows[-1]


def _check_subject(spec: ModelSpec, subject: str) -> None:
    column, equals, _ = subject.partition(" = ")
    known = [*spec.features, *WATCHED[spec.task], *OTHERS]
    fine = column in spec.monitor.segments if equals else subject in known
    if fine:
        return
    if equals:
        raise RequestError(f"{subject!r} is no segment of {spec.name}; monitor.segments declares: "
                           f"{', '.join(spec.monitor.segments) or 'none'}")  # fmt: skip
    near = get_close_matches(subject, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
    raise RequestError(f'{spec.name} has no column, metric or segment ("carrier = UA") called {subject!r}; {hint}')


def _plain(segment: dict[str, object]) -> dict[str, object]:
    return {"status": segment["status"], "checks": segment["checks"]}
