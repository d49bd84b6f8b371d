"""Where a model's rows come from: a module beside the specs, or Parquet files with ready columns."""

import importlib.util
import inspect
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Protocol, runtime_checkable

import duckdb
import pandas as pd

from nightshift.errors import SourceError
from nightshift.spec import ModelSpec

READY = "rows"
"""Name of the one table of a source whose columns are ready to learn from."""


@runtime_checkable
class Source(Protocol):
    """Raw events by time, and what does not change with time.

    Exactly one table of events holds the spec's key, time and label columns.
    A column ``known_at`` in it says when each label became known, where that
    may be later than the label is said to mature; null for no label yet.
    """

    def extract(self, start: datetime, end: datetime) -> dict[str, pd.DataFrame]:
        """Return the events in [``start``, ``end``), by table; tables may be empty."""
        ...

    def static(self) -> dict[str, pd.DataFrame]:
        """Return the tables that have no time; none if there are none."""
        ...


class ParquetSource:
    """Parquet files whose columns are the key, time, label and features themselves.

    Parameters
    ----------
    pattern
        Path of the files, with ``*`` where they differ.
    time
        Column of the event's time; a time without a zone is taken as UTC.
    """

    def __init__(self, pattern: Path, *, time: str) -> None:
        self.pattern = pattern
        self.time = time

    def extract(self, start: datetime, end: datetime) -> dict[str, pd.DataFrame]:
        query = f"""
            SELECT * REPLACE ("{self.time}"::TIMESTAMPTZ AS "{self.time}")
            FROM read_parquet($files, union_by_name := true)
            WHERE "{self.time}"::TIMESTAMPTZ >= $start AND "{self.time}"::TIMESTAMPTZ < $end
        """  # noqa: S608 - the column's name was checked by the spec
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            try:
                found = database.sql(query, params={"files": str(self.pattern), "start": start, "end": end})
                return {READY: found.to_arrow_table().to_pandas()}
            except duckdb.Error as error:
                raise SourceError(
                    f"{self.pattern}: cannot be read: {error}; expected Parquet files with a time column {self.time!r}"
                ) from error

    def static(self) -> dict[str, pd.DataFrame]:
        return {}


def load_source(spec: ModelSpec, sources: Path, project: Path) -> Source:
    """Return where the model's rows come from.

    Parameters
    ----------
    sources
        Folder of modules; ``<sources>/<module>.py`` must have a class ``Source`` that needs no arguments.
    project
        What a relative ``source.path`` is below.

    Raises
    ------
    SourceError
        If the module is missing, cannot be imported, or its class lacks a method.
    """
    if spec.source.path is not None:
        return ParquetSource(project / spec.source.path, time=spec.time.column)
    path = sources / f"{spec.source.module}.py"
    found = getattr(_module(path), "Source", None)
    if not inspect.isclass(found):
        raise SourceError(f"{path.name}: has no class Source; write one with extract(start, end) and static()")
    source = found()
    if not isinstance(source, Source):
        raise SourceError(f"{path.name}: class Source lacks extract(start, end) or static(); add what is missing")
    return source


def _module(path: Path) -> ModuleType:
    """Return the module at ``path`` without putting it among the importable ones."""
    if not path.is_file():
        raise SourceError(f"there is no {path.name} in {path.parent}; write it or correct source.module in the spec")
    described = importlib.util.spec_from_file_location(f"nightshift_source_{path.stem}", path)
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    try:
        described.loader.exec_module(module)
    except Exception as error:
        raise SourceError(f"{path.name}: cannot be imported: {type(error).__name__}: {error}") from error
    return module
