"""What a window's drift or fault probably costs, before any label is in."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nightshift.predictions.second_opinion import Opinion
from nightshift.profile.drift import ALL_COLUMNS
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.profile import Profile
from nightshift.spec import Kind
from nightshift.verdict import Check, Status

DEVIATIONS, RELATIVE = 2.25, 0.05
"""How much worse must be expected: so many standard errors of the difference, and such a share of the usual error."""
UNSEEN_DEVIATIONS = 4.0
"""And where no check speaks: the answers alone are off."""
WRONG_ROWS = 3
"""Fewer wrong answers than so many more are no harm."""
LOST = frozenset({"constant", "missing column", "type", "bond"})
"""Findings after which no row of a column is believed."""
ALL = 0.9
LISTED, NEW = 200, 0.005
QUANTILES = 1001
EXCESS = 5.0
EXCESS_ROWS = 3


def expected_harm(
    opinion: Opinion,
    reference: Profile,
    rows: pd.DataFrame,
    checks: Sequence[Check],
    *,
    bound: Collection[str],
    season: float = 0.0,
) -> Check:
    """Return whether the answers to ``rows`` are probably worse, given what was found in their columns.

    Parameters
    ----------
    reference
        Profile of what the model learned from; its rows are not needed.
    rows
        The window's inputs with ``prediction`` and, of a classifier, its chances.
    bound
        Columns that go with others: one that moves without them was changed on the way.
    season
        How much worse windows get by themselves; a column that broke is no season.
    """
    rows = rows[rows["prediction"].notna()].reset_index(drop=True)
    found = {
        check.subject: check.name
        for check in checks
        if check.status in (Status.DRIFTED, Status.BROKEN)
        and check.subject in opinion.kinds
        and check.name != ALL_COLUMNS
    }
    before = reference.columns
    hidden = {
        name: _unbelieved(before[name], rows, name, finding)
        for name, finding in found.items()
        if finding not in ("drift", "unit")
    }
    moved = [name for name, finding in found.items() if finding == "drift"]
    alone = [name for name in moved if len(moved) == 1 and (name in bound or _is_new(before[name], rows[name]))]
    units = [name for name, finding in found.items() if _is_whole(finding, hidden.get(name))]
    changed = [name for name in (*units, *alone) if opinion.kinds[name] == "numeric" and name in rows]
    for name in changed:
        rows = rows.assign(**{name: _put_back(before[name], rows[name])})
    kept = {name: mask for name, mask in hidden.items() if name not in changed}
    worse = opinion.worse(rows, hidden=kept, believed=not changed)
    error = opinion.error_of(len(rows))
    speaking = any(check.status is not Status.HEALTHY for check in checks)
    by_chance = (DEVIATIONS if speaking else UNSEEN_DEVIATIONS) * error
    by_itself = 0.0 if kept or changed else season
    allowed = max(math.hypot(by_chance, by_itself), RELATIVE * opinion.seen)
    if opinion.task != "regression":
        # a model that was never wrong before has no deviation
        allowed = max(allowed, WRONG_ROWS / max(len(rows), 1))
    status = Status.DEGRADED if worse > allowed else Status.HEALTHY
    expected = opinion.seen + worse
    said, usual = (f"{one:.4g}" if opinion.task == "regression" else f"{one:.1%}" for one in (expected, opinion.seen))
    what, verb = ("a mean error of", "is") if opinion.task == "regression" else ("wrong answers to", "of rows are")
    sentence = f"without labels, {what} {said} {verb} to be expected; {usual} is usual"
    return Check("expected performance", status, "performance", sentence, expected, opinion.seen + allowed, len(rows))


def _is_whole(finding: str, hidden: "npt.NDArray[np.bool_] | None") -> bool:
    """Say whether all of a column is in another unit, told by name or by having left its range."""
    return finding == "unit" or (finding == "range" and hidden is not None and bool(hidden.mean() > ALL))


def _is_new(before: FeatureProfile, now: "pd.Series[Any]") -> bool:
    """Say whether a part of the values is such as the reference never had: honest rows are like some of its own."""
    known = now.dropna()
    if not before.often.floor and len(before.counts) <= LISTED:
        return bool((~_as_listed(known, before).isin(list(before.counts))).mean() > NEW)
    return bool(_beyond(before, known).mean() > NEW) if pd.api.types.is_numeric_dtype(now) else False


def _put_back(before: FeatureProfile, now: "pd.Series[float]") -> "pd.Series[float]":
    """Return each number's place among the window's as the reference's number in that place."""
    ranks = pd.to_numeric(now, errors="coerce").rank(pct=True)
    grid = np.linspace(0, 1, QUANTILES)
    return pd.Series(np.interp(ranks, grid, before.quantiles(grid)), index=now.index).where(ranks.notna())


def _unbelieved(before: FeatureProfile, rows: pd.DataFrame, name: str, finding: str) -> npt.NDArray[np.bool_]:
    """Return the rows whose value is not to be believed: all, or those there are far more of than there were."""
    if finding in LOST or name not in rows:
        return np.ones(len(rows), dtype=bool)
    now, nulls = _as_listed(rows[name], before), rows[name].isna().to_numpy()
    counts = now[~nulls].value_counts()
    most = {value: before.counts.get(value, before.often.floor) / max(before.rows, 1) for value in counts.index}
    more = [
        value for value, count in counts.items() if count >= EXCESS_ROWS and count / len(now) > EXCESS * most[value]
    ]
    odd = now.isin(more).to_numpy() & ~nulls
    if nulls.sum() >= EXCESS_ROWS and nulls.mean() > EXCESS * before.missing_share:
        odd |= nulls
    if pd.api.types.is_numeric_dtype(rows[name]) and before.kind is Kind.NUMERIC:
        odd |= _beyond(before, rows[name])
    return np.asarray(odd, dtype=bool)


def _as_listed(values: "pd.Series[Any]", before: FeatureProfile) -> "pd.Series[Any]":
    """Return values as a profile lists them: numbers by their ``repr``, all else by its text."""
    if before.kind is Kind.NUMERIC and pd.api.types.is_numeric_dtype(values):
        return (values.astype(float) + 0.0).map(repr)
    return values.astype(str)


def _beyond(before: FeatureProfile, now: "pd.Series[Any]") -> npt.NDArray[np.bool_]:
    if before.lowest is None or before.highest is None:
        return np.zeros(len(now), dtype=bool)
    return ((now < before.lowest) | (now > before.highest)).to_numpy(dtype=bool)
