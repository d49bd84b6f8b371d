"""Entries of the log as tables, one for each event day, and back into frames."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nightshift.predictions.record import EPOCH, Answered, Columns, Flaw, Refused, outcome, prediction_id

DAY_MICROS = 86_400_000_000
MOMENT = pa.timestamp("us", tz="UTC")
OWN: dict[str, pa.DataType] = {
    "prediction_id": pa.string(),
    "request_id": pa.string(),
    "at": MOMENT,
    "time": MOMENT,
    "key": pa.string(),
    "version": pa.string(),
    "refused": pa.bool_(),
    "problems": pa.string(),
    "sent": pa.string(),
    "prediction": pa.float64(),
    "probability": pa.float64(),
}
NO_FLAWS = "[]"


class Gathered:
    """Rows of one version, column by column, on their way into a table."""

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.own: dict[str, list[Any]] = {name: [] for name in (*OWN, "probabilities")}
        self.inputs: list[Any] = []

    def add(self, entry: Answered | Refused) -> None:
        """Take the rows of one entry."""
        if isinstance(entry, Answered):
            self._add_answered(entry)
        else:
            self._add_refused(entry)

    def table(self) -> pa.Table:
        """Return the rows as a table: the log's own columns, then the inputs in the model's order."""
        multiclass = self.columns.task == "multiclass"
        types = OWN | ({"prediction": pa.string(), "probabilities": pa.list_(pa.float64())} if multiclass else {})
        arrays = {name: pa.array(self.own[name], kind) for name, kind in types.items()}
        values: Iterable[Any] = zip(*self.inputs, strict=True) if self.inputs else ()
        for (name, kind), column in zip(self.columns.kinds.items(), values, strict=True):
            arrays[name] = pa.array(column, pa.float64() if kind == "numeric" else pa.string())
        return pa.table(arrays)

    def _add_answered(self, entry: Answered) -> None:
        count, own = len(entry.rows), self.own
        own["prediction_id"] += [prediction_id(entry.id, row) for row in range(count)]
        own["request_id"] += [entry.id] * count
        own["at"] += [entry.at] * count
        times = entry.times or [None] * count
        own["time"] += [entry.at if time is None else time for time in times]
        own["key"] += entry.keys or [None] * count
        own["version"] += [entry.version] * count
        own["refused"] += [False] * count
        flaws = entry.flaws
        own["problems"] += [_text(flaws[row]) if row in flaws else NO_FLAWS for row in range(count)]
        own["sent"] += [None] * count
        for output in entry.outputs:
            prediction, probability, probabilities = outcome(self.columns, output)
            own["prediction"].append(prediction)
            own["probability"].append(probability)
            own["probabilities"].append(probabilities)
        self.inputs += entry.rows

    def _add_refused(self, entry: Refused) -> None:
        nothing = (None,) * len(self.columns.kinds)
        for turned in entry.rows:
            row: dict[str, Any] = dict.fromkeys(self.own)
            row |= {
                "prediction_id": prediction_id(entry.id, turned.row),
                "request_id": entry.id,
                "at": entry.at,
                "time": entry.at if turned.time is None else turned.time,
                "key": turned.key,
                "version": entry.version,
                "refused": True,
                "problems": _text(turned.flaws),
                "sent": turned.sent,
            }
            for name, value in row.items():
                self.own[name].append(value)
            self.inputs.append(nothing)


def tables_by_day(entries: Iterable[tuple[Columns, Answered | Refused]]) -> dict[date, pa.Table]:
    """Return one table for each event day of ``entries``; rows by the time they were asked."""
    gathered: dict[tuple[str, bytes], Gathered] = {}
    for columns, entry in entries:
        same = (columns.version, msgspec.json.encode(columns.kinds))
        gathered.setdefault(same, Gathered(columns)).add(entry)
    parts: dict[date, list[pa.Table]] = defaultdict(list)
    for rows in gathered.values():
        for day, table in _split(rows.table()):
            parts[day].append(table)
    return {day: together(tables).sort_by([("at", "ascending")]) for day, tables in sorted(parts.items())}


def together(tables: list[pa.Table]) -> pa.Table:
    """Return tables of several versions as one; a column some lack is null there, one whose kind changed is text."""
    kinds: dict[str, set[pa.DataType]] = defaultdict(set)
    for table in tables:
        for field in table.schema:
            kinds[field.name].add(field.type)
    mixed = {name for name, types in kinds.items() if len(types) > 1}
    return pa.concat_tables([_as_text(table, mixed) for table in tables], promote_options="default")


def first_of_each(table: pa.Table, seen: set[str]) -> pa.Table:
    """Return the rows whose prediction id is neither in ``seen`` nor earlier in the table."""
    known, keep = set(seen), []
    for name in table.column("prediction_id").to_pylist():
        keep.append(name not in known)
        known.add(name)
    return table if all(keep) else table.filter(pa.array(keep))


def read_parts(paths: Iterable[Path]) -> pa.Table | None:
    """Return the rows of a day's files by event time; none if there is no file."""
    tables = [pq.read_table(path, pre_buffer=False, partitioning=None) for path in paths]
    return together(tables).sort_by([("time", "ascending"), ("prediction_id", "ascending")]) if tables else None


def read_ids(path: Path) -> set[str]:
    """Return the prediction ids in one file."""
    return set(pq.read_table(path, columns=["prediction_id"], partitioning=None).column(0).to_pylist())


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Return a table as a frame: moments aware and in microseconds, text as plain strings."""
    return table.to_pandas(date_as_object=False)


def problems_of(text: str) -> list[Flaw]:
    """Return what a cell of the column ``problems`` says.

    >>> problems_of('[{"column": "hour", "rule": "range", "value": 25}]')[0].rule
    'range'
    """
    return msgspec.json.decode(text, type=list[Flaw])


def _split(table: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    numbers = pc.floor(pc.divide(pc.cast(table.column("time"), pa.int64()).cast(pa.float64()), DAY_MICROS))
    for number in pc.unique(numbers).to_pylist():
        yield (EPOCH + timedelta(days=number)).date(), table.filter(pc.equal(numbers, number))


def _as_text(table: pa.Table, names: set[str]) -> pa.Table:
    for name in names & set(table.column_names):
        at = table.column_names.index(name)
        table = table.set_column(at, name, table.column(name).cast(pa.string()))
    return table


def _text(flaws: list[Flaw]) -> str:
    return json.dumps(msgspec.to_builtins(flaws), sort_keys=True)
