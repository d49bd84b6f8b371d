"""What a window's drift or fault probably costs, before any label is in."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nightshift.predictions.second_opinion import Opinion
from nightshift.verdict import Check, Status

DEVIATIONS, RELATIVE = 2.0, 0.05
"""How much worse must be expected: so many standard errors of a window's mean error, and such a share of the usual."""
LOST = frozenset({"constant", "missing column", "type", "bond"})
"""Findings after which no row of a column is believed."""
SUM = "input drift"
"""The check that is about all columns together, told under the name of the first."""
ALL = 0.9
LISTED, NEW = 200, 0.005
EXCESS = 5.0
EXCESS_ROWS = 3


def expected_harm(
    opinion: Opinion, reference: pd.DataFrame, rows: pd.DataFrame, checks: Sequence[Check], *, bound: Collection[str]
) -> Check:
    """Return whether the answers to ``rows`` are probably worse, given what was found in their columns.

    Parameters
    ----------
    bound
        Columns that go with others: one that moves without them was changed on the way.
    """
    rows = rows[rows["prediction"].notna()].reset_index(drop=True)
    found = {
        check.subject: check.name
        for check in checks
        if check.status in (Status.DRIFTED, Status.BROKEN) and check.subject in opinion.kinds and check.name != SUM
    }
    hidden = {
        name: _unbelieved(reference, rows, name, finding)
        for name, finding in found.items()
        if finding not in ("drift", "unit")
    }
    moved = [name for name, finding in found.items() if finding == "drift"]
    alone = [name for name in moved if len(moved) == 1 and (name in bound or _is_new(reference[name], rows[name]))]
    units = [name for name, finding in found.items() if _is_whole(finding, hidden.get(name))]
    changed = [name for name in (*units, *alone) if opinion.kinds[name] == "numeric" and name in rows]
    for name in changed:
        rows = rows.assign(**{name: _put_back(reference[name], rows[name])})
    kept = {name: mask for name, mask in hidden.items() if name not in changed}
    worse = opinion.worse(rows, hidden=kept, believed=not changed)
    error = opinion.deviation / math.sqrt(max(len(rows), 1))
    allowed = max(DEVIATIONS * error, RELATIVE * opinion.seen)
    status = Status.DEGRADED if worse > allowed else Status.HEALTHY
    expected = opinion.seen + worse
    sentence = f"without labels, a mean error of {expected:.4g} is to be expected; {opinion.seen:.4g} is usual"
    return Check("expected performance", status, "performance", sentence, expected, opinion.seen + allowed, len(rows))


def _is_whole(finding: str, hidden: "npt.NDArray[np.bool_] | None") -> bool:
    """Say whether all of a column is in another unit, told by name or by having left its range."""
    return finding == "unit" or (finding == "range" and hidden is not None and bool(hidden.mean() > ALL))


def _is_new(before: "pd.Series[Any]", now: "pd.Series[Any]") -> bool:
    """Say whether a part of the values is such as the reference never had: honest rows are like some of its own."""
    known = before.dropna()
    if known.nunique() <= LISTED:
        return bool((~now.dropna().isin(known.unique())).mean() > NEW)
    if not pd.api.types.is_numeric_dtype(now):
        return False
    return bool(((now < known.min()) | (now > known.max())).mean() > NEW)


def _put_back(before: "pd.Series[float]", now: "pd.Series[float]") -> "pd.Series[float]":
    ranks = pd.to_numeric(now, errors="coerce").rank(pct=True)
    known = pd.to_numeric(before, errors="coerce").dropna()
    known = known[np.isfinite(known)]
    if known.empty:
        return ranks * np.nan
    return pd.Series(np.where(ranks.isna(), np.nan, np.quantile(known, ranks.fillna(0.5))), index=now.index)


def _unbelieved(reference: pd.DataFrame, rows: pd.DataFrame, name: str, finding: str) -> npt.NDArray[np.bool_]:
    """Return the rows whose value is not to be believed: all, or those there are far more of than there were."""
    if finding in LOST or name not in rows:
        return np.ones(len(rows), dtype=bool)
    before, now = reference[name], rows[name]
    usual = before.value_counts(normalize=True, dropna=False)
    counts = now.value_counts(dropna=False)
    more = counts[(counts >= EXCESS_ROWS) & (counts / len(now) > EXCESS * usual.reindex(counts.index).fillna(0.0))]
    odd = now.isin(list(more.index)).to_numpy() | (now.isna().to_numpy() & bool(more.index.isna().any()))
    if pd.api.types.is_numeric_dtype(now) and pd.api.types.is_numeric_dtype(before):
        odd |= ((now < before.min()) | (now > before.max())).to_numpy()
    return np.asarray(odd, dtype=bool)
