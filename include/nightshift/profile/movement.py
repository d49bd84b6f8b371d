"""How one column moved between two profiles, measured without judging: location, spread, and the mix of its values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nightshift.errors import BinsDifferError
from nightshift.profile import scores
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.tails import count_tail, fewer_tail, mean_tail, square_tail
from nightshift.spec import Kind

EXPECTED_MIN = 5.0
"""Bins are joined until a window would hold so many rows in each: they shrink with the night's size."""
GROUPS_MAX = 20
ROWS_PER_GROUP = 30


@dataclass(frozen=True)
class Measure:
    """One statistic: how far it moved in deviations of a row, the variance of that by chance, and its probability.

    Location and spread have a sign; one name's share and the mix are sizes, which have none.
    """

    shift: float
    variance: float
    tail: float

    @property
    def effect(self) -> float:
        """Size in the unit of Cohen's d and w: 0.2 small, 0.5 medium, 0.8 large."""
        return abs(self.shift)


@dataclass(frozen=True)
class Movement:
    """What moved in one column, of the rows that have a known value in both profiles.

    ``before`` and ``now`` are counts on common bins, or of common ``names``.
    """

    kind: Kind
    before: np.ndarray
    now: np.ndarray
    names: tuple[str, ...] = ()

    @classmethod
    def of(cls, before: FeatureProfile, now: FeatureProfile) -> "Movement":
        """Return the movement between two profiles; a BinsDifferError unless they are on the same bins."""
        if before.grid != now.grid:
            raise BinsDifferError("the profiles were counted on different bins; give the current one bins_of=reference")
        if before.kind is Kind.NUMERIC:
            return cls(before.kind, np.array(before.bins, dtype=float), np.array(now.bins, dtype=float))
        names = tuple(sorted(before.counts.keys() | now.counts.keys()))
        return cls(before.kind, _row(before.counts, names), _row(now.counts, names), names)

    @property
    def rows(self) -> tuple[float, float]:
        return float(self.before.sum()), float(self.now.sum())

    @cached_property
    def measures(self) -> Mapping[str, Measure]:
        """Measures by name: location and spread (numeric), one name's share (categorical), mix; empty without rows."""
        if min(self.rows) < 2 or np.count_nonzero(self.before + self.now) < 2:
            return {}
        if self.kind is Kind.CATEGORICAL:
            return {"name": self._loudest(), "mix": self._mix()}
        pooled = self.before + self.now
        location = scores.location(pooled)
        spread = scores.spread(pooled, beside=location)
        return {"location": self._mean(location), "spread": self._mean(spread), "mix": self._mix()}

    def _mean(self, score: np.ndarray) -> Measure:
        """Compare the mean score of both; the bins of both together are what chance would draw from."""
        before, now = self.rows
        pooled = self.before + self.now
        total = before + now
        deviation = float(np.sqrt(pooled @ score**2 / total))
        if deviation < 1e-9:
            return Measure(0.0, 0.0, 1.0)
        shift = float(self.now @ score / now - self.before @ score / before)
        variance = (1 / before + 1 / now) * total / (total - 1)
        occupied = np.flatnonzero(pooled)
        if len(occupied) == 2:
            return Measure(shift / deviation, variance, self._two_sided(int(occupied[1])))
        tail = mean_tail(pooled / total, score, float(self.now @ score / now), now * (total - 1) / before)
        return Measure(shift / deviation, variance, tail)

    def _two_sided(self, place: int) -> float:
        before, now = (int(rows) for rows in self.rows)
        counts = int(self.now[place]), now, int(self.before[place]), before
        return min(1.0, 2 * min(count_tail(*counts), fewer_tail(*counts)))

    def _loudest(self) -> Measure:
        """Return the one name whose share moved most surely, its probability times the names that were asked."""
        before, now = self.rows
        share = (self.before + self.now) / (before + now)
        difference = self.now / now - self.before / before
        variance = share * (1 - share) * (1 / before + 1 / now)
        sure = np.divide(difference**2, variance, out=np.zeros_like(share), where=variance > 0)
        place = int(sure.argmax())
        asked = int((self.before > 0).sum())
        size = 2 * float(np.arcsin(np.sqrt(self.now[place] / now)) - np.arcsin(np.sqrt(self.before[place] / before)))
        return Measure(abs(size), 1 / before + 1 / now, min(1.0, asked * self._two_sided(place)))

    def _mix(self) -> Measure:
        """Compare all shares at once by chi-square, on groups of bins that a window of this size can fill."""
        before, now = self.grouped
        freedom = len(before) - 1
        if freedom < 1:
            return Measure(0.0, 0.0, 1.0)
        rows = before.sum(), now.sum()
        pooled = (before + now) / sum(rows)
        statistic = float(((now / rows[1] - before / rows[0]) ** 2 / pooled).sum() / (1 / rows[0] + 1 / rows[1]))
        variance = 1 / rows[0] + 1 / rows[1]
        return Measure(
            float(np.sqrt(max(statistic - freedom, 0.0) * variance)), variance, square_tail(statistic, freedom)
        )

    @cached_property
    def grouped(self) -> tuple[np.ndarray, np.ndarray]:
        """The counts on fewer bins: neighbours joined evenly (numeric), rare names joined (categorical)."""
        before, now = self.rows
        pooled = self.before + self.now
        expected = pooled * now / (before + now)
        if self.kind is Kind.CATEGORICAL:
            order = np.argsort(-pooled, kind="stable")
            own = int((expected >= EXPECTED_MIN).sum())
            places = np.minimum(np.argsort(order, kind="stable"), own)
        else:
            groups = int(np.clip(now // ROWS_PER_GROUP, 2, GROUPS_MAX))
            middle = scores.ranks(pooled)
            places = np.unique((middle * groups).astype(int), return_inverse=True)[1]
        joined = np.bincount(places, self.before), np.bincount(places, self.now)
        filled = joined[0] + joined[1] > 0
        return joined[0][filled], joined[1][filled]


def _row(counts: Mapping[str, int], names: Sequence[str]) -> np.ndarray:
    return np.array([counts.get(name, 0) for name in names], dtype=float)
