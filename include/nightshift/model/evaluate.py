"""How good a candidate is, how sure that is, and whether it may replace the champion."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import numpy as np
import pandas as pd

from nightshift.model.metrics import LARGER_IS_BETTER, METRICS, UNKNOWN_CLASS, Metric
from nightshift.spec import ModelSpec, Task
from nightshift.verdict import Check, Status, Verdict, judge_gates

RESAMPLES = 400
INTERVAL = (0.025, 0.975)
CHUNK = 50
Predict = Callable[[pd.DataFrame], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A value with its 95 % bootstrap interval; NaN where nothing can be said."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float | None]:
        return {name: None if math.isnan(value) else value for name, value in self.__dict__.items()}

    @classmethod
    def from_json(cls, content: Mapping[str, float | None]) -> Self:
        return cls(**{name: math.nan if value is None else value for name, value in content.items()})


@dataclass(frozen=True)
class Comparison:
    """Candidate and champion on the same rows, none of which the champion was trained on.

    ``difference`` is candidate minus champion of ``metric``, by paired
    bootstrap. ``rows`` may be 0: then nothing could be compared.
    """

    champion: str
    rows: int
    metric: str
    difference: Interval
    candidate_value: float
    champion_value: float

    def to_json(self) -> dict[str, Any]:
        values = {
            name: None if math.isnan(getattr(self, name)) else getattr(self, name)
            for name in ("candidate_value", "champion_value")
        }
        named = {"champion": self.champion, "rows": self.rows, "metric": self.metric}
        return {**named, **values, "difference": self.difference.to_json()}


@dataclass(frozen=True)
class Champion:
    """What a candidate is compared with. ``learned_until`` bounds the rows it has seen."""

    version: str
    predict: Predict
    learned_until: datetime


@dataclass(frozen=True)
class Evaluation:
    """Metrics on the test rows, with intervals, and the comparison with the champion, if there is one."""

    rows: int
    metrics: Mapping[str, Interval]
    comparison: Comparison | None

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "rows": self.rows,
            "metrics": {name: interval.to_json() for name, interval in self.metrics.items()},
            "comparison": self.comparison.to_json() if self.comparison else None,
        }

    def verdict(self, spec: ModelSpec) -> Verdict:
        """Return PASS if every gate of the declaration is met; no gate at all blesses nothing."""
        checks = [_gate(name, self.metrics.get(name), gate, self.rows) for name, gate in spec.gates.metrics.items()]
        if spec.gates.champion and self.comparison:
            checks.append(_non_inferior(self.comparison, spec))
        return judge_gates(checks)


def evaluate(
    predict: Predict,
    test: pd.DataFrame,
    spec: ModelSpec,
    *,
    classes: Sequence[str] = (),
    champion: Champion | None = None,
    seed: int = 0,
) -> Evaluation:
    """Return a candidate's metrics on ``test``, and against the champion on those rows that it has not seen.

    Parameters
    ----------
    predict
        Gives, for a frame, what :meth:`ModelPackage.predict_encoded` gives.
    test
        Rows with features, label and time, of which the candidate has seen none.
        May be empty: then every metric is NaN, which passes no gate.
    classes
        Labels of a multiclass model in the order of its probabilities. A label
        that is none of them counts as answered wrongly.
    seed
        Of the resampling; the same rows and seed give the same intervals.
    """
    labels, answers = _labels(test, spec, classes), predict(test) if len(test) else np.empty(0)
    metrics = {name: _measured(metric, labels, answers, seed) for name, metric in METRICS[spec.task].items()}
    comparison = None
    if champion and spec.gates.champion:
        unseen = test[test[spec.time.column] >= champion.learned_until]
        comparison = _compare(predict, unseen, _labels(unseen, spec, classes), spec, champion, seed)
    return Evaluation(len(test), metrics, comparison)


def _compare(
    predict: Predict, unseen: pd.DataFrame, labels: np.ndarray, spec: ModelSpec, champion: Champion, seed: int
) -> Comparison:
    assert spec.gates.champion
    name = spec.gates.champion.metric
    if unseen.empty:
        nothing = Interval(math.nan, math.nan, math.nan)
        return Comparison(champion.version, 0, name, nothing, math.nan, math.nan)
    ours, theirs, metric = predict(unseen), champion.predict(unseen), METRICS[spec.task][name]
    difference = _interval(lambda w: metric(labels, ours, w) - metric(labels, theirs, w), len(unseen), seed)
    once = np.ones((1, len(unseen)))
    values = (float(metric(labels, answers, once)[0]) for answers in (ours, theirs))
    return Comparison(champion.version, len(unseen), name, difference, *values)


def _measured(metric: Metric, labels: np.ndarray, answers: np.ndarray, seed: int) -> Interval:
    return _interval(lambda weights: metric(labels, answers, weights), len(labels), seed)


def _interval(measure: Callable[[np.ndarray], np.ndarray], rows: int, seed: int) -> Interval:
    """Return a measure of the rows with its percentile bootstrap interval (Efron 1979)."""
    if rows == 0:
        return Interval(math.nan, math.nan, math.nan)
    value = float(measure(np.ones((1, rows)))[0])
    rng = np.random.default_rng(seed)
    drawn = [
        measure(rng.multinomial(rows, np.full(rows, 1 / rows), size=CHUNK).astype(np.float64))
        for _ in range(RESAMPLES // CHUNK)
    ]
    low, high = np.quantile(np.concatenate(drawn), INTERVAL)
    return Interval(value, float(low), float(high))


def _labels(rows: pd.DataFrame, spec: ModelSpec, classes: Sequence[str]) -> np.ndarray:
    labels = rows[spec.label.column]
    if spec.task is Task.MULTICLASS:
        labels = labels.map({name: code for code, name in enumerate(classes)}).fillna(UNKNOWN_CLASS)
    return labels.to_numpy(dtype=np.float64)


def _gate(name: str, found: Interval | None, gate: Any, rows: int) -> Check:
    bound, at_least = (gate.at_least, True) if gate.at_least is not None else (gate.at_most, False)
    words = f"{'at least' if at_least else 'at most'} {bound:g}"
    if found is None:
        return Check(f"gate:{name}", Status.FAIL, name, f"{name} is not measured for this task; correct gates.metrics")
    met = found.value >= bound if at_least else found.value <= bound  # a NaN meets nothing
    sentence = f"{name} is {found.value:.4f} on {rows:,} test rows; {words} is asked for"
    observed = None if math.isnan(found.value) else found.value
    return Check(f"gate:{name}", Status.PASS if met else Status.FAIL, name, sentence, observed, bound, rows)


def _non_inferior(comparison: Comparison, spec: ModelSpec) -> Check:
    """Decide on the interval: the candidate must not be worse by more than the margin, even at its far end."""
    assert spec.gates.champion
    name, margin = comparison.metric, spec.gates.champion.margin
    check = f"champion:{name}"
    if comparison.rows == 0:
        sentence = f"the champion (version {comparison.champion}) has seen all test rows; nothing can be compared"
        return Check(check, Status.FAIL, name, sentence, rows=0)
    difference = comparison.difference
    worst = -difference.low if name in LARGER_IS_BETTER else difference.high
    sentence = (
        f"{name} is {comparison.candidate_value:.4f}, the champion's (version {comparison.champion}) "
        f"{comparison.champion_value:.4f} on the same {comparison.rows:,} rows: worse by at most {worst:+.4f} "
        f"(95 %), allowed {margin:g}"
    )
    observed = None if math.isnan(worst) else worst
    return Check(
        check, Status.PASS if worst <= margin else Status.FAIL, name, sentence, observed, margin, comparison.rows
    )
