"""Who answered when, by whose decision; and whether anybody moved the alias past the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nightshift.ledger import Entry, Kind


@dataclass(frozen=True)
class Reign:
    """The time in which one version was champion; ``until`` is none while it is.

    ``certificate`` is what the newest rebuild of the version said, none if there was none.
    """

    version: str
    since: datetime
    until: datetime | None
    before: str | None
    by: str
    reason: str
    run: str
    certificate: str | None

    def to_json(self) -> dict[str, Any]:
        until = self.until.isoformat() if self.until else None
        return {**self.__dict__, "since": self.since.isoformat(), "until": until}


def reigns(entries: Sequence[Entry]) -> list[Reign]:
    """Return the champions of a model as the ledger tells them, oldest first; empty if nothing was promoted."""
    promotions = [entry for entry in entries if entry.kind is Kind.PROMOTION]
    said = {entry.body["version"]: _said(entry) for entry in entries if entry.kind is Kind.CERTIFICATE}
    ends = [*(entry.at for entry in promotions[1:]), None]
    return [
        Reign(
            version=entry.body["version"],
            since=entry.at,
            until=until,
            before=entry.body.get("before"),
            by=entry.body.get("user") or entry.body.get("cause") or "nobody named",
            reason=entry.body.get("reason") or "",
            run=entry.body["run"],
            certificate=said.get(entry.body["version"]),
        )
        for entry, until in zip(promotions, ends, strict=False)
    ]


def _said(entry: Entry) -> str:
    return "identical" if entry.body["identical"] else f"differs: {entry.body['first_difference']}"


def stray(entries: Sequence[Entry], champion: str | None) -> str | None:
    """Say that the registry's champion is not the one the ledger knows of; none if it is.

    A promotion by Nightshift moves the alias and tells the ledger. An alias that
    was moved in MLflow itself has passed no gate and nobody's approval.

    Parameters
    ----------
    champion
        Version that the registry's alias points to now; none if there is no alias.
    """
    known = next((reign.version for reign in reversed(reigns(entries))), None)
    if champion == known:
        return None
    return (
        f"the alias champion points to {f'version {champion}' if champion else 'no version'}, "
        f"the ledger knows of {f'version {known}' if known else 'no promotion'}: it was moved in MLflow by hand, "
        "past gates and approval. Promote the version that should answer, then both agree"
    )
