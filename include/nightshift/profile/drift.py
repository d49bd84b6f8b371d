"""Has a window moved away from the reference? And is it drift, or is something broken?

Drift is honest: the world changed, and a model can learn from it. Broken is a
fault on the way (a column that went null, a sentinel, another unit), and a
model must not. Both are told from profiles alone, never from training rows.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

from nightshift.profile.distance import psi
from nightshift.profile.profile import FeatureProfile, Profile
from nightshift.profile.variation import Variation, drift_of
from nightshift.spec import Kind, Limits
from nightshift.verdict import Check, Status

FORMAT = 1
NULL_SPIKE = 0.10
"""So many more nulls than in the reference, as a share of rows, and surely more, are a fault."""
SENTINEL_SHARE = 0.02
"""A value the reference hardly knew that takes this share of rows stands for something else."""
SENTINEL_TIMES = 20
UNIT_FACTOR = 8.0
"""A mean moved by this factor to beyond all that the reference saw is another unit."""
SURE_Z = 6.0
USUAL_SHARE = 0.5
NAMED = 3


@dataclass(frozen=True)
class FeatureDrift:
    """How far one column moved: PSI, and that times its share of the model's gain."""

    column: str
    psi: float
    importance: float

    @property
    def effect(self) -> float:
        return self.psi * self.importance


@dataclass(frozen=True)
class DriftReport:
    """Columns by effect, largest first, and what is made of them.

    ``drift`` is the mean PSI of the columns, weighted by their importance.
    """

    drift: float
    columns: tuple[FeatureDrift, ...]
    checks: tuple[Check, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "drift": self.drift,
            "columns": [{**column.__dict__, "effect": column.effect} for column in self.columns],
            "checks": [check.to_json() for check in self.checks],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        columns = tuple(
            FeatureDrift(column["column"], column["psi"], column["importance"]) for column in content["columns"]
        )
        return cls(content["drift"], columns, tuple(Check.from_json(check) for check in content["checks"]))


def compare(
    reference: Profile,
    current: Profile,
    *,
    importance: Mapping[str, float],
    limits: Limits,
    variation: Variation | None = None,
    output: str | None = None,
) -> DriftReport:
    """Return how far ``current`` has moved from ``reference``.

    Parameters
    ----------
    reference
        Profile of what the model learned from.
    current
        Profile of the window, on the bins of the reference.
    importance
        Share of the model's gain by column. Only columns named here are
        compared (a reference may hold the label too); for an ``output`` its own.
    limits
        What may move before the checks speak.
    variation
        How much the reference itself varies: a limit below that would cry wolf, and is raised to it.
    output
        Name of the column of answers, if the profiles are of answers.
    """
    weights = {output: 1.0} if output else importance
    there = [name for name in weights if name in current.columns]
    moved = [FeatureDrift(n, psi(reference.columns[n], current.columns[n]), weights[n]) for n in there]
    moved.sort(key=lambda drift: -drift.effect)
    drift, own = drift_of(reference, current, weights), variation or Variation()
    allowed = max(limits.output_drift if output else limits.drift, own.worst_drift)
    checks = list(_faults(reference, current, weights, own))
    checks.append(_drift_check(moved, drift, allowed, rows=current.rows, output=output))
    return DriftReport(drift, tuple(moved), tuple(checks))


def _drift_check(moved: list[FeatureDrift], drift: float, allowed: float, *, rows: int, output: str | None) -> Check:
    status = Status.DRIFTED if drift > allowed else Status.HEALTHY
    if output:
        sentence = f"the answers moved: PSI {drift:.2f} against those to test rows, allowed {allowed:.2f}"
        return Check("output drift", status, output, sentence, drift, allowed, rows)
    most = ", ".join(f"{column.column} (PSI {column.psi:.2f})" for column in moved[:NAMED])
    sentence = f"the inputs moved: importance-weighted PSI {drift:.2f}, allowed {allowed:.2f}; most of all {most}"
    return Check("input drift", status, moved[0].column if moved else "inputs", sentence, drift, allowed, rows)


def _faults(reference: Profile, current: Profile, weights: Mapping[str, float], own: Variation) -> Iterator[Check]:
    """Yield a BROKEN check for each fault; the columns that matter most first."""
    for name in sorted(weights, key=lambda name: -weights[name]):
        if name not in current.columns:
            yield Check("missing column", Status.BROKEN, name, f"{name} is gone", rows=current.rows)
            continue
        before, now = reference.columns[name], current.columns[name]
        if now.rows:
            found = [_null_spike(name, before, now, own), *(look(name, before, now) for look in LOOKS)]
            yield from (check for check in found if check is not None)


def _null_spike(name: str, before: FeatureProfile, now: FeatureProfile, own: Variation) -> Check | None:
    expected = max(before.missing_share, own.missing.get(name, 0.0))
    spread = math.sqrt(max(expected * (1 - expected), 1 / now.rows) / now.rows)
    allowed = expected + max(NULL_SPIKE, SURE_Z * spread)
    if now.missing_share <= allowed:
        return None
    sentence = f"{name} is null in {now.missing_share:.1%} of rows, at most {expected:.1%} in any window of training"
    return Check("null spike", Status.BROKEN, name, sentence, now.missing_share, allowed, now.rows)


def _infinite(name: str, before: FeatureProfile, now: FeatureProfile) -> Check | None:
    if not now.infinite or before.infinite:
        return None
    sentence = f"{name} is infinite in {now.infinite:,} rows, never in training"
    return Check("infinite values", Status.BROKEN, name, sentence, now.infinite, 0, now.rows)


def _constant(name: str, before: FeatureProfile, now: FeatureProfile) -> Check | None:
    """Look for a column that is stuck; one value all week is weather if it was most of the training too."""
    counts = (now.counts if now.kind is Kind.CATEGORICAL else now.often) or {}
    stuck = next((value for value, count in counts.items() if count == now.known > 1), None)
    if stuck is None:
        return None
    used_to = (before.counts if now.kind is Kind.CATEGORICAL else before.often) or {}
    if used_to.get(stuck, 0) / max(before.known, 1) >= USUAL_SHARE:
        return None
    sentence = f"{name} is stuck at {stuck} in all {now.known:,} rows"
    return Check("constant", Status.BROKEN, name, sentence, rows=now.rows)


def _sentinel(name: str, before: FeatureProfile, now: FeatureProfile) -> Check | None:
    """Look for a value that takes a share it never had and lies where nothing was."""
    if before.lowest is None or before.highest is None:
        return None
    for value, count in (now.often or {}).items():
        share, used_to = count / now.rows, (before.often or {}).get(value, 0) / max(before.rows, 1)
        outside = not before.lowest <= float(value) <= before.highest
        if outside and share >= SENTINEL_SHARE and share >= SENTINEL_TIMES * used_to:
            sentence = f"{name} is {float(value):g} in {share:.1%} of rows, {used_to:.1%} in training"
            return Check("sentinel", Status.BROKEN, name, sentence, share, SENTINEL_SHARE, now.rows)
    return None


def _unit(name: str, before: FeatureProfile, now: FeatureProfile) -> Check | None:
    if now.mean is None or before.mean is None or before.lowest is None or before.highest is None:
        return None
    if before.lowest <= now.mean <= before.highest or not before.mean:
        return None
    if abs(now.mean / before.mean) < UNIT_FACTOR:
        return None
    sentence = f"{name} is {now.mean:g} on average, {before.mean:g} in training: another unit?"
    return Check("unit", Status.BROKEN, name, sentence, now.mean, before.highest, now.rows)


LOOKS: tuple[Callable[[str, FeatureProfile, FeatureProfile], Check | None], ...] = (
    _infinite, _constant, _sentinel, _unit
)  # fmt: skip
