"""Train, validation and test rows: apart in time, pinned by content, checked for leaks."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.data.leaks import leaks
from nightshift.data.snapshot import write_table
from nightshift.errors import SplitError
from nightshift.files import read_json, write_json
from nightshift.spec import ModelSpec, Task

NAMES = ("train", "validation", "test")
FORMAT = 1


@dataclass(frozen=True)
class SplitRecord:
    """What pins one split.

    ``start`` and ``end`` bound the time that was asked for, [start, end);
    ``first`` and ``last`` are the rows' own, none if there are no rows.
    ``digest`` follows from the rows alone, whatever file they are in.
    ``label_mean`` is the share of ones for a binary label, none for classes.
    ``repeated`` counts the rows whose every feature has the values of a row in
    an older split: common where features are few and coarse, suspicious else.
    """

    name: str
    digest: str
    rows: int
    start: datetime
    end: datetime
    first: datetime | None
    last: datetime | None
    label_mean: float | None
    repeated: int

    def to_json(self) -> dict[str, Any]:
        moments = {"start": self.start, "end": self.end, "first": self.first, "last": self.last}
        return {
            "name": self.name,
            "digest": self.digest,
            "rows": self.rows,
            **{name: moment.isoformat() if moment else None for name, moment in moments.items()},
            "label_mean": self.label_mean,
            "repeated": self.repeated,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        moments = {
            name: datetime.fromisoformat(content[name]) if content[name] else None
            for name in ("start", "end", "first", "last")
        }
        return cls(**{**content, **moments})


@dataclass(frozen=True)
class Splits:
    """The rows a model learns from, is stopped by, and is judged on: oldest first."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    records: dict[str, SplitRecord]
    as_of: datetime

    @property
    def digests(self) -> dict[str, str]:
        """Content digest of each split, by name."""
        return {name: record.digest for name, record in self.records.items()}

    def frames(self) -> Iterator[tuple[str, pd.DataFrame]]:
        """Yield name and rows of each split, oldest first."""
        yield from ((name, getattr(self, name)) for name in NAMES)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "as_of": self.as_of.isoformat(),
            "splits": {name: record.to_json() for name, record in self.records.items()},
        }

    def write(self, folder: Path) -> None:
        """Write ``train.parquet``, ``validation.parquet``, ``test.parquet`` and, last, ``split.json``."""
        for name, rows in self.frames():
            write_table(folder / f"{name}.parquet", rows)
        write_json(folder / "split.json", self.to_json())

    def check(self, spec: ModelSpec) -> None:
        """Refuse splits that would teach or judge wrongly.

        Raises
        ------
        SplitError
            With every problem: what :func:`~nightshift.data.leaks.leaks` found, and splits
            with fewer than ``split.rows_min`` rows.
        """
        problems = [
            f"{name} has {len(rows)} rows from {self.records[name].start:%Y-%m-%d} to "
            f"{self.records[name].end:%Y-%m-%d}; split.rows_min asks for {spec.split.rows_min}"
            for name, rows in self.frames()
            if len(rows) < spec.split.rows_min
        ]
        problems += leaks(dict(self.frames()), spec, as_of=self.as_of)
        if problems:
            raise SplitError("the splits cannot be used:\n" + "\n".join(f"  - {p}" for p in problems))


def make_splits(table: pd.DataFrame, spec: ModelSpec, *, as_of: datetime) -> Splits:
    """Cut the assembled table by time, backward from ``as_of``: test is the newest, train the oldest.

    Nothing is checked yet; see :meth:`Splits.check`.
    """
    ordered = table.sort_values([spec.time.column, spec.key], ignore_index=True)
    bounds = _bounds(spec, as_of)
    frames = {name: _within(ordered, spec.time.column, *bounds[name]) for name in NAMES}
    repeated = _repeated(frames, spec)
    records = {
        name: SplitRecord(
            name,
            content_digest(frames[name]),
            len(frames[name]),
            *bounds[name],
            *_range(frames[name], spec.time.column),
            _label_mean(frames[name], spec),
            repeated[name],
        )
        for name in NAMES
    }
    return Splits(**frames, records=records, as_of=as_of)


def read_splits(folder: Path) -> Splits:
    """Return the splits that :meth:`Splits.write` left in ``folder``.

    Raises
    ------
    SplitError
        If a file is missing, or its rows have another digest than ``split.json`` recorded.
    """
    try:
        content = read_json(folder / "split.json")
        frames = {name: pq.read_table(folder / f"{name}.parquet").to_pandas() for name in NAMES}
    except (OSError, ValueError) as error:
        raise SplitError(f"{folder}: holds no complete splits: {error}; run the step split again") from error
    records = {name: SplitRecord.from_json(record) for name, record in content["splits"].items()}
    for name, rows in frames.items():
        found = content_digest(rows)
        if found != records[name].digest:
            raise SplitError(
                f"{folder / name}.parquet: its rows have digest {found}, split.json says {records[name].digest}; "
                "somebody changed one of them: run the step split again"
            )
    return Splits(**frames, records=records, as_of=datetime.fromisoformat(content["as_of"]))


def content_digest(rows: pd.DataFrame) -> str:
    """Return a SHA-256 of names, kinds, order and values of ``rows``, whatever file they came from.

    Missing is one value however it is spelled (None, NaN of any payload, NaT),
    and so is zero of either sign.

    >>> one = content_digest(pd.DataFrame({"a": [1.0, np.nan], "b": ["x", None]}))
    >>> other = content_digest(pd.DataFrame({"a": [1.0, None], "b": ["x", np.nan]}))
    >>> one == other
    True
    """
    total = hashlib.sha256()
    for name in rows.columns:
        kind, parts = _canonical(rows[name])
        total.update(f"{len(str(name))}:{name}:{kind}:{len(rows)}:".encode())
        for part in parts:
            total.update(np.ascontiguousarray(part).data)
    return total.hexdigest()


def _bounds(spec: ModelSpec, as_of: datetime) -> dict[str, tuple[datetime, datetime]]:
    test = as_of - spec.split.test
    validation = test - spec.split.validation
    train = validation - spec.split.train
    return {"train": (train, validation), "validation": (validation, test), "test": (test, as_of)}


def _within(ordered: pd.DataFrame, column: str, start: datetime, end: datetime) -> pd.DataFrame:
    first, after = ordered[column].searchsorted([pd.Timestamp(start), pd.Timestamp(end)])
    return ordered.iloc[first:after].reset_index(drop=True)


def _range(rows: pd.DataFrame, column: str) -> tuple[datetime | None, datetime | None]:
    if rows.empty:
        return None, None
    return rows[column].min().to_pydatetime(), rows[column].max().to_pydatetime()


def _label_mean(rows: pd.DataFrame, spec: ModelSpec) -> float | None:
    if rows.empty or spec.task is Task.MULTICLASS:
        return None
    return float(rows[spec.label.column].mean())


def _repeated(frames: dict[str, pd.DataFrame], spec: ModelSpec) -> dict[str, int]:
    seen: set[int] = set()
    counts = {}
    for name in NAMES:
        marks = pd.util.hash_pandas_object(frames[name][list(spec.features)], index=False)
        counts[name] = int(marks.isin(seen).sum())
        seen |= set(marks)
    return counts


def _canonical(column: "pd.Series[Any]") -> tuple[str, list[Any]]:
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return "time", [pd.to_datetime(column, utc=True).dt.as_unit("us").to_numpy("datetime64[us]").view("i8")]
    if pd.api.types.is_numeric_dtype(column.dtype):
        numbers = column.to_numpy("float64", na_value=np.nan) + 0.0
        return "number", [np.where(np.isnan(numbers), np.nan, numbers)]
    text = pa.array(column.astype(object), pa.large_string(), from_pandas=True)
    _, offsets, content = text.buffers()
    missing = text.is_null().to_numpy(zero_copy_only=False)
    return "text", [missing, np.frombuffer(offsets, "i8", len(text) + 1), np.frombuffer(content or b"", "u1")]
