"""One judged window as a person reads it: the word, why, and what was decided because of it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self

from nightshift.ledger import Entry
from nightshift.verdict import Status, Verdict


@dataclass(frozen=True)
class Night:
    """A window's newest judgement; ``entry`` is the number of it in the ledger.

    ``because`` is the decision's own sentence; ``restated`` tells because of
    what the window was judged again, empty if it was not.
    """

    entry: int
    start: datetime
    end: datetime
    judged_at: datetime
    run: str
    rows: int
    version: str | None
    status: Status
    why: str
    retrain: bool
    rule: str
    because: str
    restated: str

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Return the window that an entry of the ledger judges."""
        body, decision = entry.body, entry.body["decision"]
        return cls(
            entry=entry.id,
            start=entry.start,
            end=entry.end,
            judged_at=entry.at,
            run=body["run"],
            rows=body["rows"],
            version=body["version"],
            status=Status(body["verdict"]["status"]),
            why=body.get("why") or Verdict.from_json(body["verdict"]).why,
            retrain=decision["retrain"],
            rule=decision["rule"],
            because=decision["sentence"],
            restated=(body.get("restated") or {}).get("because", ""),
        )

    @property
    def title(self) -> str:
        """The window's days in words."""
        return days(self.start, self.end)


def days(start: datetime, end: datetime) -> str:
    """Return a stretch of time as people say it; its end is not part of it.

    >>> from datetime import UTC
    >>> monday = datetime(2013, 5, 20, tzinfo=UTC)
    >>> days(monday, monday + timedelta(days=7)), days(monday, monday + timedelta(days=1))
    ('20 – 26 May 2013', '20 May 2013')
    >>> days(monday, monday + timedelta(hours=6)), days(monday + timedelta(days=8), monday + timedelta(days=15))
    ('20 May 2013, 00:00 – 06:00', '28 May – 3 Jun 2013')
    """
    last = end - timedelta(microseconds=1)
    if end - start < timedelta(days=1):
        return f"{start.day} {start:%b %Y, %H:%M} – {end:%H:%M}"
    if start.date() == last.date():
        return f"{start.day} {start:%b %Y}"
    if (start.year, start.month) == (last.year, last.month):
        return f"{start.day} – {last.day} {last:%b %Y}"
    first = f"{start.day} {start:%b}" + (f" {start.year}" if start.year != last.year else "")
    return f"{first} – {last.day} {last:%b %Y}"


def columns_of(entry: Entry) -> dict[str, dict[str, Any]]:
    """Return what the ledger itself keeps of single columns: those that moved most."""
    found: dict[str, dict[str, Any]] = entry.body.get("signals", {}).get("columns", {})
    return found
