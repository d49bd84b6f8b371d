"""How far a statistic swings from one window of the reference to the next, beyond what chance alone does."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy import special

from nightshift.profile.movement import Measure
from nightshift.profile.tails import student_tail

WINDOWS_MIN = 4
"""Fewer windows tell nothing about how windows vary."""
MANY = 30
"""Of so many windows the furthest on either side may have been the odd one."""
SURE = 0.2
"""Windows whose spread chance would explain this often or more are taken to vary by chance alone."""


@dataclass(frozen=True)
class Swing:
    """Mean, variance between windows, and largest size of one statistic over so many ``windows`` of the reference.

    Sizes are never negative and often skewed, so their logarithms are kept too.
    ``variance`` is what is left when chance has had its part; 0 if nothing is.
    ``excess`` is how heavy the tails of signed shifts are: their kurtosis beyond a
    normal law's, about 0. Of places, ``ground`` is between which two they lay.
    """

    windows: int = 0
    mean: float = 0.0
    variance: float = 0.0
    worst: float = 0.0
    log_mean: float = 0.0
    log_variance: float = 0.0
    excess: float = 0.0
    ground: tuple[float, float] | None = None

    @classmethod
    def of_places(cls, measures: Sequence[Measure]) -> Self:
        """Return between where and where windows lay, but for the odd one of many; of their law nothing is asked."""
        shifts = sorted(one.shift for one in measures)
        odd = 1 if len(shifts) >= MANY else 0
        return cls(len(shifts), ground=(shifts[odd], shifts[-1 - odd]))

    @classmethod
    def around_zero(cls, measures: Sequence[Measure]) -> Self:
        """Return the swing of a statistic with a sign, which is 0 on average over the reference."""
        shifts = np.array([one.shift for one in measures])
        if not varies(measures):
            return cls(len(measures), worst=_largest(shifts))
        beyond = float(np.mean(shifts**2 - [one.variance for one in measures]))
        return cls(len(measures), 0.0, max(beyond, 0.0), _largest(shifts), excess=_excess(shifts))

    @classmethod
    def of_sizes(cls, measures: Sequence[Measure]) -> Self:
        """Return the swing of a size, which chance alone already keeps above 0."""
        shifts = np.array([one.shift for one in measures])
        if not varies(measures):
            return cls(len(measures), worst=_largest(shifts))
        logs = np.log(np.maximum(shifts, [math.sqrt(one.variance) or 1e-9 for one in measures]))
        log_mean, log_variance = float(logs.mean()), float(logs.var(ddof=1))
        return cls(
            len(measures), float(shifts.mean()), float(shifts.var(ddof=1)), _largest(shifts), log_mean, log_variance
        )

    def tail(self, measure: Measure) -> float:
        """Return how probable ``measure`` is when both chance and the windows' own swing are at work."""
        if self.windows < WINDOWS_MIN or (self.variance == 0.0 and self.mean == 0.0):
            return measure.tail
        between = self.variance * (1 + 1 / self.windows)
        if self.mean == 0.0:
            variance = measure.variance + between
            return max(measure.tail, student_tail(measure.shift, variance, self.windows, excess=self.excess))
        if measure.shift <= max(self.mean, 0.0):  # a release may be older than sizes without a sign
            return 1.0
        logarithmic = self.log_variance * (1 + 1 / self.windows)
        more = math.log(measure.shift) - self.log_mean
        skewed = student_tail(more, logarithmic, self.windows) / 2 if self.log_variance and more > 0 else 0.0
        return max(measure.tail, student_tail(measure.shift - self.mean, between, self.windows) / 2, skewed)

    @property
    def reach(self) -> float:
        """The size that windows of the reference hardly exceed."""
        return max(self.worst, self.mean + 3 * math.sqrt(self.variance))

    def to_json(self) -> dict[str, Any]:
        return dict(self.__dict__)

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        ground = content.get("ground")
        return cls(**{**content, "ground": tuple(ground) if ground else None})


def varies(measures: Sequence[Measure]) -> bool:
    """Say whether windows differ more than chance lets them: their probabilities together (Fisher's method)."""
    if len(measures) < WINDOWS_MIN:
        return False
    together = -2 * sum(math.log(one.tail) for one in measures)
    return bool(special.chdtrc(2 * len(measures), together) < SURE)


def _excess(shifts: np.ndarray) -> float:
    """Return the kurtosis about 0 beyond the normal law's 3; at least 0."""
    square = float(np.mean(shifts**2))
    return max(float(np.mean(shifts**4)) / square**2 - 3, 0.0) if square else 0.0


def _largest(shifts: np.ndarray) -> float:
    return float(np.abs(shifts).max(initial=0.0))
