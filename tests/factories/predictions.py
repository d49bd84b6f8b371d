"""Prediction logs as tests need them: small, and only what matters said."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from nightshift.predictions.record import Answered, Columns, Flaw, Refused, Turned, micros

NOON = datetime(2013, 5, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def columns(version: str = "1", **changes: Any) -> Columns:
    """Return the columns of a version of ``flights``: numeric ``distance``, categorical ``carrier``."""
    usual: dict[str, Any] = {
        "model": "flights",
        "version": version,
        "package": "ab" * 32,
        "task": "binary",
        "kinds": {"distance": "numeric", "carrier": "categorical"},
        "key": "flight_id",
        "time": "scheduled",
    }
    return Columns(**(usual | changes))


def answered(
    name: str = "a1",
    *,
    times: Iterable[datetime | None] | None = (NOON,),
    at: datetime = NOON,
    version: str = "1",
    outputs: Sequence[Any] | None = None,
    rows: Sequence[Any] | None = None,
    keys: Sequence[str | None] | None = None,
    flaws: dict[int, list[Flaw]] | None = None,
) -> Answered:
    """Return one answered request with a row for each of ``times``."""
    moments = None if times is None else [None if time is None else micros(time) for time in times]
    count = len(moments) if moments is not None else len(rows or [None])
    return Answered(
        id=name,
        at=micros(at),
        version=version,
        rows=list(rows or [(100.0 + row, "UA") for row in range(count)]),
        outputs=list(outputs or [0.25] * count),
        keys=list(keys) if keys else None,
        times=moments,
        flaws=flaws or {},
    )


def refused(name: str = "x1", *, time: datetime = NOON, at: datetime = NOON, version: str = "1") -> Refused:
    """Return one request of which row 2 was turned away."""
    flaw = Flaw("distance", "range", -5, "0 to 5000", refused=True)
    return Refused(name, micros(at), version, [Turned(2, '{"distance":-5}', [flaw], "f9", micros(time))])


def joined(label: Sequence[Any], *, days: Sequence[int] | None = None, **given: Sequence[Any]) -> pd.DataFrame:
    """Return predictions with their labels, as performance is measured on."""
    day = days or [0] * len(label)
    times = pd.to_datetime([NOON + number * DAY for number in day])
    return pd.DataFrame({"time": times, "label": label, **given})
