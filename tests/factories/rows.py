"""Arrow tables of every kind of value a file may hold, and their profiles."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.profile.profile import Profile
from nightshift.profile.streamed import profile_rows

NOON = dt.datetime(2013, 5, 20, 12, tzinfo=dt.UTC)
HOSTILE = {
    "nothing": pa.nulls(4),
    "all_null": pa.array([None] * 4, pa.float64()),
    "odd": pa.array([float("inf"), float("-inf"), float("nan"), -0.0]),
    "extreme": pa.array([1.7e308, -1.7e308, 5e-324, 0.0]),
    "huge": pa.array([2**62, 2**62 + 1, -(2**63), None]),
    "unsigned": pa.array([2**64 - 1, 2**64 - 2, 0, 1], pa.uint64()),
    "tiny": pa.array([-128, 127, 0, None], pa.int8()),
    "half": pa.array([0.5, 1.5, None, 0.5], pa.float16()),
    "flag": pa.array([True, False, None, True]),
    "money": pa.array([Decimal("1.10"), Decimal("1.10"), Decimal("-2.00"), None], pa.decimal128(10, 2)),
    "moment": pa.array([NOON, NOON + dt.timedelta(microseconds=1), None, NOON], pa.timestamp("us", "UTC")),
    "nanos": pa.array([0, 1, 10**18, None], pa.timestamp("ns")),
    "day": pa.array([dt.date(1, 1, 1), dt.date(9999, 12, 31), None, dt.date(1970, 1, 1)]),
    "clock": pa.array([dt.time(12), dt.time(23, 59, 59), None, dt.time(0)]),
    "span": pa.array([dt.timedelta(1), dt.timedelta(-1), None, dt.timedelta(0)]),
    "text": pa.array(["", "a\0b", "<script>alert('é漢😀')</script>", None]),
    "long": pa.array(["x" * 10_000, " ", "NaN", "null"]),
    "bytes": pa.array([b"\xff\x00", b"", None, b"\xff\x00"]),
    "coded": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "__proto__": pa.array(["constructor", "toString", "__proto__", "1"]),
}
"""Columns of four rows; what a profile must survive."""


def hostile() -> pa.Table:
    """Return a table of all hostile columns."""
    return pa.table(HOSTILE)


def profiled(table: pa.Table, *, batch: int | None = None, like: Profile | None = None) -> Profile:
    """Return the profile of a table that comes in batches of so many rows."""
    return profile_rows(
        table.schema, len(table), lambda names: table.select(list(names)).to_batches(max_chunksize=batch), like=like
    )


def written(folder: Path, *tables: pa.Table) -> Sequence[Path]:
    """Return Parquet files, one for each table."""
    paths = [folder / f"part-{number}.parquet" for number in range(len(tables))]
    for path, table in zip(paths, tables, strict=True):
        pq.write_table(table, path)
    return paths
