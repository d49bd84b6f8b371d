"""What follows from a flight's own schedule; the same function for a training frame and for a request."""

from collections.abc import Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
"""All origins are there."""


def compute(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return the features of one flight; none for what cannot be computed.

    >>> from datetime import UTC
    >>> left = datetime(2013, 7, 4, 21, 30, tzinfo=UTC)
    >>> found = compute({"scheduled_departure": left, "scheduled_arrival": left + timedelta(hours=2),
    ...                  "distance": 700.0, "plane_built": None})
    >>> found["departure_hour"], found["weekday"], found["holiday"], found["scheduled_minutes"], found["distance_band"]
    (17.5, 4.0, 1.0, 120.0, 'medium')
    """
    left, arrives = row["scheduled_departure"], row["scheduled_arrival"]
    built, distance = row["plane_built"], row["distance"]
    clock = left.astimezone(NEW_YORK) if left is not None else None
    return {
        "departure_hour": clock.hour + clock.minute / 60 if clock else None,
        "weekday": float(clock.isoweekday()) if clock else None,
        "holiday": float(clock.date() in _holidays(clock.year)) if clock else None,
        "scheduled_minutes": _minutes(arrives - left) if left is not None and arrives is not None else None,
        "distance_band": _band(distance) if distance is not None else None,
        "plane_age": left.year - built if left is not None and built is not None else None,
    }


def _minutes(span: timedelta) -> float:
    return float(span // timedelta(minutes=1))


def _band(miles: float) -> str:
    return "short" if miles < 500 else "medium" if miles < 1500 else "long"


@lru_cache(maxsize=16)
def _holidays(year: int) -> frozenset[date]:
    """Return the federal holidays of the United States, on their own days."""
    fixed = {date(year, 1, 1), date(year, 7, 4), date(year, 11, 11), date(year, 12, 25)}
    mondays = {_nth(year, 1, 0, 3), _nth(year, 2, 0, 3), _nth(year, 9, 0, 1), _nth(year, 10, 0, 2)}
    last_of_may = max(date(year, 5, day) for day in range(25, 32) if date(year, 5, day).weekday() == 0)
    return frozenset(fixed | mondays | {last_of_may, _nth(year, 11, 3, 4)})


def _nth(year: int, month: int, weekday: int, count: int) -> date:
    """Return the ``count``-th ``weekday`` (Monday is 0) of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (count - 1))
