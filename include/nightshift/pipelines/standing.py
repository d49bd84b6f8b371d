"""What the ledger's entries mean together: what is blocked, quiet, asked for and forgiven, and what came of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from nightshift.governor import Retrain, Trigger
from nightshift.ledger import Entry, Kind
from nightshift.verdict import Status

DAY = timedelta(days=1)


def of_kind(entries: Iterable[Entry], *kinds: Kind) -> list[Entry]:
    """Return the entries of some kinds, in their order."""
    return [entry for entry in entries if entry.kind in kinds]


def earlier_verdicts(windows: Iterable[Entry], version: str | None, since: datetime, *, newest: int) -> list[Status]:
    """Return the ``newest`` verdicts of windows before ``since`` on one version, oldest first.

    Another version's illness is not its own. No hour counts twice: of windows that
    overlap, as one asked for by hand may, the latest counts, or the longest.
    """
    kept: list[Status] = []
    for entry in sorted(windows, key=lambda one: (-one.end.timestamp(), one.start)):
        if len(kept) == newest:
            break
        if entry.end <= since and entry.body["version"] == version:
            kept.append(Status(entry.body["verdict"]["status"]))
            since = entry.start
    return kept[::-1]


def blocks(entries: Sequence[Entry]) -> list[Entry]:
    """Return the blocks that stand: of windows that were BROKEN and that nobody has released, by window."""
    released = {(entry.start, entry.end) for entry in of_kind(entries, Kind.RELEASE)}
    standing = {(entry.start, entry.end): entry for entry in of_kind(entries, Kind.BLOCK)}
    return [standing[window] for window in sorted(standing) if window not in released]


def was_released(entries: Sequence[Entry], start: datetime, end: datetime) -> bool:
    """Say whether a person released the window: it is not blocked again, however often it is judged."""
    return any((entry.start, entry.end) == (start, end) for entry in of_kind(entries, Kind.RELEASE))


def blocked_days(entries: Sequence[Entry]) -> set[date]:
    """Return the days that no snapshot may take: all that a standing block touches."""
    found: set[date] = set()
    for block in blocks(entries):
        day = block.start.date()
        while datetime(day.year, day.month, day.day, tzinfo=block.end.tzinfo) < block.end:
            found.add(day)
            day += DAY
    return found


def retrains(entries: Sequence[Entry], *, waiting: bool) -> list[Retrain]:
    """Return every retrain that was asked for, oldest first, with what came of it.

    It helped if the new champion does better than the one before on later rows
    that neither had learned from; not so if it does not, if the candidate failed
    its gates, or if nothing came of it at all. As long as the newest is
    ``waiting`` for its build, and until later rows are known, nobody can say.
    """
    # of a year of windows few asked for one: the others are not read
    told = (entry for entry in of_kind(entries, Kind.WINDOW) if '"retrain":true' in entry.text)
    asked = sorted({entry.end for entry in told if entry.body["decision"]["retrain"]})
    return [Retrain(end, _helped(entries, end, waiting=waiting and end == asked[-1])) for end in asked]


def _helped(entries: Sequence[Entry], asked: datetime, *, waiting: bool) -> bool | None:
    promotions = of_kind(entries, Kind.PROMOTION)
    promoted = [entry for entry in promotions if entry.end == asked and not entry.body.get("by_hand")]
    if promoted:
        version = promoted[-1].body["version"]
        if any(entry.body.get("by_hand") and entry.body["before"] == version for entry in promotions):
            return False  # a person took it back
        told = [entry.body["helped"] for entry in of_kind(entries, Kind.HELP) if entry.body["version"] == version]
        return told[-1] if told else None
    return None if waiting else False


def wish(entries: Sequence[Entry]) -> Entry | None:
    """Return a person's wish for a retrain that has not been met; it waits until it can be."""
    wishes = of_kind(entries, Kind.WISH)
    if not wishes:
        return None
    met = (
        entry.body["decision"]["retrain"] and entry.body["decision"].get("trigger") == Trigger.PERSON
        for entry in of_kind(entries, Kind.WINDOW)
        if entry.id > wishes[-1].id
    )
    return None if any(met) else wishes[-1]


def pause(entries: Sequence[Entry]) -> Entry | None:
    """Return the pause of automatic promotion that stands; none if there is none, or a person ended it."""
    told = of_kind(entries, Kind.PAUSE, Kind.RESUME)
    return told[-1] if told and told[-1].kind is Kind.PAUSE else None


def pause_words(entries: Sequence[Entry]) -> str | None:
    """Say that builds promote nothing, since when, by whom and why; none if they do."""
    standing = pause(entries)
    if standing is None:
        return None
    return f"since {standing.at:%Y-%m-%d %H:%M} by {standing.body['user'] or 'a person'}: {standing.body['reason']}"


def reset(entries: Sequence[Entry]) -> datetime | None:
    """Return up to which moment a person forgave the retrains that brought nothing; none if never."""
    return max((entry.end for entry in of_kind(entries, Kind.RESET)), default=None)


@dataclass(frozen=True)
class Quiet:
    """What a person said of a column, a metric or a segment, until a moment.

    ``levels`` are the sizes of each check that were accepted as the new normal;
    none: it is snoozed, whatever its size.
    """

    subject: str
    until: datetime
    author: str
    reason: str
    levels: dict[str, float | None] | None = None

    @property
    def words(self) -> str:
        done = "snoozed" if self.levels is None else "accepted"
        return f"{done} by {self.author} until {self.until:%Y-%m-%d}: {self.reason}"


def quiets(entries: Sequence[Entry], *, end: datetime) -> dict[str, Quiet]:
    """Return what is quiet in the window that ends at ``end``, by subject; the newest word counts.

    What was accepted was accepted of one champion: the next one has learned
    the new normal, or is asked again.
    """
    champion_since = max((entry.id for entry in of_kind(entries, Kind.PROMOTION)), default=0)
    found: dict[str, Quiet] = {}
    for entry in of_kind(entries, Kind.ACCEPTANCE, Kind.SNOOZE):
        outlived = entry.kind is Kind.ACCEPTANCE and entry.id < champion_since
        if entry.start < end <= entry.end and not outlived:
            found[entry.body["subject"]] = _quiet(entry.body, entry.end)
    return found


def _quiet(body: dict[str, Any], until: datetime) -> Quiet:
    return Quiet(body["subject"], until, body["by"], body["reason"], body.get("levels"))
