"""How sure one can be of a metric: the same rows, drawn again and again.

Rows of one day are drawn together where there are days enough: flights of one
stormy day fail together, and counting them as so many independent rows would
promise too much.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from nightshift.interval import CONFIDENCE, Interval
from nightshift.model.metrics import Codes, Floats, Measure

RESAMPLES = {"days": 1000, "rows": 500}
DRAWS_MIN, WEIGHTS_MAX = 200, 32_000_000
DAYS_MIN = 8
"""With fewer days the rows themselves are taken for independent."""


@dataclass(frozen=True)
class Resampling:
    """Which rows are drawn together (``units``, a code for each row), what those are (days or rows), and the seed."""

    units: Codes
    what: str
    seed: int

    @classmethod
    def of(cls, times: "pd.Series[Any]", *, seed: int) -> Self:
        """Return how to draw rows that happened at ``times``."""
        days, count = _codes(times)
        if count >= DAYS_MIN:
            return cls(days, "days", seed)
        return cls(np.arange(len(times)), "rows", seed)

    @cached_property
    def count(self) -> int:
        """How many units there are."""
        return int(self.units.max()) + 1 if len(self.units) else 0

    @cached_property
    def weights(self) -> Floats:
        """How often each unit is drawn in each resample (resamples × units)."""
        draws = min(RESAMPLES[self.what], max(DRAWS_MIN, WEIGHTS_MAX // max(1, self.count)))
        drawn = np.random.default_rng(self.seed).integers(0, self.count, (draws, self.count))
        places = drawn + np.arange(draws)[:, None] * self.count  # so that one count of all tells those of each
        counts = np.bincount(places.ravel(), minlength=draws * self.count)
        return counts.reshape(draws, self.count).astype(np.float64)

    def interval(self, measure: Measure) -> Interval | None:
        """Return a metric with its interval; none if it cannot be told of these rows."""
        return self._interval(self.value(measure), measure.at(self.weights))

    def gap(self, measure: Measure, other: Measure) -> Interval | None:
        """Return how much ``measure`` is above ``other`` on the same draws; none if it cannot be told."""
        value = self.value(measure) - self.value(other)
        return self._interval(value, measure.at(self.weights) - other.at(self.weights))

    def value(self, measure: Measure) -> float:
        """Return a metric of the rows as they are; NaN if they do not tell it."""
        return float(measure.at(np.ones((1, self.count)))[0])

    def _interval(self, value: float, drawn: Floats) -> Interval | None:
        """Return the expanded percentile interval.

        Percentiles of few units are too narrow; their levels are moved out by
        what separates Student's t from the normal distribution.

        References
        ----------
        T. Hesterberg, What Teachers Should Know About the Bootstrap, The
        American Statistician 69 (2015), section 4.
        """
        known = drawn[np.isfinite(drawn)]
        if not np.isfinite(value) or self.count < 2 or len(known) < len(drawn) / 2:
            return None
        reach = stats.t.ppf((1 + CONFIDENCE) / 2, self.count - 1) * np.sqrt(self.count / (self.count - 1))
        level = float(stats.norm.cdf(-reach))
        low, high = np.quantile(known, [level, 1 - level])
        return Interval(value, min(value, float(low)), max(value, float(high)))


def _codes(times: "pd.Series[Any]") -> tuple[Codes, int]:
    codes, days = pd.factorize(times.dt.floor("D"))
    return codes.astype(np.intp), len(days)
