"""The ledger as people read it: each entry a line with what, because of what, and by whom."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightshift.ledger import Entry, Kind
from nightshift.views.night import Night, days


@dataclass(frozen=True)
class Line:
    """One entry in words; ``about`` is the stretch of time it is about, ``status`` a verdict or nothing."""

    entry: int
    at: datetime
    kind: Kind
    about: str
    status: str
    what: str
    because: str
    by: str
    run: str


def line_of(entry: Entry) -> Line:
    """Return an entry in words.

    >>> from datetime import UTC
    >>> day = datetime(2026, 1, 1, tzinfo=UTC)
    >>> text = '{"subject": "wind", "by": "ada", "reason": "a storm"}'
    >>> said = Entry(7, "bikes", Kind.SNOOZE, day, day, day, text)
    >>> line_of(said).what, line_of(said).because, line_of(said).by
    ('wind was snoozed', 'a storm', 'ada')
    """
    body = entry.body
    status, what, because = _WORDS.get(entry.kind, _other)(entry)
    return Line(
        entry=entry.id,
        at=entry.at,
        kind=entry.kind,
        about=days(entry.start, entry.end) if entry.end > entry.start else "",
        status=status,
        what=what,
        because=because,
        by=str(body.get("by") or body.get("user") or ""),
        run=str(body.get("run") or ""),
    )


Words = tuple[str, str, str]


def _window(entry: Entry) -> Words:
    night = Night.of(entry)
    again = f"judged again, because {night.restated}: " if night.restated else ""
    return str(night.status), f"{again}{night.why}", night.because


def _promotion(entry: Entry) -> Words:
    body = entry.body
    before = f", after version {body['before']}" if body.get("before") else ""
    how = " by hand" if body.get("by_hand") else ""
    return "", f"version {body['version']} went live{how}{before}", _reason(body)


def _build(entry: Entry) -> Words:
    return str(entry.body["verdict"]["status"]), "a candidate was refused; the champion stays", entry.body["why"]


def _certificate(entry: Entry) -> Words:
    body = entry.body
    said = "identical" if body["identical"] else f"not identical: {body['first_difference']}"
    return ("PASS" if body["identical"] else "FAIL"), f"version {body['version']} was rebuilt: {said}", _reason(body)


def _block(entry: Entry) -> Words:
    return "BROKEN", "its days are kept from training", "; ".join(entry.body["reasons"])


def _help(entry: Entry) -> Words:
    helped = {True: "PASS", False: "FAIL", None: ""}[entry.body["helped"]]
    return helped, f"did version {entry.body['version']} help?", entry.body["sentence"]


def _quiet(entry: Entry) -> Words:
    done = "accepted as normal" if entry.kind is Kind.ACCEPTANCE else "snoozed"
    return "", f"{entry.body['subject']} was {done}", _reason(entry.body)


def _said(what: str) -> Callable[[Entry], Words]:
    return lambda entry: ("", what, _reason(entry.body))


def _other(entry: Entry) -> Words:
    return "", str(entry.body.get("sentence") or entry.body.get("what") or entry.kind), _reason(entry.body)


def _reason(body: Mapping[str, Any]) -> str:
    return str(body.get("reason") or body.get("cause") or "")


_WORDS: dict[Kind, Callable[[Entry], Words]] = {
    Kind.WINDOW: _window,
    Kind.PROMOTION: _promotion,
    Kind.BUILD: _build,
    Kind.CERTIFICATE: _certificate,
    Kind.BLOCK: _block,
    Kind.HELP: _help,
    Kind.ACCEPTANCE: _quiet,
    Kind.SNOOZE: _quiet,
    Kind.RELEASE: _said("its days may be learned from again"),
    Kind.WISH: _said("a retrain was wished for"),
    Kind.RESET: _said("retrains that brought nothing were forgiven"),
    Kind.PAUSE: _said("automatic promotion was paused"),
    Kind.RESUME: _said("automatic promotion goes on"),
}
