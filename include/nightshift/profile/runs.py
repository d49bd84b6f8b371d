"""A column's different numbers and how often each came: all that a summary of numbers needs to know."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from nightshift.profile.distinct import Distinct

DENSE = 2**18
"""Whole numbers that lie within so many are counted by place, without sorting."""
FEW, SCALES = 64, (1.0, 1000.0)
"""So many numbers are looked at before all; decimals are often whole if multiplied."""
WHOLE = 2**53
"""Beyond this, not every whole number is a float."""


@dataclass(frozen=True)
class Runs:
    """Different finite ``values``, ascending, float64, and the ``counts`` of each.

    ``nan`` and ``infinite`` count what is not among them. ``distinct`` is given
    where floats cannot tell the values apart, as for large whole numbers.
    """

    values: np.ndarray
    counts: np.ndarray
    nan: int = 0
    infinite: int = 0
    distinct: Distinct | None = None

    @classmethod
    def of(cls, numbers: np.ndarray) -> Self:
        """Return the runs of numbers in any order, whole ones (any width) or floats.

        >>> Runs.of(np.array([2.0, 1.0, 2.0, np.nan, np.inf]))
        Runs(values=array([1., 2.]), counts=array([1, 2]), nan=1, infinite=1, distinct=None)
        """
        if not len(numbers):
            return cls(np.empty(0), np.empty(0, np.int64))
        return cls._of_whole(numbers) if numbers.dtype.kind in "iu" else cls._of_floats(numbers)

    @classmethod
    def _of_whole(cls, numbers: np.ndarray) -> Self:
        low, high = int(numbers.min()), int(numbers.max())
        exact = max(-low, high) <= WHOLE
        placed = _placed(numbers, low, high) if exact else None
        if placed is not None:
            places, counts = placed
            return cls(places.astype(np.float64), counts)
        values, counts = _run_lengths(np.sort(numbers))
        if exact:
            return cls(values.astype(np.float64), counts)
        hashes = np.where(_is_float(values), values.astype(np.float64).view(np.uint64), values.view(np.uint64))
        return cls(*_joined(values.astype(np.float64), counts), distinct=Distinct.of_words(hashes))

    @classmethod
    def _of_floats(cls, numbers: np.ndarray) -> Self:
        wide = numbers.astype(np.float64, copy=False)
        for scale in SCALES:
            whole = _as_whole(wide, scale)
            placed = _placed(whole, int(whole.min()), int(whole.max())) if whole is not None else None
            if placed is not None:
                return cls(placed[0] / scale, placed[1])
        ordered = np.sort(wide)
        known = int(np.searchsorted(ordered, np.nan))
        first = int(np.searchsorted(ordered[:known], -np.inf, side="right"))
        last = int(np.searchsorted(ordered[:known], np.inf, side="left"))
        values, counts = _run_lengths(ordered[first:last])
        return cls(values + 0.0, counts, len(ordered) - known, known - (last - first))

    def __len__(self) -> int:
        return len(self.values)

    @property
    def rows(self) -> int:
        """How many finite numbers there are."""
        return int(self.counts.sum())

    def merge(self, other: Self) -> Self:
        """Return the runs of both."""
        joined = np.concatenate((self.values, other.values)), np.concatenate((self.counts, other.counts))
        order = np.argsort(joined[0], kind="stable")
        distinct = self.distinct.merge(other.distinct) if self.distinct and other.distinct else None
        values, counts = _joined(joined[0][order], joined[1][order])
        return type(self)(values, counts, self.nan + other.nan, self.infinite + other.infinite, distinct)

    def at(self, share: float) -> float:
        """Return the value of that rank; there must be one."""
        return float(self.ranked(np.array([share]))[0])

    def ranked(self, shares: np.ndarray) -> np.ndarray:
        """Return the values at shares of the rows, 0 the lowest; there must be one."""
        ends = np.cumsum(self.counts)
        ranks = np.minimum((shares * ends[-1]).astype(np.int64), ends[-1] - 1)
        found: np.ndarray = self.values[np.searchsorted(ends, ranks, side="right")]
        return found

    def below(self, edges: np.ndarray, *, side: str = "left") -> np.ndarray:
        """Return how many rows lie below each edge; with ``side`` right, at or below."""
        ends = np.concatenate((np.zeros(1, np.int64), np.cumsum(self.counts)))
        found: np.ndarray = ends[np.searchsorted(self.values, edges, side=side)]  # type: ignore[call-overload]
        return found


def _as_whole(numbers: np.ndarray, scale: float) -> np.ndarray | None:
    """Return ``scale`` times the numbers as whole ones, if exactly that is what they are; a few tell most others."""
    for some in (numbers[:FEW], numbers):
        with np.errstate(invalid="ignore", over="ignore"):
            whole = np.rint(some * scale).astype(np.int32)
        if (whole / scale != some).any():
            return None
    return whole


def _placed(numbers: np.ndarray, low: int, high: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the different whole numbers and their counts, by place; none if they lie too far apart.

    Times are often whole minutes or hours: what divides the distances of a few mostly divides all.
    """
    few = np.subtract(numbers[:FEW], low, dtype=np.int64, casting="unsafe")
    step = int(np.gcd.reduce(few)) or 1
    if (high - low) // step >= DENSE:
        return None
    places = np.subtract(numbers, low, dtype=np.int64, casting="unsafe")
    if step > 1:
        steps = places // step
        step, places = (step, steps) if (steps * step == places).all() else (1, places)
        if (high - low) // step >= DENSE:
            return None
    counts = np.bincount(places)
    found = np.flatnonzero(counts)
    return found * step + low, counts[found]


def _run_lengths(ordered: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if not len(ordered):
        return ordered, np.empty(0, np.int64)
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], np.diff(starts, append=len(ordered))


def _joined(ordered: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ordered values with the counts of equal ones added up."""
    if not len(ordered):
        return ordered, counts
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
    return ordered[starts], np.add.reduceat(counts, starts)


def _is_float(whole: np.ndarray) -> np.ndarray:
    """Say which whole numbers are small enough to be the same as floats."""
    return (whole <= WHOLE) & (whole >= (0 if whole.dtype.kind == "u" else -WHOLE))
