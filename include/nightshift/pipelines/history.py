"""Who answered when, by whose decision; and whether anybody moved the alias past the ledger."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from nightshift.files import read_json
from nightshift.ledger import Entry, Kind
from nightshift.pipelines.work import Work
from nightshift.registry.release import Release

NOBODY = "nobody named"
UNTOLD = "found in its place by the next; a promotion was killed half way, or the alias was moved by hand"


@dataclass(frozen=True)
class Reign:
    """The time in which one version was champion; ``until`` is none while it is.

    ``since`` is none if the ledger was never told, only that the next champion
    found it in its place: a promotion that was killed half way and never tried
    again, or an alias moved by hand. ``certificate`` is what the newest rebuild
    of the version said, none if there was none.
    """

    version: str
    since: datetime | None
    until: datetime | None
    before: str | None
    by: str
    reason: str
    run: str
    certificate: str | None

    def to_json(self) -> dict[str, Any]:
        until = self.until.isoformat() if self.until else None
        return {**self.__dict__, "since": self.since.isoformat() if self.since else None, "until": until}


def reigns(entries: Sequence[Entry]) -> list[Reign]:
    """Return the champions of a model as the ledger tells them, oldest first; empty if nothing was promoted."""
    said = {entry.body["version"]: _said(entry) for entry in entries if entry.kind is Kind.CERTIFICATE}
    told: list[Reign] = []
    for entry in entries:
        if entry.kind is Kind.PROMOTION:
            version, before = entry.body["version"], entry.body.get("before")
            last = told[-1].version if told else None
            if told:
                told[-1] = replace(told[-1], until=entry.at)
            if before not in (None, last, version):
                told.append(Reign(before, None, entry.at, last, NOBODY, UNTOLD, "a run unknown", said.get(before)))
            told.append(_reign(entry, said.get(version)))
    return told


def _reign(entry: Entry, certificate: str | None) -> Reign:
    body = entry.body
    by, reason = body.get("user") or body.get("cause") or NOBODY, body.get("reason") or ""
    return Reign(body["version"], entry.at, None, body.get("before"), by, reason, body["run"], certificate)


def _said(entry: Entry) -> str:
    return "identical" if entry.body["identical"] else f"differs: {entry.body['first_difference']}"


def champion_or_last(work: Work) -> Release | None:
    """Return the champion; where the alias is gone, the newest one the ledger tells of that is still registered.

    An alias or a version that somebody removed in MLflow opens no gate: what is
    built next is held to the champion that was known, not waved through as if it
    were the first. None only if there never was one, or none of them is left.
    """
    champion = work.registry.champion(work.spec.name)
    if champion is not None:
        return champion
    told = [reign.version for reign in reigns(work.ledger.entries(work.spec.name))]
    held = {release.version: release for release in work.registry.versions(work.spec.name)} if told else {}
    return next((held[version] for version in reversed(told) if version in held), None)


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


def learned_until(work: Work, version: str) -> datetime:
    """Return the first moment whose rows a version has not learned from.

    From what was attached and is verified: a tag is anybody's to change.
    """
    splits = read_json(work.registry.evidence(work.spec.name, version, "split.json"))["splits"]
    return datetime.fromisoformat(splits["validation"]["end"])
