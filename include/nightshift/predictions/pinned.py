"""Which version serving was told to answer with, whoever is champion: a note beside the log, for all who read that."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from nightshift.files import read_json, write_json

NOTE = "pinned.json"


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
