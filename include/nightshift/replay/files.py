"""A folder of windows, each a Parquet file, judged one by one: none stops the others."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from nightshift.errors import RequestError
from nightshift.replay.judge import ROWS_MIN, Judge, entry
from nightshift.replay.schema import Schema
from nightshift.verdict import Check, Status


def replay_files(reference: Path, windows: Path, schema: Path, *, labels: Path | None = None) -> dict[str, Any]:
    """Return the answer by window, in the order of their names.

    A window that cannot be read is BROKEN and says why. ``labels`` holds a file of
    the same name for a window whose labels are in, with ``target`` row by row.

    Raises
    ------
    RequestError
        If schema or reference cannot be used, or there is no window.
    """
    declared = Schema.load(schema)
    judge = Judge.of(_reference(reference, declared), declared)
    found = sorted(windows.glob("*.parquet"))
    if not found:
        raise RequestError(f"{windows} holds no *.parquet; give the folder of the windows")
    return {path.stem: _answer(judge, path, labels) for path in found}


def _answer(judge: Judge, path: Path, labels: Path | None) -> dict[str, Any]:
    try:
        rows = pd.read_parquet(path)
        beside = labels / path.name if labels else None
        known = pd.read_parquet(beside)["target"] if beside and beside.exists() else None
        return judge.judge(rows, known)
    except Exception as error:
        # a stranger's window may fail in any way, and must not stop the others
        sentence = f"{path.name} cannot be judged: {type(error).__name__}: {error}"
        return entry(judge.schema, [Check("unreadable", Status.BROKEN, "window", sentence)])


def _reference(path: Path, schema: Schema) -> pd.DataFrame:
    try:
        rows = pd.read_parquet(path)
    except (OSError, pa.ArrowException) as error:
        raise RequestError(f"{path} cannot be read as Parquet: {error}") from error
    missing = [name for name in (*schema.features, "prediction", "target") if name not in rows]
    if missing:
        raise RequestError(f"{path} lacks {', '.join(missing)}, which the schema or replay needs")
    if len(rows) < ROWS_MIN:
        raise RequestError(f"{path} has {len(rows)} rows; a reference needs {ROWS_MIN}, and better some thousands")
    return rows
