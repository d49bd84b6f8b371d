"""How columns go together: what the others say about a column, and whether they still can.

Each column is foretold from the others by least squares on scores of its
sampled rows. A column whose *level* is off moved although the others say it
should not have; a column whose *bond* is off is no longer foretold as well,
even if it looks the same on its own.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

import numpy as np
from scipy import special

from nightshift.profile import scores
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.movement import Measure
from nightshift.profile.profile import Profile
from nightshift.profile.sample import MISSING, ODD, OTHER, Sample
from nightshift.profile.tails import mean_tail
from nightshift.spec import Kind

ROWS_MIN = 60
FORETOLD = 0.1
"""Share of a column's variance that the others must foretell for their word to count."""
ONE_HOT = 8
RIDGE = 1e-3
BINNED = 300
GROUPS = 10
WEIGHT_MAX = 0.9
LESSONS = 4
"""So many sets of columns are remembered, each some three times the sampled rows' scores."""
CLEAR = 2.5
"""Deviations below which the normal law is good enough, and much quicker."""


@dataclass(frozen=True)
class Bonds:
    """The reference's sampled rows as scores, and where each column's scores are.

    ``tables`` turns places into scores, by column: (256, one or two). ``rows`` is
    (sampled rows, scores); of each column the first score is foretold.
    """

    tables: Mapping[str, np.ndarray]
    where: Mapping[str, slice]
    rows: np.ndarray
    known: Mapping[str, np.ndarray]
    gram: np.ndarray
    _lessons: dict[tuple[str, ...], "_Lesson"] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, reference: Profile) -> Self:
        """Return the bonds between the columns of a reference; none if it has too few rows."""
        sample = reference.sample
        tables = _tables(reference) if len(sample) >= ROWS_MIN else {}
        where, end = {}, 0
        for name, table in tables.items():
            where[name], end = slice(end, end + table.shape[1]), end + table.shape[1]
        rows, known = _read(sample, tables)
        return cls(tables, where, rows, known, rows.T @ rows / max(len(rows), 1))

    @cached_property
    def foretold(self) -> frozenset[str]:
        """The columns of which the others say something."""
        return frozenset(self._pulls(list(self.tables))) if len(self.tables) > 1 else frozenset()

    def measures(
        self, window: Sample, *, among: Collection[str] | None = None, of: Collection[str] | None = None
    ) -> dict[str, dict[str, Measure]]:
        """Return ``level``, ``bond`` and ``foretold`` of each column that the others foretell.

        ``foretold`` is where the others say that the column is: its shift only, which has neither variance nor chance.

        Parameters
        ----------
        window
            Rows on the bins of the reference.
        among
            Columns that may be believed; the rest is neither asked nor told.
        of
            Columns that are told; all, if not given.
        """
        names = [name for name in self.tables if name in window.columns and (among is None or name in among)]
        if len(window) < ROWS_MIN or len(names) < 2:
            return {}
        rows, known = _read(window, self.tables)
        lesson = self._lesson(tuple(names))
        now, found = rows @ lesson.matrix, {}
        for place, name in enumerate(lesson.names):
            own, here = self.where[name].start, known[name]
            if here.sum() >= ROWS_MIN and (of is None or name in of):
                left = lesson.left(place, self.known[name], *self._alike[name])
                found[name] = left.measures(now[here, place], rows[here, own])
        return found

    @cached_property
    def _alike(self) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
        """By column, edges that part like values, and where the reference's rows are.

        A rainy week is not another bond because rain is hard to foretell.
        """
        found = {}
        for name in self.tables:
            own = self.rows[self.known[name], self.where[name].start]
            shares = np.linspace(0, 1, GROUPS + 1)[1:-1]
            edges = np.unique(np.quantile(own, shares, method="higher")) if len(own) else own
            found[name] = edges, np.searchsorted(edges, own, side="right")
        return found

    def _lesson(self, names: tuple[str, ...]) -> "_Lesson":
        """Return what ``names`` say of each other; most windows ask all columns, and a sick one the same few again."""
        lesson = self._lessons.pop(names, None) or self._learned(names)
        self._lessons[names] = lesson  # the last one asked is the last to be forgotten
        if len(self._lessons) > LESSONS:
            del self._lessons[next(iter(self._lessons))]
        return lesson

    def _learned(self, names: tuple[str, ...]) -> "_Lesson":
        pulls = self._pulls(names)
        matrix = np.array(list(pulls.values())).reshape(-1, self.rows.shape[1]).T
        return _Lesson(tuple(pulls), matrix, self._unlearned(names, self.rows @ matrix))

    def _unlearned(self, names: Collection[str], left: np.ndarray) -> np.ndarray:
        """Return what is left of each of the reference's rows as if the others had been learned without that row.

        Rows that were learned from are foretold better than any that come later: with
        sixty columns by a twentieth, which a large window would take for a loose bond.
        (Prediction residuals: D. Allen, Technometrics 16, 1974.)
        """
        said = self.rows[:, self._places(names)]
        weight = np.einsum("ij,ij->i", said @ self._inverse(names), said) / len(said)
        return left / (1 - np.minimum(weight, WEIGHT_MAX))[:, None]

    def _places(self, names: Collection[str]) -> np.ndarray:
        return np.concatenate([np.arange(*self.where[name].indices(len(self.gram))) for name in names])

    def _inverse(self, names: Collection[str]) -> np.ndarray:
        places = self._places(names)
        inverse: np.ndarray = np.linalg.inv(self.gram[np.ix_(places, places)] + RIDGE * np.eye(len(places)))
        return inverse

    def _pulls(self, names: Collection[str]) -> dict[str, np.ndarray]:
        """Return by column what to multiply a row with to get what the others leave unexplained of it.

        All of them follow from one inverse: the part of a block that the other
        columns leave is that block's rows of the inverse, by the inverse of the
        block itself. Columns that the others hardly foretell are left out.
        """
        places, inverse = self._places(names), self._inverse(names)
        found, start = {}, 0
        for name in names:
            own = slice(start, start + self.tables[name].shape[1])
            start = own.stop
            pull = np.zeros(len(self.gram))
            pull[places] = (np.linalg.inv(inverse[own, own]) @ inverse[own])[0]
            left = float(pull @ self.gram @ pull)
            if left < (1 - FORETOLD) * self.gram[self.where[name].start, self.where[name].start]:
                found[name] = pull
        return found


@dataclass(frozen=True)
class _Lesson:
    """What columns say of each other: what to multiply rows with, and what that leaves of the reference's rows.

    ``matrix`` is (scores, names), ``rest`` is (the reference's rows, names).
    """

    names: tuple[str, ...]
    matrix: np.ndarray
    rest: np.ndarray
    _left: dict[int, "_Left"] = field(default_factory=dict)

    def left(self, place: int, known: np.ndarray, edges: np.ndarray, alike: np.ndarray) -> "_Left":
        """Return what is left of one column, in the rows that are ``known``; windows share it."""
        if place not in self._left:
            self._left[place] = _Left.of(self.rest[known, place], edges, alike)
        return self._left[place]


@dataclass(frozen=True)
class _Left:
    """What the others leave of one column: its mean, and its square beside the ``usual`` one of like values."""

    level: "_Numbers"
    bond: "_Numbers"
    edges: np.ndarray
    usual: np.ndarray

    @classmethod
    def of(cls, rest: np.ndarray, edges: np.ndarray, alike: np.ndarray) -> Self:
        level = _Numbers.of(rest)
        missed = (rest - level.mean) ** 2
        usual = np.bincount(alike, missed) / np.maximum(np.bincount(alike), 1)
        return cls(level, _Numbers.of(missed - usual[alike]), edges, usual)

    def measures(self, now: np.ndarray, values: np.ndarray) -> dict[str, Measure]:
        """Return how both moved, given what is left of a window's rows and the column's own scores there."""
        usual = self.usual[np.searchsorted(self.edges, values, side="right")]
        return {
            "level": self.level.measure(now),
            "bond": self.bond.measure((now - self.level.mean) ** 2 - usual),
            "foretold": Measure(float((values - now).mean()), 0.0, 1.0),
        }


@dataclass(frozen=True)
class _Numbers:
    """Numbers, and what chance makes of others like them."""

    values: np.ndarray
    mean: float
    deviation: float

    @classmethod
    def of(cls, values: np.ndarray) -> Self:
        return cls(values, float(values.mean()), float(values.std()))

    def measure(self, now: np.ndarray) -> Measure:
        """Compare the mean of ``now`` with theirs."""
        if self.deviation < 1e-9:
            return Measure(0.0, 0.0, 1.0)
        variance = 1 / len(self.values) + 1 / len(now)
        shift = (float(now.mean()) - self.mean) / self.deviation
        tail = 2 * float(special.ndtr(-abs(shift) / np.sqrt(variance)))
        if abs(shift) > CLEAR * np.sqrt(variance):
            pooled = np.concatenate((self.values, now))
            shares, levels = _binned(pooled)
            rows = len(now) * len(pooled) / len(self.values)
            tail = mean_tail(shares, levels, float(now.mean() - pooled.mean()), rows)
        return Measure(shift, variance, tail)


def _binned(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return shares and means of the values in narrow bins: as good as each on its own, and quicker."""
    low, high = values.min(), values.max()
    places = ((values - low) * (BINNED / (high - low))).astype(int) if high > low else np.zeros(len(values), int)
    counts, sums = np.bincount(places), np.bincount(places, values)
    return counts[counts > 0] / len(values), sums[counts > 0] / counts[counts > 0]


def _read(sample: Sample, tables: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return a sample's rows as scores, and which rows know each column; a column that is not there says nothing."""
    matrix, columns = sample.matrix, list(sample.columns)
    rows, known, end = np.zeros((len(sample), sum(table.shape[1] for table in tables.values()))), {}, 0
    for name, table in tables.items():
        start, end = end, end + table.shape[1]
        if name in columns:
            places = matrix[:, columns.index(name)]
            rows[:, start:end] = table.take(places, axis=0)
            known[name] = places < ODD
        else:
            known[name] = np.zeros(len(sample), dtype=bool)
    return rows, known


def _tables(reference: Profile) -> dict[str, np.ndarray]:
    """Return the scores of all places by column; a column of one value has none."""
    sample = reference.sample
    numeric = {
        name: _numeric_table(column)
        for name, column in reference.columns.items()
        if column.kind is Kind.NUMERIC and np.count_nonzero(column.bins) > 1
    }
    hot = {name: _one_hot(len(names)) for name, names in sample.names.items() if len(names) > 1}
    tables = {**numeric, **_named_tables(sample, numeric, hot)}
    return {name: tables[name] for name in reference.columns if name in tables and np.any(tables[name])}


def _numeric_table(column: FeatureProfile) -> np.ndarray:
    counts = np.array(column.bins, dtype=float)
    first = scores.location(counts)
    second = scores.waves(counts)[1]
    table = np.zeros((MISSING + 1, 2 if np.count_nonzero(counts) > 2 else 1))
    table[: len(counts), 0] = first / (np.sqrt(counts @ first**2 / counts.sum()) or 1.0)
    if table.shape[1] > 1:
        table[: len(counts), 1] = second
    return table


def _one_hot(names: int) -> np.ndarray:
    return np.eye(MISSING + 1, min(names, ONE_HOT))


def _named_tables(
    sample: Sample, numeric: Mapping[str, np.ndarray], hot: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    if not hot:
        return {}
    whose = np.repeat(np.array([*numeric, *hot]), [table.shape[1] for table in (*numeric.values(), *hot.values())])
    said, _ = _read(sample, {**numeric, **hot})
    deviations = said.std(axis=0)
    said = (said - said.mean(axis=0)) / np.where(deviations > 1e-9, deviations, np.inf)
    matrix, columns = sample.matrix, list(sample.columns)
    return {name: _named_table(matrix[:, columns.index(name)], said[:, whose != name]) for name in hot}


def _named_table(places: np.ndarray, said: np.ndarray) -> np.ndarray:
    """Return one or two scores for each name, such that what the other columns ``said`` tells most about them.

    These are the first canonical variates between the names and the others.
    """
    counts = np.bincount(places, minlength=MISSING + 1)[:OTHER].astype(float)
    sums = np.array([np.bincount(places, one, minlength=MISSING + 1) for one in said.T]).reshape(-1, MISSING + 1).T
    weight = np.sqrt(counts / max(counts.sum(), 1))
    means = sums[:OTHER] / (counts + 10)[:, None]
    weighed = weight[:, None] * means
    _, axes = np.linalg.eigh(weighed.T @ weighed)  # as the singular vectors of ``weighed``, and much quicker
    table = np.zeros((MISSING + 1, min(2, len(axes))))
    for place in range(table.shape[1]):
        score = np.where(counts >= 10, means @ axes[:, -1 - place], 0.0)
        score -= counts @ score / max(counts.sum(), 1)
        norm = np.sqrt(counts @ score**2 / max(counts.sum(), 1))
        table[:OTHER, place] = score / norm * np.sign(score[np.abs(score).argmax()]) if norm > 1e-9 else 0.0
    return table
