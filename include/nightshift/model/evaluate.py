"""How good a candidate is, how sure that is, and whether it may replace the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from nightshift.interval import CONFIDENCE, Interval
from nightshift.model import gates
from nightshift.model.answered import Answered, Predict
from nightshift.model.comparison import Champion, Comparison, compare
from nightshift.model.segments import Segment, named_segments, weakest_segments
from nightshift.spec import GATED, ModelSpec
from nightshift.verdict import Verdict

FORMAT = 1
__all__ = ["Champion", "Evaluation", "evaluate"]


@dataclass(frozen=True)
class Evaluation:
    """What the test rows say.

    ``metrics`` holds only what can be told of these rows; ``unknown`` says for
    each other metric of the task why it cannot. ``resampled`` is what was drawn
    together for the intervals: days or rows. ``comparison`` is none if there is
    no champion. ``named`` are the segments of the declaration, ``weakest`` those
    that are worst off, worst first.
    """

    rows: int
    metrics: Mapping[str, Interval]
    unknown: Mapping[str, str]
    resampled: str
    comparison: Comparison | None
    named: Sequence[Segment]
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
            "segments": [segment.to_json() for segment in self.named],
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
        return _nothing(test, spec, champion, "there are no test rows")
    answered = Answered.by(predict, test, spec, classes)
    if answered.problem:
        return _nothing(test, spec, champion, answered.problem)
    resampling = answered.resampling(seed)
    found = {name: resampling.interval(answered.measure(name, resampling)) for name in GATED[spec.task]}
    return Evaluation(
        rows=len(test),
        metrics={name: interval for name, interval in found.items() if interval},
        unknown={name: "these rows do not tell it" for name, interval in found.items() if not interval},
        resampled=resampling.what,
        comparison=compare(answered, champion, seed=seed) if champion else None,
        named=named_segments(answered, seed=seed),
        weakest=weakest_segments(answered, seed=seed),
    )


def _nothing(test: pd.DataFrame, spec: ModelSpec, champion: Champion | None, why: str) -> Evaluation:
    """Return an evaluation that knows nothing, and so passes no gate."""
    comparison = Comparison(champion.version, champion.learned_until, 0, why_not=why) if champion else None
    return Evaluation(len(test), {}, dict.fromkeys(GATED[spec.task], why), "rows", comparison, (), ())
