"""Another version goes live by a person's word, or automatic promotion goes on again."""

from datetime import datetime
from typing import Any

from nightshift.errors import ReleaseError
from nightshift.ledger import Entry, Kind
from nightshift.pipelines.carding import show_on_card
from nightshift.pipelines.request import PromoteRequest
from nightshift.pipelines.standing import of_kind, pause
from nightshift.pipelines.work import Outcome, Then, Work

TARGET = "target.json"


def promote(work: Work) -> Outcome:
    """Make the version that passed its preflight the champion and pause automatic promotion, or end the pause.

    The pause is told first and the alias moved second, so that no build puts its
    own version back in between; tried again, what is done is not done twice.
    """
    request = PromoteRequest.of(work.run)
    if request.resume:
        return _go_on(work, request)
    target = work.run.read(TARGET)
    version, before = target["version"], target["before"]
    _tell(work, Kind.PAUSE, {**_who(work, request), "version": version})
    show_on_card(work, version)
    tags = {"promoted_by": request.user or "a person", "promoted_because": request.reason}
    work.registry.promote(work.spec.name, version, tags=tags)
    told = {**_who(work, request), "version": version, "before": before, "cause": str(request.cause), "by_hand": True}
    _tell(work, Kind.PROMOTION, {**told, "refused_yesterday": target["refused"], "rows_yesterday": target["rows"]})
    return Outcome(
        f"version {version} is the champion, before it {before}; automatic promotion is paused until "
        f"promote_{work.spec.name} is run with 'Resume automatic promotion'",
        event={"version": version},
    )


def _go_on(work: Work, request: PromoteRequest) -> Outcome:
    standing = pause(work.ledger.entries(work.spec.name))
    if standing is None:
        return Outcome("automatic promotion is not paused; nothing was changed", Then.SKIP)
    _tell(work, Kind.RESUME, {**_who(work, request), "pause": standing.id})
    said = f"automatic promotion goes on; it was paused by {standing.body['user']}: {standing.body['reason']}"
    return Outcome(said, Then.SKIP, note=said)


def _who(work: Work, request: PromoteRequest) -> dict[str, Any]:
    return {"run": work.holder, "user": request.user, "reason": request.reason}


def _tell(work: Work, kind: Kind, body: dict[str, Any]) -> None:
    """Append an entry, unless an earlier try of this run has."""
    entries = work.ledger.entries(work.spec.name)
    if any(entry.body.get("run") == work.holder for entry in of_kind(entries, kind)):
        return
    moment = _models_now(entries, work.now())
    work.ledger.append(work.spec.name, kind, start=moment, end=moment, body=body, now=work.now())


def _models_now(entries: list[Entry], clock: datetime) -> datetime:
    """Return the newest moment the ledger knows of in the model's own time, which a replay keeps in the past."""
    return max((entry.end for entry in of_kind(entries, Kind.WINDOW, Kind.PROMOTION)), default=clock)


def previous(entries: list[Entry], champion: str) -> str:
    """Return the version that answered before ``champion``; going back twice goes back by two.

    Raises
    ------
    ReleaseError
        If none did.
    """
    path: list[str] = []
    for entry in of_kind(entries, Kind.PROMOTION):
        version = str(entry.body["version"])
        path = path[: path.index(version) + 1] if version in path else [*path, version]
    earlier = path[: path.index(champion)] if champion in path else path
    if not earlier:
        raise ReleaseError(f"no version answered before version {champion}; name the version to go live")
    return earlier[-1]
