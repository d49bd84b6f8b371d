"""Has a window moved away from the reference? And is it drift, or is something broken?

Drift is honest: the world changed, and a model can learn from it. Broken is a
fault on the way (a column that went null, a sentinel, another unit), and a
model must not. Both are told from profiles alone, never from training rows, and
no more often wrong than the budget of false alarms allows.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from nightshift.profile.baseline import Baseline
from nightshift.profile.budget import Budget
from nightshift.profile.faults import Pair, faults_of, newcomers_of, unit_of
from nightshift.profile.movers import Mover, Question
from nightshift.profile.profile import Profile
from nightshift.profile.tails import student_tail
from nightshift.profile.variation import Variation
from nightshift.spec import Kind, Limits
from nightshift.verdict import SEVERITY, Check, Status

FORMAT = 2
ALL_COLUMNS = "input drift"
"""The check that is about all columns together, told under the name of the first."""
NAMED = 3
VOLUME_TIMES = 1.5
WINDOWS_MIN = 4


@dataclass(frozen=True)
class FeatureDrift:
    """How far one column moved, by name, and what was made of it.

    ``importance`` is its share of the model's gain, ``status`` the worst that
    was found in it.
    """

    column: str
    psi: float
    importance: float
    status: Status = Status.HEALTHY
    distances: Mapping[str, float] | None = None

    @property
    def effect(self) -> float:
        """What the shift means to the model's answers: PSI, weighted by importance."""
        return self.psi * self.importance

    def to_json(self) -> dict[str, Any]:
        own = {"column": self.column, "psi": self.psi, "importance": self.importance, "status": str(self.status)}
        return {**own, "effect": self.effect, "distances": dict(self.distances or {})}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        status = Status(content["status"])
        return cls(content["column"], content["psi"], content["importance"], status, content["distances"])


@dataclass(frozen=True)
class DriftReport:
    """Columns by effect, largest first, and what is made of them.

    ``drift`` is the mean PSI of the columns, weighted by their importance.
    """

    drift: float
    columns: tuple[FeatureDrift, ...]
    checks: tuple[Check, ...]

    @property
    def status(self) -> Status:
        """The worst of the checks; HEALTHY without any."""
        return max((check.status for check in self.checks), key=SEVERITY.index, default=Status.HEALTHY)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "drift": self.drift,
            "columns": [column.to_json() for column in self.columns],
            "checks": [check.to_json() for check in self.checks],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        columns = tuple(FeatureDrift.from_json(column) for column in content["columns"])
        return cls(content["drift"], columns, tuple(Check.from_json(check) for check in content["checks"]))


def compare(
    reference: Profile,
    current: Profile,
    *,
    importance: Mapping[str, float],
    limits: Limits,
    variation: Variation | None = None,
    output: str | None = None,
    budget: Budget | None = None,
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
        How much the reference itself varies: no window is blamed for as much.
    output
        Name of the column of answers, if the profiles are of answers.
    budget
        How often all this may be wrong.
    """
    baseline = Baseline(reference, variation or Variation(), budget or Budget())
    return compare_with(baseline, current, importance=importance, limits=limits, output=output)


def compare_with(
    baseline: Baseline,
    current: Profile,
    *,
    importance: Mapping[str, float],
    limits: Limits,
    output: str | None = None,
) -> DriftReport:
    """Return what :func:`compare` does; a baseline is quicker where many windows are compared with one reference."""
    weights = {output: 1.0} if output else importance
    question = Question(baseline, current)
    pairs = _pairs(question, weights)
    checks = [*_gone(question, weights), *_column_checks(question, pairs, weights, limits)]
    if not output:
        checks.extend(_volume(question))
    worst = {check.subject: check.status for check in sorted(checks, key=lambda one: SEVERITY.index(one.status))}
    drifts = [_drift(pair, weights[name], worst.get(name, Status.HEALTHY)) for name, pair in pairs.items()]
    columns = sorted(drifts, key=lambda one: -one.effect)
    places = {column.column: place for place, column in enumerate(columns)}
    checks.sort(key=lambda check: (-SEVERITY.index(check.status), places.get(check.subject, -1)))
    drift = sum(one.effect for one in drifts)
    allowed = max(limits.output_drift if output else limits.drift, baseline.variation.worst_drift)
    checks.append(_drift_check(columns, drift, allowed, rows=current.rows, output=output))
    return DriftReport(drift, tuple(columns), tuple(checks))


def _pairs(question: Question, weights: Mapping[str, float]) -> dict[str, Pair]:
    """Return the columns that are asked about and that both have."""
    before, now, own = question.baseline.reference.columns, question.current.columns, question.baseline.variation
    there = [name for name in weights if name in now and name in before]
    alpha = question.baseline.budget.of_fault(len(there))
    return {name: Pair(name, before[name], now[name], own, alpha) for name in there}


def _drift(pair: Pair, weight: float, status: Status) -> FeatureDrift:
    others = {name: size for name, size in pair.distances.items() if name != "psi"}
    return FeatureDrift(pair.name, pair.distances["psi"], weight, status, others)


def _volume(question: Question) -> Iterator[Check]:
    """Yield a check if the window has far more or fewer rows than windows of the reference had."""
    usual, rows = question.baseline.variation.rows, question.current.rows
    if len(usual) < WINDOWS_MIN:
        return
    logs = [math.log(max(count, 0.5)) for count in usual]
    mean = sum(logs) / len(logs)
    more = math.log(max(rows, 0.5)) - mean
    variance = sum((one - mean) ** 2 for one in logs) / (len(logs) - 1) * (1 + 1 / len(logs)) + 1 / max(rows, 1)
    sure = student_tail(more, variance, len(logs)) <= question.baseline.budget.of_volume
    if sure and abs(more) > math.log(VOLUME_TIMES):
        typical = round(math.exp(mean))
        sentence = f"the window has {rows:,} rows; windows of the training rows had {typical:,}"
        yield Check("volume", Status.BROKEN, "rows", sentence, rows, typical, rows)


def _gone(question: Question, weights: Mapping[str, float]) -> Iterator[Check]:
    for name in weights:
        if name not in question.current.columns:
            yield Check("missing column", Status.BROKEN, name, f"{name} is gone", rows=question.current.rows)


def _column_checks(
    question: Question, pairs: Mapping[str, Pair], weights: Mapping[str, float], limits: Limits
) -> Iterator[Check]:
    """Yield what is broken, what moved by itself, and what no longer goes with the rest, in this order."""
    faults = {name: list(faults_of(pair)) for name, pair in pairs.items()}
    sound = [name for name in pairs if not faults[name]]
    movers = {mover.column: mover for mover in question.movers({name: pairs[name].moved for name in sound})}
    for name in sound:
        if name in movers and (unit := unit_of(pairs[name])):
            faults[name] = [unit]
        elif name in movers:
            yield _moved(movers[name], pairs[name], weights[name], limits)
        else:
            faults[name] = list(newcomers_of(pairs[name]))
    yield from (check for found in faults.values() for check in found)
    quiet = [name for name in sound if name not in movers and not faults[name]]
    yield from (
        _loose(mover, pairs[mover.column], weights[mover.column], limits) for mover in question.broken_bonds(quiet)
    )


def _moved(mover: Mover, pair: Pair, weight: float, limits: Limits) -> Check:
    sentence = f"{mover.column} {_how(mover, pair)}"
    moved = max(pair.distances["psi"], _as_psi(mover))
    return _weighed("drift", mover, moved * weight, limits, sentence, pair.now.rows)


def _as_psi(mover: Mover) -> float:
    """Return the PSI of a normal column shifted as much, for what single columns do not show."""
    return min(mover.measure.shift**2, 1.0)


def _weighed(name: str, mover: Mover, effect: float, limits: Limits, sentence: str, rows: int) -> Check:
    """Call it drift if it moves the answers; what does not is told, and leaves the window healthy."""
    matters = effect >= limits.column
    status = Status.DRIFTED if matters else Status.HEALTHY
    beside = "" if matters else ", which hardly moves an answer"
    return Check(name, status, mover.column, sentence + beside, round(effect, 5), limits.column, rows)


def _how(mover: Mover, pair: Pair) -> str:
    """Say to a person what a column did."""
    size, before, now = mover.measure.shift, pair.before, pair.now
    if mover.statistic in ("location", "level") and before.mean is not None and now.mean is not None:
        means = f"mean {before.mean:.4g} before, {now.mean:.4g} now"
        if mover.statistic == "level":
            side = "above" if size > 0 else "below"
            return f"is {abs(size):.2f} deviations {side} what the other columns foretell: {means}"
        return f"{'rose' if size > 0 else 'fell'} by {abs(size):.2f} deviations: {means}"
    if mover.statistic == "spread" and before.deviation is not None and now.deviation is not None:
        wider = "wider" if size > 0 else "less"
        return f"spreads {wider}: deviation {before.deviation:.4g} before, {now.deviation:.4g} now"
    if pair.before.kind is Kind.CATEGORICAL:
        return f"has another mix: {_largest_change(pair)}"
    return f"has another shape (size {abs(size):.2f})"


def _largest_change(pair: Pair) -> str:
    then, now = pair.moved.before / max(pair.before.known, 1), pair.moved.now / max(pair.now.known, 1)
    place = int(np.abs(now - then).argmax())
    return f"{pair.moved.names[place]!r} was {then[place]:.1%} of rows, is {now[place]:.1%}"


def _loose(mover: Mover, pair: Pair, weight: float, limits: Limits) -> Check:
    less = "less" if mover.measure.shift > 0 else "more"
    sentence = f"{mover.column} looks as ever, but follows the other columns {less} than it did"
    return _weighed("bond", mover, _as_psi(mover) * weight, limits, sentence, pair.now.rows)


def _drift_check(columns: list[FeatureDrift], drift: float, allowed: float, *, rows: int, output: str | None) -> Check:
    status = Status.DRIFTED if drift > allowed else Status.HEALTHY
    if output:
        sentence = f"the answers moved: PSI {drift:.2f} against those to test rows, allowed {allowed:.2f}"
        return Check("output drift", status, output, sentence, drift, allowed, rows)
    most = ", ".join(f"{column.column} (PSI {column.psi:.2f})" for column in columns[:NAMED])
    sentence = f"the inputs moved: importance-weighted PSI {drift:.2f}, allowed {allowed:.2f}; most of all {most}"
    return Check(ALL_COLUMNS, status, columns[0].column if columns else "inputs", sentence, drift, allowed, rows)
