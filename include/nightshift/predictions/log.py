"""The prediction log of one model: appended to by servers, read by event time.

On disk, below ``<predictions>/<model>/``::

    segments/<writer>-<n>.log          entries as they came, one writer for each file
    days/day=<YYYY-MM-DD>/<n>.parquet  the same rows by event day, each once
    pinned.json                        which version was pinned by whom, while one is
    compacted.json                     which files make up which day, and how far segments were read
    damaged/                           segments with damage in their middle, for a person to look at
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from nightshift.predictions.compaction import compact
from nightshift.predictions.days import OWN, read_parts, to_frame
from nightshift.predictions.frames import frame
from nightshift.predictions.manifest import Lost, Manifest
from nightshift.predictions.record import Answered, Columns, Refused, encode
from nightshift.predictions.segments import SegmentWriter, writer_name

SHADOW = "shadow"
"""Folder of a challenger's own log, below the model's."""
READ_TRIES = 5
DAY = timedelta(days=1)


@dataclass(frozen=True)
class LogWindow:
    """What the log holds of the event times [start, end).

    ``rows`` were answered and ``refused`` turned away; ``versions`` counts the
    answered rows by the model version that made them; ``duplicates`` are rows
    of callers' retries, counted once; ``gaps`` are days of the window without an
    answer; ``damaged`` is what could not be read.
    """

    start: datetime
    end: datetime
    rows: int
    refused: int
    versions: dict[str, int]
    duplicates: int
    gaps: tuple[date, ...]
    damaged: tuple[Lost, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            **self.__dict__,
            "start": self.start.isoformat(),
            "end": self.end.isoformat(),
            "gaps": [day.isoformat() for day in self.gaps],
            "damaged": [lost.to_json() for lost in self.damaged],
        }


class PredictionLog:
    """The log in ``folder``; nothing is made on disk before the first append.

    >>> from tempfile import mkdtemp
    >>> from nightshift.predictions.record import micros
    >>> log = PredictionLog(Path(mkdtemp()))
    >>> asked = datetime(2013, 5, 1, 12, tzinfo=UTC)
    >>> columns = Columns("bikes", "1", "", "regression", {"temperature": "numeric"})
    >>> log.append(columns, [Answered("a1", micros(asked), "1", [(21.5,)], [130.0])])
    >>> manifest = log.compact()
    >>> rows, window = log.window(asked, asked + timedelta(days=1))
    >>> rows[["prediction_id", "prediction", "temperature"]].to_dict("records")
    [{'prediction_id': 'a1-0', 'prediction': 130.0, 'temperature': 21.5}]
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def append(self, columns: Columns, entries: Iterable[Answered | Refused]) -> None:
        """Write entries into a segment of their own and return when they are on the disk.

        For tools and tests; a server keeps one writer and shares its syncs
        (:class:`~nightshift.predictions.commit.GroupCommit`).

        Raises
        ------
        PredictionLogError
            If they cannot be written.
        """
        columns.check()
        writer = SegmentWriter(self.folder, name=writer_name(datetime.now(UTC)))
        writer.write([(columns, frame(encode(entry))) for entry in entries])
        writer.close()

    def compact(self) -> Manifest:
        """Move what is new in the segments into the days; see :func:`~nightshift.predictions.compaction.compact`."""
        return compact(self.folder)

    def days(self, start: datetime, end: datetime) -> Iterator[tuple[date, pd.DataFrame]]:
        """Yield each day's rows with event times in [start, end), oldest day first; each partition is read once.

        Only what was compacted. Days without rows are left out. The columns are
        ``prediction_id, request_id, at, time, key, version, refused, problems``
        (JSON), ``sent, prediction, probability`` and each input as number or text;
        rows are by event time.
        """
        return self._days(Manifest.read(self.folder), start, end)

    def _days(self, manifest: Manifest, start: datetime, end: datetime) -> Iterator[tuple[date, pd.DataFrame]]:
        for day in _days_of(start, end):
            if day in manifest.parts:
                rows = self._day(day, manifest.parts[day])
                inside = rows[(rows["time"] >= start) & (rows["time"] < end)]
                if len(inside):
                    yield day, inside.reset_index(drop=True)

    def window(self, start: datetime, end: datetime) -> tuple[pd.DataFrame, LogWindow]:
        """Return all rows with event times in [start, end), and what there is to say of them.

        Rows that were turned away are among them, marked ``refused``. No row at
        all is an empty frame with the log's own columns.
        """
        manifest = Manifest.read(self.folder)
        days = dict(self._days(manifest, start, end))
        rows = pd.concat(days.values(), ignore_index=True) if days else _no_rows()
        return rows, _summary(manifest, start, end, rows)

    def _day(self, day: date, names: Sequence[str]) -> pd.DataFrame:
        for attempt in range(READ_TRIES):
            try:
                table = read_parts(self.folder / "days" / name for name in names)
            except FileNotFoundError:  # a compaction has just written the day anew
                if attempt == READ_TRIES - 1:
                    raise
                names = Manifest.read(self.folder).parts[day]
                continue
            return _no_rows() if table is None else to_frame(table)
        raise AssertionError("unreachable: the last attempt returns or raises")


def _summary(manifest: Manifest, start: datetime, end: datetime, rows: pd.DataFrame) -> LogWindow:
    answered = rows[~rows["refused"].astype(bool)]
    spanned = list(_days_of(start, end))
    with_rows = set(answered["time"].dt.date)
    return LogWindow(
        start=start,
        end=end,
        rows=len(answered),
        refused=len(rows) - len(answered),
        versions={str(version): int(count) for version, count in answered["version"].value_counts().items()},
        duplicates=sum(manifest.duplicates.get(day, 0) for day in spanned),
        gaps=tuple(day for day in spanned if day not in with_rows),
        damaged=tuple(lost for lost in manifest.lost if lost.day is None or lost.day in spanned),
    )


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _days_of(start: datetime, end: datetime) -> Iterator[date]:
    day = start.astimezone(UTC).date()
    while _begin(day) < end:
        yield day
        day += DAY


def _no_rows() -> pd.DataFrame:
    return to_frame(pa.schema(list(OWN.items())).empty_table())
