"""From raw tables to the rows a model learns from or is asked about, as of a moment.

A query beside the specs joins the raw tables point in time. Here it is given
its moments, kept from seeing anything but the tables, and its answer is brought
into the one shape that all steps share: key, time, label, features in declared
order; times in UTC, numbers as float64, categories as text.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from nightshift.data.source import READY, Source
from nightshift.errors import FeatureError, SourceError
from nightshift.spec import Kind, ModelSpec, Task

KNOWN_AT = "known_at"
"""Optional column of events and of the query's answer: when the label became known."""
THREADS = 2


@dataclass(frozen=True)
class Views:
    """Features that are joined from views instead of by one query.

    Parameters
    ----------
    queries
        The SQL file of each view; it sees the tables and the moments that a model's own query would see.
    join
        Makes the rows from the events (one column more: ``event_timestamp``, the moment whose knowledge is asked
        for) and the answer of each view.
    """

    queries: Mapping[str, Path]
    join: Callable[[pa.Table, Mapping[str, pa.Table]], pa.Table]


How = Path | Views | None
"""A query that gives whole rows, views to be joined, or none if the table ``rows`` has them ready."""


def assemble(
    tables: Path, spec: ModelSpec, query: How, *, start: datetime, end: datetime, as_of: datetime
) -> pd.DataFrame:
    """Return the labelled rows with time in [``start``, ``end``) as they were known at ``as_of``.

    Parameters
    ----------
    tables
        Folder with ``<table>/<day>.parquet`` and ``<table>.parquet``; nothing else can be read by the query.
    query
        SQL file; may use the moments ``$start``, ``$end``, ``$as_of`` and the intervals ``$known_before`` and
        ``$lookback``. Its answer holds key, time, label, every feature and, if labels may come late,
        ``known_at``. None takes the table ``rows``; views are each asked, and joined to the events.
    as_of
        Rows whose label was not known then (matured, and ``known_at`` past) are left out.

    Returns
    -------
    Columns key (str), time (datetime64[us, UTC]), label, then the features in declared order; sorted by time
    and key. Empty, with these columns, if no label was known.

    Raises
    ------
    FeatureError
        If a declared column is missing or of another kind, or the query fails.
    SourceError
        If there are no tables.
    """
    with _database() as database:
        _show_folder(database, tables)
        rows = _ask(database, spec, query, start=start, end=end, as_of=as_of)
    known = rows[spec.label.column].notna() & (_known_at(rows, spec) <= pd.Timestamp(as_of))
    return _shape(rows[known], spec)


def assemble_live(
    source: Source,
    spec: ModelSpec,
    query: How,
    *,
    start: datetime,
    end: datetime,
    lookback: timedelta,
) -> pd.DataFrame:
    """Return the rows with time in [``start``, ``end``) with features as a caller would know them.

    The same query on the source itself instead of on snapshots. Rows that never
    got a label (a flight that was cancelled later) are there too, as they would
    be asked about; their label is null.

    Parameters
    ----------
    lookback
        How far before ``start`` the features look.

    Returns
    -------
    The columns of :func:`assemble`.
    """
    with _database() as database:
        for name, frame in (source.extract(start - lookback, end) | source.static()).items():
            database.register(name, to_arrow(frame))
        _close_doors(database)
        rows = _ask(database, spec, query, start=start, end=end, as_of=end)
    return _shape(rows, spec)


def view_rows(
    source: Source, spec: ModelSpec, queries: Mapping[str, Path], *, start: datetime, end: datetime
) -> dict[str, pa.Table]:
    """Return what the query of each view answers of the source's events in [``start`` less the lookback, ``end``)."""
    with _database() as database:
        for name, frame in (source.extract(start - spec.time.lookback, end) | source.static()).items():
            database.register(name, to_arrow(frame))
        _close_doors(database)
        moments = {"start": start, "end": end, "as_of": end}
        return {name: _answer(database, spec, path.read_text(), path.name, **moments) for name, path in queries.items()}


def labels(source: Source, spec: ModelSpec, *, start: datetime, end: datetime, as_of: datetime) -> pd.DataFrame:
    """Return what became of the events in [``start``, ``end``), as far as it was known at ``as_of``.

    Returns
    -------
    Columns key, label, known_at (datetime64[us, UTC]); sorted by known_at and key; empty if nothing was known.
    """
    events = events_of(source.extract(start, end), spec)
    known_at = _known_at(events, spec)
    known = events[spec.label.column].notna() & (known_at <= pd.Timestamp(as_of))
    found = pd.DataFrame(
        {
            spec.key: events[spec.key].astype(str),
            spec.label.column: _label(events[spec.label.column], spec),
            KNOWN_AT: known_at,
        }
    )[known]
    return found.sort_values([KNOWN_AT, spec.key], ignore_index=True)


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """Return ``frame`` with types that follow from its dtypes alone, never from which values are null.

    Objects are text; times become microseconds in UTC. So a day whose every
    value is missing fits the days around it.
    """
    try:
        arrays = {str(name): _column_to_arrow(frame[name]) for name in frame.columns}
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise SourceError(f"a source's column cannot be stored: {error}; give text, numbers or times") from error
    return pa.table(arrays)


def _column_to_arrow(column: "pd.Series[Any]") -> pa.Array:
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if column.dtype == object or isinstance(column.dtype, pd.StringDtype):
        return pa.array(column, pa.string(), from_pandas=True)
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        moments = _utc(column).dt.tz_localize(None).to_numpy("datetime64[us]")
        return pa.array(moments).cast(pa.timestamp("us", "UTC"))
    return pa.array(column, from_pandas=True)


def events_of(tables: dict[str, pd.DataFrame], spec: ModelSpec) -> pd.DataFrame:
    """Return the one table of events that the labels are in."""
    wanted = {spec.key, spec.time.column, spec.label.column}
    found = [name for name, frame in tables.items() if wanted <= set(frame.columns)]
    if len(found) != 1:
        raise SourceError(
            f"{len(found)} of the source's tables ({', '.join(tables) or 'none'}) have the columns "
            f"{', '.join(sorted(wanted))}; exactly one must"
        )
    return tables[found[0]]


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": THREADS}) as database:
        database.execute("SET TimeZone = 'UTC'")
        yield database


def _show_folder(database: duckdb.DuckDBPyConnection, tables: Path) -> None:
    """Make each table of the folder a view, and the folder all that can be read."""
    days = {path.name: path / "*.parquet" for path in tables.glob("*") if any(path.glob("*.parquet"))}
    files = {path.stem: path for path in tables.glob("*.parquet")}
    if not days and not files:
        raise SourceError(f"{tables}: holds no tables; expected <table>/<day>.parquet or <table>.parquet")
    for name, path in (days | files).items():
        found = database.read_parquet(str(path), union_by_name=True)
        found.create_view(name)
    _close_doors(database, tables)


def _close_doors(database: duckdb.DuckDBPyConnection, *folders: Path) -> None:
    """Keep the query from reading anything that the lineage does not name."""
    names = ", ".join("'" + str(folder.resolve()).replace("'", "''") + "/'" for folder in folders)
    database.execute(f"SET allowed_directories = [{names}]")
    database.execute("SET enable_external_access = false")
    database.execute("SET lock_configuration = true")


def _ask(database: duckdb.DuckDBPyConnection, spec: ModelSpec, how: How, **moments: datetime) -> pd.DataFrame:
    """Return whole rows, however they are made."""
    if isinstance(how, Views):
        events = _answer(database, spec, _events(database, spec), "the table of events", **moments)
        views = {
            name: _answer(database, spec, path.read_text(), path.name, **moments) for name, path in how.queries.items()
        }
        return _checked(how.join(events, views).to_pandas(), spec, "the feature service")
    sql, where = (how.read_text(), how.name) if how else (_ready(spec), f"the table {READY!r}")
    return _checked(_answer(database, spec, sql, where, **moments).to_pandas(), spec, where)


def _answer(
    database: duckdb.DuckDBPyConnection, spec: ModelSpec, sql: str, where: str, **moments: datetime
) -> pa.Table:
    """Return a query's answer, given exactly the parameters that it names."""
    spans = {"known_before": spec.time.known_before, "lookback": spec.time.lookback}
    values: dict[str, Any] = {**moments, **spans}
    named = set(re.findall(r"\$([a-z_]+)", sql))
    try:
        return database.sql(sql, params={name: values[name] for name in values if name in named}).to_arrow_table()
    except duckdb.Error as error:
        raise FeatureError(f"{where}: {error}") from error


def _events(database: duckdb.DuckDBPyConnection, spec: ModelSpec) -> str:
    """Return the query for the events and the moment at which each is asked about."""
    wanted = {spec.key, spec.time.column, spec.label.column}
    tables = [name for (name,) in database.sql("SHOW TABLES").fetchall()]
    found = [name for name in tables if wanted <= set(database.table(name).columns)]
    if len(found) != 1:
        raise SourceError(
            f"{len(found)} of the tables ({', '.join(tables) or 'none'}) have the columns "
            f"{', '.join(sorted(wanted))}; exactly one must"
        )
    time = f'"{spec.time.column}"'
    moment = f"{time} - $known_before AS event_timestamp"
    return f'SELECT *, {moment} FROM "{found[0]}" WHERE {time} >= $start AND {time} < $end'  # noqa: S608


def _ready(spec: ModelSpec) -> str:
    return f'SELECT * FROM {READY} WHERE "{spec.time.column}" >= $start AND "{spec.time.column}" < $end'  # noqa: S608


def _checked(rows: pd.DataFrame, spec: ModelSpec, where: str) -> pd.DataFrame:
    wanted = [spec.key, spec.time.column, spec.label.column, *spec.features]
    missing = [name for name in wanted if name not in rows.columns]
    if missing:
        raise FeatureError(
            f"{where}: lacks {', '.join(missing)}, which the spec of {spec.name} declares; "
            f"found {', '.join(map(str, rows.columns))}"
        )
    for name in (spec.key, spec.time.column):
        if rows[name].isna().any():
            raise FeatureError(f"{where}: {name} is null in {int(rows[name].isna().sum())} rows; it never may be")
    return rows


def _known_at(rows: pd.DataFrame, spec: ModelSpec) -> "pd.Series[pd.Timestamp]":
    """Return when each label can be trusted: matured, and in fact known."""
    matured = _utc(rows[spec.time.column]) + spec.label.matures_after
    if KNOWN_AT not in rows.columns:
        return matured
    return matured.where(matured >= _utc(rows[KNOWN_AT]), _utc(rows[KNOWN_AT]))


def _shape(rows: pd.DataFrame, spec: ModelSpec) -> pd.DataFrame:
    columns: dict[str, Any] = {
        spec.key: rows[spec.key].astype(str).astype(object),
        spec.time.column: _utc(rows[spec.time.column]),
        spec.label.column: _label(rows[spec.label.column], spec),
    }
    for name, kind in spec.kinds.items():
        column = _numbers(rows[name]) if kind is Kind.NUMERIC else _categories(rows[name])
        default = spec.features[name].default
        columns[name] = column if default is None else column.where(column.notna(), default)
    return pd.DataFrame(columns).sort_values([spec.time.column, spec.key], ignore_index=True)


def _utc(column: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(column, utc=True).dt.as_unit("us")


def _label(column: "pd.Series[Any]", spec: ModelSpec) -> "pd.Series[Any]":
    return _categories(column) if spec.task is Task.MULTICLASS else _numbers(column)


def _numbers(column: "pd.Series[Any]") -> "pd.Series[float]":
    try:
        return column.astype("float64")
    except (TypeError, ValueError) as error:
        raise FeatureError(
            f"{column.name}: is declared numeric but holds {column.dtype} ({error}); declare it categorical"
        ) from error


def _categories(column: "pd.Series[Any]") -> "pd.Series[Any]":
    text = column.astype(object).where(column.notna(), None)
    return text.map(lambda value: value if value is None else str(value)).astype(object)
