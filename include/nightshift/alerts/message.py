"""One message to people."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self


class Level(StrEnum):
    """How bad it is, mildest first."""

    FINE = "fine"
    NOTICE = "notice"
    SERIOUS = "serious"
    URGENT = "urgent"

    @property
    def words(self) -> str:
        """What the level asks of people."""
        return MEANING[self]

    def is_worse_than(self, other: "Level") -> bool:
        """Say whether people should be told at once that it came to this.

        >>> Level.URGENT.is_worse_than(Level.NOTICE), Level.NOTICE.is_worse_than(Level.NOTICE)
        (True, False)
        """
        return list(Level).index(self) > list(Level).index(other)


MEANING = {
    Level.FINE: "all is well again",
    Level.NOTICE: "to know; it can wait for the next working day",
    Level.SERIOUS: "serious; somebody should look today",
    Level.URGENT: "urgent; somebody should look now",
}


@dataclass(frozen=True)
class Alert:
    """One message. ``incident`` is what it is about, so that repeats can be told from news.

    ``at`` is the wall clock's; before ``not_before`` no channel is asked to take it.
    """

    model: str
    incident: str
    title: str
    text: str
    at: datetime
    level: Level = Level.NOTICE
    not_before: datetime | None = None

    def to_json(self) -> dict[str, Any]:
        not_before = self.not_before.isoformat() if self.not_before else None
        return {**asdict(self), "at": self.at.isoformat(), "level": str(self.level), "not_before": not_before}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return the message; one that was written before there were levels is a notice."""
        level, later = Level(content.get("level", Level.NOTICE)), content.get("not_before")
        not_before = datetime.fromisoformat(later) if later else None
        at = datetime.fromisoformat(content["at"])
        return cls(**{**content, "at": at, "level": level, "not_before": not_before})
