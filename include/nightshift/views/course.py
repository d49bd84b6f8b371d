"""How right the answers were over time: as it came true, as it was estimated, and when another version took over."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from nightshift.ledger import Entry, Kind
from nightshift.pipelines.standing import of_kind

MILLISECONDS = 1000


class Point(NamedTuple):
    """A metric in one window: the window's place among those shown, and where a chart puts it.

    ``x`` is the end of the stretch it was measured on, in milliseconds; ``y`` the
    value, ``low`` and ``high`` its interval.
    """

    place: int
    x: int
    y: float
    low: float
    high: float


@dataclass(frozen=True)
class Course:
    """One metric over the windows, as it came true and as it was estimated."""

    metric: str
    realised: tuple[Point, ...]
    estimated: tuple[Point, ...]


@dataclass(frozen=True)
class Change:
    """Another version took over: ``x`` is when, in the model's time; of a build, what it had learned until."""

    x: int
    version: str
    how: str


def courses(windows: Sequence[Entry]) -> list[Course]:
    """Return the course of each metric that was ever measured or estimated, by name; empty without any."""
    names = sorted(
        {
            name
            for entry in windows
            for what in ("realised", "estimated")
            for name in entry.body.get("signals", {}).get(what, {})
        }
    )
    return [
        Course(name, tuple(_points(windows, "realised", name)), tuple(_points(windows, "estimated", name)))
        for name in names
    ]


def changes(entries: Sequence[Entry]) -> list[Change]:
    """Return when which version became champion, oldest first."""
    return [
        Change(int(entry.end.timestamp() * MILLISECONDS), str(entry.body["version"]), _how(entry.body))
        for entry in of_kind(entries, Kind.PROMOTION)
    ]


def _how(body: Mapping[str, Any]) -> str:
    return "by hand" if body.get("by_hand") else str(body.get("cause") or "")


def _points(windows: Sequence[Entry], what: str, metric: str) -> Iterator[Point]:
    for place, entry in enumerate(windows):
        signals = entry.body.get("signals", {})
        found = signals.get(what, {}).get(metric)
        if found is None or found.get("value") is None:
            continue
        cohort = signals.get("cohort") if what == "realised" else None
        end = datetime.fromisoformat(cohort["end"]) if cohort else entry.end
        yield Point(
            place, int(end.timestamp() * MILLISECONDS), *(round(found[name], 6) for name in ("value", "low", "high"))
        )
