"""Which version serving is or was told to answer with, whoever is champion: notes beside the log, for all who read."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from nightshift.files import append_json, read_json, write_json

NOTE, BOOK = "pinned.json", "pins.jsonl"


@dataclass(frozen=True)
class Pinned:
    """A version that answers whoever is champion: since when, by whose key, and why.

    >>> pinned = Pinned("1", "ada", "2 refuses rain", datetime(2026, 1, 2, 3, 4, tzinfo=UTC))
    >>> pinned.sentence
    'serving answers with version 1 whoever is champion: pinned by ada on 2026-01-02 03:04 UTC, because 2 refuses rain'
    >>> Pinned.from_json(pinned.to_json()) == pinned
    True
    """

    version: str
    by: str
    reason: str
    at: datetime

    @property
    def sentence(self) -> str:
        who = f"pinned by {self.by} on {self.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, because {self.reason}"
        return f"serving answers with version {self.version} whoever is champion: {who}"

    def to_json(self) -> dict[str, Any]:
        return {"version": self.version, "by": self.by, "reason": self.reason, "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        return cls(told["version"], told["by"], told["reason"], datetime.fromisoformat(told["at"]))


@dataclass(frozen=True)
class PinnedOnce:
    """A pin from its beginning to its end; neither ``until`` nor ``ended_by`` while it lasts."""

    pinned: Pinned
    until: datetime | None = None
    ended_by: str | None = None

    @property
    def sentence(self) -> str:
        one = self.pinned
        end = (
            f"to {self.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC, ended by {self.ended_by}" if self.until else "to now"
        )
        since = f"{one.at.astimezone(UTC):%Y-%m-%d %H:%M} {end}"
        return f"version {one.version} was pinned from {since}: by {one.by}, because {one.reason}"

    def to_json(self) -> dict[str, Any]:
        until = self.until.isoformat() if self.until else None
        return {**self.pinned.to_json(), "until": until, "ended_by": self.ended_by}


def note(folder: Path, pinned: Pinned | None) -> None:
    """Leave word in a model's log folder that a version is pinned, or that none is any more.

    Raises
    ------
    OSError
        If that cannot be written.
    """
    if pinned is None:
        (folder / NOTE).unlink(missing_ok=True)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / NOTE, {"format": 1, **pinned.to_json()})


def pinned_in(folder: Path) -> Pinned | None:
    """Return what is pinned by the note in a model's log folder; none if there is none, or it cannot be read."""
    try:
        return Pinned.from_json(read_json(folder / NOTE))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_down(folder: Path, what: Pinned | None, *, by: str, at: datetime) -> None:
    """Add to a model's book of pins that a version was pinned, or that the one before was ended ``by`` somebody.

    Raises
    ------
    OSError
        If that cannot be written.
    """
    append_json(folder / BOOK, {"at": at.isoformat(), "by": by, "pinned": what.to_json() if what else None})


def pins(folder: Path) -> list[PinnedOnce]:
    """Return all pins of a model's book, oldest first; empty without one. A line that was cut is passed over."""
    found: list[PinnedOnce] = []
    try:
        lines = (folder / BOOK).read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            told = json.loads(line)
            at, by = datetime.fromisoformat(told["at"]), told["by"]
            pinned = Pinned.from_json(told["pinned"]) if told["pinned"] else None
        except (ValueError, KeyError, TypeError):
            continue
        if found and found[-1].until is None:
            found[-1] = replace(found[-1], until=at, ended_by=by)
        if pinned:
            found.append(PinnedOnce(pinned))
    return found
