"""How good a candidate is, how sure that is, and whether it may replace the champion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nightshift.model import gates
from nightshift.model.bootstrap import CONFIDENCE, Interval, Resampling
from nightshift.model.metrics import Measure, measure
from nightshift.model.segments import Segment, weakest_segments
from nightshift.spec import COMPARED, GATED, ModelSpec, Task
from nightshift.verdict import Verdict

FORMAT = 1
Predict = Callable[[pd.DataFrame], npt.NDArray[Any]]


@dataclass(frozen=True)
class Champion:
    """What a candidate is compared with.

    ``learned_until`` is the first moment whose rows it has not learned from;
    ``classes`` are its labels in the order of its probabilities, if multiclass.
    """

    version: str
    predict: Predict
    learned_until: datetime
    classes: Sequence[str] = ()


@dataclass(frozen=True)
class Paired:
    """One metric of candidate and champion on the same rows; ``difference`` is candidate less champion."""

    candidate: float
    champion: float
    difference: Interval

    def to_json(self) -> dict[str, Any]:
        return {"candidate": self.candidate, "champion": self.champion, "difference": self.difference.to_json()}


@dataclass(frozen=True)
class Comparison:
    """Candidate and champion, on rows that neither has learned from.

    ``rows`` may be 0: then nothing could be compared. ``segments`` holds for
    each named segment (``carrier = UA``) its rows and the compared metric.
    """

    version: str
    learned_until: datetime
    rows: int
    metrics: Mapping[str, Paired]
    segments: Mapping[str, tuple[int, Paired | None]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "learned_until": self.learned_until.isoformat(),
            "rows": self.rows,
            "metrics": {name: paired.to_json() for name, paired in self.metrics.items()},
            "segments": {
                name: {"rows": rows, "paired": paired.to_json() if paired else None}
                for name, (rows, paired) in self.segments.items()
            },
        }


@dataclass(frozen=True)
class Evaluation:
    """What the test rows say.

    ``metrics`` holds only what can be told of these rows; ``unknown`` says for
    each other metric of the task why it cannot. ``resampled`` is what was drawn
    together for the intervals: days or rows. ``weakest`` are the segments that
    are worst off, worst first.
    """

    rows: int
    metrics: Mapping[str, Interval]
    unknown: Mapping[str, str]
    resampled: str
    comparison: Comparison | None
    weakest: Sequence[Segment]

    def verdict(self, spec: ModelSpec) -> Verdict:
        """Return PASS only if every gate of the declaration is met and there is one that measures something."""
        return gates.judge(self, spec)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "rows": self.rows,
            "confidence": CONFIDENCE,
            "resampled": self.resampled,
            "metrics": {name: interval.to_json() for name, interval in self.metrics.items()},
            "unknown": dict(self.unknown),
            "comparison": self.comparison.to_json() if self.comparison else None,
            "weakest": [segment.to_json() for segment in self.weakest],
        }


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
        Gives for a frame P(1), the value, or one probability for each class.
    test
        Rows with features, label and time, of which the candidate has seen none.
        May be empty: then nothing is known, which passes no gate.
    classes
        Labels of a multiclass model in the order of its probabilities. A label
        that is none of them counts as answered wrongly.
    seed
        Of the resampling; the same rows and seed give the same intervals.
    """
    if test.empty:
        unknown = dict.fromkeys(GATED[spec.task], "there are no test rows")
        return Evaluation(0, {}, unknown, "rows", _compare(predict, test, spec, classes, champion, seed), ())
    resampling = Resampling.of(test[spec.time.column], seed=seed)
    answers = predict(test)
    strange = answer_problem(answers, test, spec, classes)
    if strange:
        unknown = dict.fromkeys(GATED[spec.task], strange)
        return Evaluation(len(test), {}, unknown, resampling.what, None, ())
    truth = _truth(test, spec, classes)
    found = {
        name: resampling.interval(measure(name, spec.task, truth, answers, resampling.units, classes=len(classes)))
        for name in GATED[spec.task]
    }
    return Evaluation(
        rows=len(test),
        metrics={name: interval for name, interval in found.items() if interval},
        unknown={name: "these rows do not tell it" for name, interval in found.items() if not interval},
        resampled=resampling.what,
        comparison=_compare(predict, test, spec, classes, champion, seed),
        weakest=weakest_segments(test, truth, answers, spec, len(classes), seed=seed),
    )


def answer_problem(answers: npt.NDArray[Any], rows: pd.DataFrame, spec: ModelSpec, classes: Sequence[str]) -> str:
    """Return what is wrong with a model's answers as such; empty if nothing is."""
    expected = (len(rows), len(classes)) if spec.task is Task.MULTICLASS else (len(rows),)
    if answers.shape != expected:
        return f"the answers have the shape {answers.shape}, expected {expected}"
    broken = int((~np.isfinite(answers)).sum())
    return f"{broken} answers are no numbers" if broken else ""


def _compare(
    predict: Predict,
    test: pd.DataFrame,
    spec: ModelSpec,
    classes: Sequence[str],
    champion: Champion | None,
    seed: int,
) -> Comparison | None:
    if champion is None:
        return None
    unseen = test[test[spec.time.column] >= pd.Timestamp(champion.learned_until)] if len(test) else test
    if unseen.empty:
        return Comparison(champion.version, champion.learned_until, 0, {})
    theirs = champion.predict(unseen)
    if answer_problem(theirs, unseen, spec, champion.classes or classes):
        return Comparison(champion.version, champion.learned_until, 0, {})
    if spec.task is Task.MULTICLASS:
        theirs = _in_order(theirs, champion.classes or classes, classes)
    contest = _Contest(unseen, _truth(unseen, spec, classes), predict(unseen), theirs, spec, len(classes), seed)
    everything = np.ones(len(unseen), dtype=bool)
    paired = {name: contest.pair(name, everything) for name in COMPARED[spec.task]}
    return Comparison(
        champion.version,
        champion.learned_until,
        len(unseen),
        {name: one for name, one in paired.items() if one},
        contest.segments(),
    )


@dataclass(frozen=True)
class _Contest:
    """Two models' answers to the same rows."""

    rows: pd.DataFrame
    truth: npt.NDArray[Any]
    ours: npt.NDArray[Any]
    theirs: npt.NDArray[Any]
    spec: ModelSpec
    classes: int
    seed: int

    def pair(self, name: str, chosen: npt.NDArray[np.bool_]) -> Paired | None:
        """Return one metric of both on some of the rows; none if these rows do not tell it."""
        resampling = Resampling.of(self.rows[self.spec.time.column][chosen], seed=self.seed)
        ours, theirs = (self._measure(name, answers, chosen, resampling) for answers in (self.ours, self.theirs))
        values = (resampling.value(ours), resampling.value(theirs))
        gap = resampling.gap(ours, theirs)
        return Paired(*values, gap) if gap else None

    def segments(self) -> dict[str, tuple[int, Paired | None]]:
        """Return the compared metric for each named segment that has rows enough."""
        against = self.spec.gates.champion
        if against is None:
            return {}
        found = {}
        for column in against.segments:
            values = self.rows[column].astype(object)
            for value in sorted(values.dropna().unique(), key=str):
                chosen = (values == value).to_numpy()
                if chosen.sum() >= against.segment_rows_min:
                    found[f"{column} = {value}"] = (int(chosen.sum()), self.pair(against.metric, chosen))
        return found

    def _measure(
        self, name: str, answers: npt.NDArray[Any], chosen: npt.NDArray[np.bool_], resampling: Resampling
    ) -> Measure:
        return measure(
            name, self.spec.task, self.truth[chosen], answers[chosen], resampling.units, classes=self.classes
        )


def _truth(rows: pd.DataFrame, spec: ModelSpec, classes: Sequence[str]) -> npt.NDArray[Any]:
    labels = rows[spec.label.column]
    if spec.task is not Task.MULTICLASS:
        return labels.to_numpy(dtype=np.float64)
    codes = {name: code for code, name in enumerate(classes)}
    return np.array([codes.get(str(label), -1) for label in labels], dtype=np.intp)


def _in_order(answers: npt.NDArray[Any], theirs: Sequence[str], ours: Sequence[str]) -> npt.NDArray[Any]:
    """Return probabilities with one column for each of ``ours``; a class the other model lacks is never its answer."""
    columns = [answers[:, list(theirs).index(name)] if name in theirs else np.zeros(len(answers)) for name in ours]
    return np.stack(columns, axis=1)
