"""Whether a person lets a release go live: who may say so, what they said, and what follows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from nightshift.ledger import Entry, Kind
from nightshift.pipelines.request import BuildRequest, Cause
from nightshift.pipelines.standing import of_kind
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.spec import ModelSpec

ASKED = "approval.json"


class Said(StrEnum):
    """What came of asking: a void answer is asked for again."""

    APPROVED = "approved"
    REFUSED = "refused"
    EXPIRED = "expired"
    VOID = "void"


@dataclass(frozen=True)
class Response:
    """What a person answered; ``user`` is none if nobody did in time."""

    approves: bool
    reason: str
    user: str | None


def time_left(work: Work) -> timedelta:
    """Return how long the answer may still take; counted from when it was first asked for, however often it is."""
    if not work.run.file(ASKED).exists():
        work.run.write(ASKED, {"format": 1, "asked": work.now().isoformat()})
    asked = datetime.fromisoformat(work.run.read(ASKED)["asked"])
    return max(asked + work.spec.approval.expires - work.now(), timedelta(seconds=30))


def settle(work: Work, response: Response) -> tuple[Said, Outcome]:
    """Write the answer into the ledger and return what it came to; void: the same must be asked again.

    That nobody answered in time is no answer where somebody did after all.
    """
    before = answered(work) if response.user is None else None
    if before:
        return before
    version, starters = work.run.read("release.json")["version"], started_by(work)
    why_void = _why_void(work.spec, response, starters)
    if response.user is None:
        said = Said.EXPIRED
    elif why_void:
        said = Said.VOID
    else:
        said = Said.APPROVED if response.approves else Said.REFUSED
    reason = why_void or response.reason.strip() or _nobody(work.spec, said)
    body = {"run": work.holder, "version": version, "answer": str(said), "by": response.user, "reason": reason,
            "started_by": starters}  # fmt: skip
    moment = BuildRequest.of(work.run).as_of
    work.ledger.append(work.spec.name, Kind.APPROVAL, start=moment, end=moment, body=body, now=work.now())
    return _follow(work, body)


def answered(work: Work) -> tuple[Said, Outcome] | None:
    """Return what the answer that counted came to; none if the release still waits for one.

    Airflow may lose the task that has just written it down, and try again: who has answered is not asked twice.
    """
    body = _counting(work.ledger.entries(work.spec.name), work.run.read("release.json")["version"], work.holder)
    return _follow(work, body) if body else None


def _follow(work: Work, body: Mapping[str, Any]) -> tuple[Said, Outcome]:
    said = Said(body["answer"])
    who = f" by {body['by']}" if body["by"] else ""
    sentence = f"version {body['version']} is {said}{who}: {body['reason']}"
    if said in (Said.REFUSED, Said.EXPIRED):
        work.ledger.end_lease(work.spec.name, work.holder, now=work.now())
        return said, Outcome(sentence, Then.STOP, note=sentence)
    return said, Outcome(sentence)


def voids(work: Work) -> list[str]:
    """Return why earlier answers to the same question did not count, oldest first; empty if there were none."""
    answers = [one.body for one in of_kind(work.ledger.entries(work.spec.name), Kind.APPROVAL)]
    return [body["reason"] for body in answers if body["run"] == work.holder and body["answer"] == Said.VOID]


def _why_void(spec: ModelSpec, response: Response, starters: Sequence[str]) -> str:
    """Return why an answer cannot count; empty if it can. That nobody answered is an answer."""
    if response.user is None:
        return ""
    if spec.approval.approvers and response.user not in spec.approval.approvers:
        return f"{response.user} is none of the approvers: {', '.join(spec.approval.approvers)}"
    if response.approves and spec.approval.four_eyes and list(starters) == [response.user]:
        return f"{response.user} alone started this build; somebody else must approve it"
    if not response.approves and not response.reason.strip():
        return f"{response.user} refused it and did not say why; a no needs a reason"
    return ""


def _nobody(spec: ModelSpec, said: Said) -> str:
    days = spec.approval.expires / timedelta(days=1)
    return f"nobody answered within {days:g} days" if said is Said.EXPIRED else "no reason given"


def started_by(work: Work) -> list[str]:
    """Return the people behind a build: who asked for it, or wished for the retrain; empty for a night's."""
    request = BuildRequest.of(work.run)
    if request.cause is Cause.PERSON:
        return [request.user] if request.user else []
    asking = asked_by(work.ledger.entries(work.spec.name), request)
    if asking is None or asking.body["decision"].get("trigger") != "person":
        return []
    wishes = [entry for entry in work.ledger.entries(work.spec.name, Kind.WISH) if entry.id < asking.id]
    return [wishes[-1].body["by"]] if wishes else []


def asked_by(entries: Sequence[Entry], request: BuildRequest) -> Entry | None:
    """Return the window whose decision asked for this build; none if no window did."""
    windows = [
        entry
        for entry in of_kind(entries, Kind.WINDOW)
        if entry.end == request.as_of and entry.body["decision"]["retrain"]
    ]
    return windows[-1] if windows and request.cause is Cause.EVENT else None


def unapproved(entries: Sequence[Entry], version: str, run: str) -> str | None:
    """Say why a build may not promote its version by itself; none if a person approved it."""
    last = _counting(entries, version, run)
    if last is None:
        return "it waits for a person's approval, in Airflow"
    return None if last["answer"] == Said.APPROVED else f"it was {last['answer']}: {last['reason']}"


def _counting(entries: Sequence[Entry], version: str, run: str) -> Mapping[str, Any] | None:
    """Return the last answer that counts to whether a build's version goes live; none if there is none."""
    answers = [one.body for one in of_kind(entries, Kind.APPROVAL) if one.body["run"] == run]
    answers = [body for body in answers if body["version"] == version and body["answer"] != Said.VOID]
    return answers[-1] if answers else None


def may_go_live_by(entries: Sequence[Entry], spec: ModelSpec, version: str, user: str | None) -> str | None:
    """Say why ``user`` may not let a version go live by hand; none if they may.

    A version that was live before, or that somebody approved, was said yes to
    already: who goes back in trouble needs nobody. Any other is an approval by
    another door.
    """
    if spec.promotion != "approve":
        return None
    was_live = any(one.body["version"] == version for one in of_kind(entries, Kind.PROMOTION))
    about = [one.body for one in of_kind(entries, Kind.APPROVAL) if one.body["version"] == version]
    if was_live or any(body["answer"] == Said.APPROVED for body in about):
        return None
    starters: list[Any] = about[-1]["started_by"] if about else []
    reason = _why_void(spec, Response(True, "by hand", user or "nobody"), starters)
    return f"version {version} was never approved: {reason}" if reason else None
