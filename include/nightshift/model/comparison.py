"""Candidate and champion on the same rows, of which neither has learned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd

from nightshift.interval import Interval
from nightshift.model.answered import Answered, Predict
from nightshift.model.segments import categories
from nightshift.spec import COMPARED, AgainstChampion


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
    """One metric of both on the same rows; ``difference`` is candidate less champion."""

    candidate: float
    champion: float
    difference: Interval

    def to_json(self) -> dict[str, Any]:
        return {"candidate": self.candidate, "champion": self.champion, "difference": self.difference.to_json()}


@dataclass(frozen=True)
class Comparison:
    """How the candidate does beside the champion.

    ``rows`` may be 0: then nothing could be compared, and ``why_not`` says why.
    ``segments`` holds for each named segment (``carrier = UA``) its rows and
    the compared metric, none where these rows do not tell it.
    """

    version: str
    learned_until: datetime
    rows: int
    metrics: Mapping[str, Paired] = field(default_factory=dict)
    segments: Mapping[str, tuple[int, Paired | None]] = field(default_factory=dict)
    why_not: str = ""

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
            "why_not": self.why_not,
        }


def compare(candidate: Answered, champion: Champion, *, seed: int) -> Comparison:
    """Return both models' metrics on those of the candidate's rows that the champion has not learned from.

    Parameters
    ----------
    seed
        Of the resampling, which draws the same rows for both.
    """
    spec = candidate.spec
    unseen = (candidate.rows[spec.time.column] >= pd.Timestamp(champion.learned_until)).to_numpy()
    if not unseen.any():
        until = f"{champion.learned_until:%Y-%m-%d %H:%M} UTC"
        return _nothing(champion, f"no test row is later than {until}, until when it learned")
    ours = candidate.picked(unseen)
    try:
        theirs = Answered.by(champion.predict, ours.rows, spec, champion.classes)
    except KeyError as error:
        return _nothing(champion, f"it needs the column {error}, which the rows no longer have")
    if theirs.problem:
        return _nothing(champion, f"of the champion, {theirs.problem}")
    theirs = theirs.in_classes(candidate.classes)
    paired = {name: _pair(name, ours, theirs, seed) for name in COMPARED[spec.task]}
    return Comparison(
        champion.version,
        champion.learned_until,
        len(ours.rows),
        {name: one for name, one in paired.items() if one},
        _segments(ours, theirs, spec.gates.champion, seed) if spec.gates.champion else {},
    )


def _nothing(champion: Champion, why_not: str) -> Comparison:
    return Comparison(champion.version, champion.learned_until, 0, why_not=why_not)


def _pair(name: str, ours: Answered, theirs: Answered, seed: int) -> Paired | None:
    resampling = ours.resampling(seed)
    measured, theirs_measured = (answered.measure(name, resampling) for answered in (ours, theirs))
    gap = resampling.gap(measured, theirs_measured)
    return Paired(resampling.value(measured), resampling.value(theirs_measured), gap) if gap else None


def _segments(
    ours: Answered, theirs: Answered, against: AgainstChampion, seed: int
) -> dict[str, tuple[int, Paired | None]]:
    """Return the compared metric for each category of the named features that has rows enough; null is one too."""
    large = (one for one in categories(ours.rows, against.segments) if one[1].sum() >= against.segment_rows_min)
    return {
        name: (int(chosen.sum()), _pair(against.metric, ours.picked(chosen), theirs.picked(chosen), seed))
        for name, chosen in large
    }
