"""Skew: what was answered from, against what training would have joined at the same moment, value by value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

TOLERANCE = 1e-6
"""Relative above one, absolute below: what is lost on the way through JSON and single precision."""
STALE = "values of earlier moments: the view is stale online"
AGREED, AGREED_SHARE = 20, 0.05
"""So many rows, and this share of all, have to agree before a moment for it to be the beginning of a fault."""
MOST = 0.9
"""Share of the differing values that a cause must explain to be named."""


@dataclass(frozen=True)
class ColumnSkew:
    """How one column differs: the share of rows, what it looks like, and the first row that shows it."""

    column: str
    share: float
    looks_like: str
    example: str

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))


@dataclass(frozen=True)
class SkewReport:
    """How many rows were compared, the share that differs anywhere, and the columns that do, worst first."""

    rows: int
    share: float
    columns: tuple[ColumnSkew, ...]

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "share": self.share, "columns": [column.to_json() for column in self.columns]}


def skew(
    logged: pd.DataFrame,
    joined: pd.DataFrame,
    *,
    key: str,
    columns: Sequence[str],
    entity_of: Mapping[str, str],
) -> SkewReport:
    """Compare the features of the same rows.

    Parameters
    ----------
    logged, joined
        What was answered from, and what the offline join says, with ``key`` and ``columns``; ``joined`` is in the
        order of time. Rows that only one has are left out; of a key that was logged twice the last counts.
    entity_of
        For each column that comes of a view, the column that names its entity (looked at if it is there): what is
        stale was true before.

    Returns
    -------
    A report of no rows if none is in both.
    """
    both = joined.merge(logged.drop_duplicates(key, keep="last")[[key, *columns]], on=key, suffixes=("", "_logged"))
    differs = pd.DataFrame({name: _differs(both[f"{name}_logged"], both[name]) for name in columns}, index=both.index)
    found = [
        ColumnSkew(
            name,
            float(differs[name].mean()),
            _looks_like(both, name, differs[name], entity_of.get(name)),
            _example(both, name, differs[name], key),
        )
        for name in columns
        if differs[name].any()
    ]
    share = float(differs.any(axis=1).mean()) if len(both) else 0.0
    return SkewReport(len(both), share, tuple(sorted(found, key=lambda column: (-column.share, column.column))))


def _differs(logged: "pd.Series[Any]", joined: "pd.Series[Any]") -> "pd.Series[bool]":
    if pd.api.types.is_numeric_dtype(joined) and pd.api.types.is_numeric_dtype(logged):
        far = (logged - joined).abs() > TOLERANCE * joined.abs().clip(lower=1)
        return far | (logged.isna() != joined.isna())
    one, other = (column.astype(object).where(column.notna(), None) for column in (logged, joined))
    return pd.Series([a != b for a, b in zip(one, other, strict=True)], index=joined.index, dtype=bool)


def _looks_like(both: pd.DataFrame, name: str, differs: "pd.Series[bool]", entity: str | None) -> str:
    """Return the plainest cause that explains nearly all values that differ; empty if there is none."""
    logged, joined = both.loc[differs, f"{name}_logged"], both.loc[differs, name]
    stood_still = entity is not None and _began(differs)
    if logged.isna().mean() >= MOST:
        return STALE if stood_still else "nothing was known online"
    if pd.api.types.is_numeric_dtype(joined) and pd.api.types.is_numeric_dtype(logged):
        found = _unit(logged, joined) or _clock(logged, joined)
        if found:
            return found
    if stood_still or (entity in both and _were_true_before(both, name, differs, str(entity))):
        return STALE
    return ""


def _began(differs: "pd.Series[bool]") -> bool:
    """Whether all was right up to a moment and mostly wrong from then on: no newer facts came.

    Values alone do not show it: what leaves a span goes on leaving it while nothing new arrives.
    """
    first = int(differs.to_numpy().argmax())
    return first >= max(AGREED, AGREED_SHARE * len(differs)) and float(differs.iloc[first:].mean()) >= 0.5


def _unit(logged: "pd.Series[float]", joined: "pd.Series[float]") -> str:
    ratios = (logged / joined.where(joined != 0)).dropna()
    if len(ratios) < MOST * len(logged):
        return ""
    factor = float(ratios.median())
    if np.isclose(ratios, factor, rtol=1e-4).mean() >= MOST and joined.nunique() > 1:
        return f"{factor:.4g} times as much: another unit"
    return ""


def _clock(logged: "pd.Series[float]", joined: "pd.Series[float]") -> str:
    """Return what explains whole hours on a clock of 24."""
    hours = ((logged - joined + 12) % 24 - 12).dropna()
    if len(hours) < MOST * len(logged) or joined.min() < 0 or joined.max() >= 24 or joined.nunique() < 2:
        return ""
    shift = float(hours.median())
    if shift and shift == round(shift) and np.isclose(hours, shift).mean() >= MOST:
        return f"{shift:+.0f} hours on the clock: another time zone"
    return ""


def _were_true_before(both: pd.DataFrame, name: str, differs: "pd.Series[bool]", entity: str) -> bool:
    """Whether the values logged are those that the join says of the same entity at some earlier row."""
    seen: dict[Any, set[Any]] = {}
    hits = 0
    for of, logged, joined, is_off in zip(both[entity], both[f"{name}_logged"], both[name], differs, strict=True):
        before = seen.setdefault(of, set())
        hits += bool(is_off and logged in before)
        before.add(joined)
    return hits >= MOST * int(differs.sum())


def _example(both: pd.DataFrame, name: str, differs: "pd.Series[bool]", key: str) -> str:
    row = both.loc[differs].iloc[0]
    return f"{row[key]}: answered from {row[f'{name}_logged']}, training would have {row[name]}"
