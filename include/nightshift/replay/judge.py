"""One window of a stranger's files against their reference: verdict, columns, reasons."""

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from nightshift.predictions.second_opinion import Opinion
from nightshift.profile.baseline import Baseline
from nightshift.profile.budget import Budget
from nightshift.profile.drift import VOLUME_TIMES, compare_with
from nightshift.profile.profile import Profile
from nightshift.replay.harm import expected_harm
from nightshift.replay.schema import Schema
from nightshift.replay.stretches import Stretches, cut, reach
from nightshift.spec import Limits
from nightshift.verdict import SEVERITY, Check, Status

ROWS_MIN = 30
NEGLIGIBLE = 0.02
"""PSI of a column that may move so far; no model's gain is known here, so columns weigh alike."""
FALSE_ALARMS = 0.005
"""Half of one in a hundred windows: the reference is but a sample, and its own chance is in every comparison."""
ALARMED = (Status.DRIFTED, Status.BROKEN)
WORSE_DEVIATIONS = 3.0
"""How many standard errors worse a window's mean error must be: by chance one window in 700."""


@dataclass(frozen=True)
class Season:
    """How much larger the mean error of a stretch gets by itself than that of all rows, beyond chance.

    ``seen`` is as it was, ``expected`` as it would have been foretold without labels.
    """

    seen: float = 0.0
    expected: float = 0.0


@dataclass(frozen=True)
class Judge:
    """A reference, profiled once; each window is judged by itself."""

    schema: Schema
    stretches: Stretches
    errors: "pd.Series[float]"
    opinion: Opinion | None
    seasons: Mapping[int, Season]
    """By the rows of a stretch; none where the rows of the reference are in no order, or no size was declared."""

    @classmethod
    def of(cls, reference: pd.DataFrame, schema: Schema) -> Self:
        """Return the judge of windows against ``reference``, whose rows are in order if the schema says so."""
        stretches = Stretches.of(
            reference,
            schema.features,
            schema.window_rows if schema.ordered else (),
            budget=Budget(FALSE_ALARMS),
            importance=_weights(schema),
        )
        errors = _errors(reference, reference["target"], schema)
        opinion = _opinion(reference, schema)
        seasons = {
            length: _season_of([*cut(reference, length)], errors, opinion, schema)
            for length in set(stretches.lengths.values())
        }
        return cls(schema, stretches, errors, opinion, seasons)

    def judge(self, rows: pd.DataFrame, labels: "pd.Series[Any] | None" = None) -> dict[str, Any]:
        """Return the window's entry in the answer: drift, columns, performance, verdict, reasons."""
        if len(rows) < ROWS_MIN:
            sentence = f"{len(rows)} rows; fewer than {ROWS_MIN} say nothing"
            return entry(self.schema, [Check("rows", Status.UNKNOWN, "rows", sentence, len(rows), ROWS_MIN, len(rows))])
        baseline = self.stretches.like(len(rows))
        current = Profile.of(rows, self.schema.features, bins_of=baseline.reference)
        column = NEGLIGIBLE / len(self.schema.features)
        # nobody declared what drift is too much: the stretches say it, and not only the worst of them
        drift = max(Limits().drift, baseline.variation.drift_within(baseline.budget.of_all))
        limits = Limits(column=column, drift=drift)
        report = compare_with(baseline, current, importance=_weights(self.schema), limits=limits)
        checks = [*report.checks, *self._volume(len(rows))]
        if labels is not None:
            worse = list(self._performance(rows, labels))
        else:
            worse = list(self._expected(rows, checks, baseline))
        return entry(self.schema, [*checks, *worse])

    def _volume(self, rows: int) -> Iterator[Check]:
        """Yield a check if there are far more or fewer rows than in windows of any size that was declared."""
        declared = self.schema.window_rows
        if declared and not min(declared) / VOLUME_TIMES <= rows <= max(declared) * VOLUME_TIMES:
            nearest = min(declared) if rows < min(declared) else max(declared)
            sentence = f"the window has {rows:,} rows; windows were declared to have {nearest:,}"
            yield Check("volume", Status.BROKEN, "rows", sentence, rows, nearest, rows)

    def _expected(self, rows: pd.DataFrame, checks: Sequence[Check], baseline: Baseline) -> Iterator[Check]:
        if self.opinion is None or "prediction" not in rows or not rows["prediction"].notna().any():
            return
        season = self._season(len(rows)).expected
        with suppress(TypeError, ValueError):  # values that cannot be compared: the verdict on them stands without it
            foretold = baseline.bonds.foretold
            yield expected_harm(self.opinion, baseline.reference, rows, checks, bound=foretold, season=season)

    def _season(self, rows: int) -> Season:
        """Return what windows of so many rows do by themselves."""
        return self.seasons.get(self.stretches.length_like(rows), Season())

    def _performance(self, rows: pd.DataFrame, labels: "pd.Series[Any]") -> list[Check]:
        if "prediction" not in rows or len(labels) != len(rows):
            sentence = f"{len(labels)} labels for {len(rows)} rows with their predictions: performance is not judged"
            return [Check("labels", Status.UNKNOWN, "target", sentence, len(labels), len(rows), len(rows))]
        errors = _errors(rows, labels.set_axis(rows.index), self.schema)
        season = self._season(len(rows)).seen
        return [worse_than(self.errors, errors, season=season)] if len(errors) >= ROWS_MIN else []


def worse_than(usual: "pd.Series[float]", errors: "pd.Series[float]", *, season: float = 0.0) -> Check:
    """Return whether a window's ``errors``, one for each row, are larger than the reference's by more than chance.

    ``season`` is by how much they get larger by themselves.

    Welch's comparison of two means, but with the larger of the two variances for
    the window: few rows without an error have none. Both need two rows or more.

    >>> worse_than(pd.Series([0.0, 1.0] * 500), pd.Series([1.0] * 90 + [0.0] * 10)).sentence
    'the mean error is 0.9, allowed 0.6574'
    """
    variance = max(_variance(errors), _variance(usual)) / len(errors) + _variance(usual) / len(usual)
    allowed = float(usual.mean()) + math.hypot(WORSE_DEVIATIONS * math.sqrt(variance), season)
    found = float(errors.mean())
    status = Status.DEGRADED if found > allowed else Status.HEALTHY
    sentence = f"the mean error is {found:.4g}, allowed {allowed:.4g}"
    return Check("performance", status, "performance", sentence, found, allowed, len(errors))


def _variance(values: "pd.Series[float]") -> float:
    """Return the variance, which may be endless."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(values.var())


def entry(schema: Schema, checks: list[Check]) -> dict[str, Any]:
    """Return what the answer says of a window with these checks; the worst of them decides."""
    speaking = sorted(
        (check for check in checks if check.status is not Status.HEALTHY), key=lambda one: -SEVERITY.index(one.status)
    )
    alarmed = {check.subject for check in speaking if check.status in ALARMED}
    return {
        "drift": any(check.status in ALARMED for check in speaking),
        "columns": {name: name in alarmed for name in schema.features},
        "performance": any(check.status is Status.DEGRADED for check in speaking),
        "verdict": str(_worst(speaking)),
        "reasons": [check.sentence for check in speaking],
    }


def _worst(speaking: list[Check]) -> Status:
    """Return the word for the window: what is only expected of its performance does not outrank what was seen."""
    seen = [check for check in speaking if check.name != "expected performance"] or speaking
    return seen[0].status if seen else Status.HEALTHY


def _opinion(reference: pd.DataFrame, schema: Schema) -> Opinion | None:
    """Return what can be expected without labels; nothing of a reference whose values cannot be learned from."""
    kinds = {name: str(kind) for name, kind in schema.features.items()}
    try:
        return Opinion.of(reference, kinds, schema.task)
    except (TypeError, ValueError):
        return None


def _season_of(
    parts: Sequence[pd.DataFrame], errors: "pd.Series[float]", opinion: Opinion | None, schema: Schema
) -> Season:
    known = [own for rows in parts if len(own := _errors(rows, rows["target"], schema)) >= ROWS_MIN]
    chance = sum(_variance(own) / len(own) for own in known) / max(len(known), 1)
    seen = [float(own.mean() - errors.mean()) for own in known]
    expected = []
    for rows in (part[part["prediction"].notna()] for part in parts):
        if opinion is not None and len(rows) >= ROWS_MIN:
            with suppress(TypeError, ValueError):  # values that cannot be compared tell nothing
                expected.append(opinion.worse(rows, hidden={}, believed=True))
    return Season(reach(seen, FALSE_ALARMS, chance=chance), reach(expected, FALSE_ALARMS))


def _weights(schema: Schema) -> dict[str, float]:
    return dict.fromkeys(schema.features, 1 / len(schema.features))


def _errors(rows: pd.DataFrame, labels: "pd.Series[Any]", schema: Schema) -> "pd.Series[float]":
    """Return each row's error where a label is known: its size, or 1 for a wrong class."""
    known = labels.notna().to_numpy()
    predicted, truly = rows.loc[known, "prediction"], labels[known]
    if schema.task == "regression":
        errors = (pd.to_numeric(predicted, errors="coerce") - pd.to_numeric(truly, errors="coerce")).abs()
        return errors.dropna()
    wrong: pd.Series[float] = (predicted.astype(str) != truly.astype(str)).astype(float)
    return wrong
