"""What is computed from a request: the same function, row by row, for a frame and for a request."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from nightshift.errors import FeatureError
from nightshift.features.declared import OnDemand, Service, Type, load_compute

TYPES = {Type.NUMBER: pa.float64(), Type.TEXT: pa.string()}


def compute_table(table: pa.Table, part: OnDemand, code: Path) -> pa.Table:
    """Return one column for each feature of ``part``, in its order, for the rows of ``table``.

    Parameters
    ----------
    code
        The module whose ``compute`` gives them.

    Raises
    ------
    FeatureError
        If ``table`` lacks what is read, or ``compute`` fails or answers other features.
    """
    names = [*part.request, *part.reads]
    missing = [name for name in names if name not in table.column_names]
    if missing:
        raise FeatureError(f"{code.name} reads {', '.join(missing)}, which the events lack")
    compute = load_compute(code)
    columns = [_plain(table.column(name)) for name in names]
    answers = [_checked(compute(dict(zip(names, row, strict=True))), part, code) for row in zip(*columns, strict=True)]
    return pa.table(
        {
            name: pa.array([answer[name] for answer in answers], TYPES[feature.kind])
            for name, feature in part.features.items()
        }
    )


def compute_frame(rows: pd.DataFrame, part: OnDemand, code: Path) -> pd.DataFrame:
    """Return what :func:`compute_table` returns, from frame to frame."""
    read = pa.Table.from_pandas(rows[[*part.request, *part.reads]], preserve_index=False)
    return compute_table(read, part, code).to_pandas()


def compute_all(table: pa.Table, service: Service) -> pa.Table:
    """Return ``table`` with all that the service computes on demand."""
    for name, part in service.on_demand.items():
        found = compute_table(table, part, service.folder / f"{name}.py")
        for column in found.column_names:
            table = table.append_column(column, found.column(column))
    return table


def bare(events: pa.Table, service: Service) -> pa.Table:
    """Return ``events`` without what the service will say itself: a source's own idea of a feature is not asked."""
    return events.drop_columns([name for name in events.column_names if name in service.features])


def _plain(column: pa.ChunkedArray) -> Sequence[Any]:
    """Return values as a request would bring them: aware moments, and None for all that is not known."""
    if pa.types.is_timestamp(column.type):
        moments = column.cast(pa.timestamp("us", "UTC")).to_pylist()
        return [None if moment is None else moment.replace(tzinfo=UTC) for moment in moments]
    if pa.types.is_floating(column.type):
        return [None if value is None or value != value else value for value in column.to_pylist()]
    return list(column.to_pylist())


def _checked(answer: Mapping[str, Any], part: OnDemand, code: Path) -> Mapping[str, Any]:
    if answer.keys() != part.features.keys():
        raise FeatureError(f"{code.name} answers {_listed(answer)}; declared are {_listed(part.features)}")
    return answer


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
