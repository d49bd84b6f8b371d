"""A source's days as files whose bytes follow from their rows alone."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any, Self

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.data.source import Source
from nightshift.data.tables import events_of, to_arrow
from nightshift.errors import NightshiftError, SourceError
from nightshift.files import write_bytes
from nightshift.spec import ModelSpec

DAY = timedelta(days=1)
LOOKBACK = timedelta(days=30)
"""How much older than the oldest split rows are taken from a source that has no first day."""


@dataclass(frozen=True)
class SnapshotReport:
    """What a snapshot took.

    ``empty`` are days that had no events: they are asked for again next time.
    ``rows`` counts the new events by table; ``newest`` is the newest day that is
    now known, new or not.
    """

    days: tuple[date, ...]
    empty: tuple[date, ...]
    rows: dict[str, int]
    newest: date

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "days": [day.isoformat() for day in self.days],
            "empty": [day.isoformat() for day in self.empty],
            "rows": self.rows,
            "newest": self.newest.isoformat(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(
            tuple(map(date.fromisoformat, content["days"])),
            tuple(map(date.fromisoformat, content["empty"])),
            content["rows"],
            date.fromisoformat(content["newest"]),
        )


def write_partitions(
    source: Source, spec: ModelSpec, *, have: Collection[date], as_of: datetime, to: Path
) -> SnapshotReport:
    """Write ``<to>/<table>/<day>.parquet`` for each day not in ``have`` whose labels have matured at ``as_of``.

    Days are UTC days of the event's time. Tables without time are written whole,
    as ``<to>/<table>.parquet``. The same rows give the same bytes. Without anything to
    write ``to`` is an empty folder.

    Raises
    ------
    SourceError
        If no day is known at all, or the newest is older than ``source.stale_after`` allows, or the source
        fails, or gives for a day what is not of that day.
    """
    to.mkdir(parents=True, exist_ok=True)
    days, empty, rows = [], [], dict[str, int]()
    for day in _mature_days(spec, as_of):
        if day in have:
            continue
        tables = _extract(source, spec, day)
        if events_of(tables, spec).empty:
            empty.append(day)
            continue
        days.append(day)
        for name, frame in tables.items():
            write_table(to / name / f"{day}.parquet", frame)
            rows[name] = rows.get(name, 0) + len(frame)
    newest = _newest([*have, *days], spec, as_of)
    for name, frame in source.static().items():
        write_table(to / f"{name}.parquet", frame)
    return SnapshotReport(tuple(days), tuple(empty), rows, newest)


def _extract(source: Source, spec: ModelSpec, day: date) -> dict[str, pd.DataFrame]:
    """Return a day's tables, all events in them being of that day: what is published once is never taken back."""
    where = f"the source {spec.source.module or spec.source.path}"
    try:
        tables = source.extract(_midnight(day), _midnight(day) + DAY)
    except NightshiftError:
        raise
    except Exception as error:  # it is somebody's own code: whatever it throws is told as what it is
        raise SourceError(
            f"{where} failed on {day}: {type(error).__name__}: {error}; mend it, then build again"
        ) from error
    if not isinstance(tables, dict) or not all(isinstance(frame, pd.DataFrame) for frame in tables.values()):
        raise SourceError(f"{where} gave {type(tables).__name__} for {day}; expected tables (DataFrames) by name")
    times = events_of(tables, spec)[spec.time.column]
    foreign = times[times.isna() | (times < _midnight(day)) | (times >= _midnight(day) + DAY)]
    if len(foreign):
        raise SourceError(
            f"{where} gave {len(foreign):,} of {len(times):,} events for {day} that are not of that day, the first at "
            f"{foreign.iloc[0]}; nothing was taken: mend extract(start, end), which must give events in [start, end)"
        )
    return tables


def days_in(names: Collection[str]) -> set[date]:
    """Return the days among file names of a data version.

    >>> days_in(["flights/2013-01-01.parquet", "planes.parquet"])
    {datetime.date(2013, 1, 1)}
    """
    return {day for name in names if (day := _day_of(Path(name)))}


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write rows as Parquet with fixed settings, whole or not at all."""
    table = to_arrow(frame).replace_schema_metadata(None)
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", compression_level=3, version="2.6", store_schema=True)
    write_bytes(path, sink.getvalue().to_pybytes())


def _day_of(path: Path) -> date | None:
    try:
        return date.fromisoformat(path.stem) if len(path.parts) > 1 else None
    except ValueError:
        return None


def _mature_days(spec: ModelSpec, as_of: datetime) -> Iterator[date]:
    """Yield every day from the source's first to the last whose labels can be trusted at ``as_of``."""
    reach = spec.split.train + spec.split.validation + spec.split.test + LOOKBACK
    day = spec.time.first or (as_of - reach).date()
    while _midnight(day) + DAY + spec.label.matures_after <= as_of and (
        spec.time.last is None or day <= spec.time.last
    ):
        yield day
        day += DAY


def _newest(days: list[date], spec: ModelSpec, as_of: datetime) -> date:
    where = spec.source.module or spec.source.path
    if not days:
        raise SourceError(
            f"the source {where} gave no events up to {as_of:%Y-%m-%d %H:%M} UTC; "
            "see whether it is reachable, and whether time.first in the spec is right"
        )
    newest = max(days)
    age = as_of - spec.label.matures_after - (_midnight(newest) + DAY)
    if age > spec.source.stale_after:
        raise SourceError(
            f"the newest events of {where} are of {newest}, {age} older than they could be at "
            f"{as_of:%Y-%m-%d %H:%M} UTC; source.stale_after allows {spec.source.stale_after}. "
            "Mend the source, or raise the limit."
        )
    return newest


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
