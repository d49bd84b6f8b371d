"""How good answers are, for the whole and for any reweighting of it at once.

Every metric but the area under the curve is a function of sums over rows.
Summed up by day (or row) once, a thousand resamples are one product of
matrices. The area needs ranks, which no reweighting changes: rows are sorted
once, and each resample is a weighted walk along them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nightshift.spec import Task

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.intp]
NEVER = float(np.finfo(np.float64).eps)
"""What a probability of 0 or 1 is taken for, so that one wrong sure answer costs much and not everything."""
CALIBRATION_BINS = 10
CELLS_MAX = 4_000_000
LARGER_IS_BETTER = frozenset({"auc", "accuracy", "auc_macro", "f1_macro", "r2"})
"""The other ones that can rank models (``COMPARED``) are better when lower."""
MAIN: Mapping[Task, str] = {Task.BINARY: "log_loss", Task.MULTICLASS: "log_loss", Task.REGRESSION: "rmse"}
"""What segments are ranked by if the declaration compares by nothing else."""


class Measure(Protocol):
    """One metric of one set of answers."""

    def at(self, weights: Floats) -> Floats:
        """Return the metric for each row of ``weights`` (resamples × units); NaN where it cannot be told."""
        ...


@dataclass(frozen=True)
class Sums:
    """A metric that follows from sums: ``sums`` is units × statistics, ``finish`` takes resamples × statistics."""

    sums: Floats
    finish: Callable[[Floats], Floats]

    def at(self, weights: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.finish(weights @ self.sums)


@dataclass(frozen=True)
class Area:
    """The area under the ROC curve: the chance that a positive scores above a negative, ties half.

    Rows are in ascending order of score; ``starts`` is where each run of equal
    scores begins, ``units`` the unit of each row.
    """

    positive: npt.NDArray[np.bool_]
    starts: Codes
    units: Codes

    @classmethod
    def of(cls, positive: npt.NDArray[np.bool_], score: Floats, units: Codes) -> "Area":
        order = np.argsort(score, kind="stable")
        ascending = score[order]
        starts = np.flatnonzero(np.concatenate([[True], ascending[1:] != ascending[:-1]]))
        return cls(positive[order], starts, units[order])

    def at(self, weights: Floats) -> Floats:
        step = max(1, CELLS_MAX // max(1, len(self.units)))
        return np.concatenate([self._at(weights[place : place + step]) for place in range(0, len(weights), step)])

    def _at(self, weights: Floats) -> Floats:
        each = weights[:, self.units]
        ones = np.add.reduceat(np.where(self.positive, each, 0.0), self.starts, axis=1)
        zeros = np.add.reduceat(np.where(self.positive, 0.0, each), self.starts, axis=1)
        below = np.cumsum(zeros, axis=1) - zeros / 2
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((ones * below).sum(axis=1) / (ones.sum(axis=1) * zeros.sum(axis=1)))


@dataclass(frozen=True)
class Mean:
    """The mean of several metrics."""

    parts: tuple[Measure, ...]

    def at(self, weights: Floats) -> Floats:
        if not self.parts:
            return np.full(len(weights), np.nan)
        return np.mean([part.at(weights) for part in self.parts], axis=0)


def measure(
    name: str, task: Task, truth: npt.NDArray[Any], answers: npt.NDArray[Any], units: Codes, *, classes: int
) -> Measure:
    """Return one metric of ``task``.

    Parameters
    ----------
    truth
        0 or 1; the code of the class, -1 for one the model does not know; the value.
    answers
        What the model answered: one number a row, or rows × classes.
    units
        What is resampled together: the code of each row's day, or its own number.
    classes
        How many classes a multiclass model knows.

    Examples
    --------
    >>> right = measure("accuracy", Task.BINARY, np.array([0, 1]), np.array([0.2, 0.4]), np.arange(2), classes=0)
    >>> right.at(np.array([[1.0, 1.0], [2.0, 0.0]])).tolist()
    [0.5, 1.0]
    """
    exact = answers.astype(np.float64)
    if task is Task.BINARY:
        return _binary(name, truth.astype(np.float64), exact, units)
    if task is Task.MULTICLASS:
        return _multiclass(name, truth.astype(np.intp), exact, units, classes)
    return _regression(name, truth.astype(np.float64), exact, units)


def _binary(name: str, truth: Floats, chance: Floats, units: Codes) -> Measure:
    sure = np.clip(chance, NEVER, 1 - NEVER)
    match name:
        case "auc":
            return Area.of(truth == 1, chance, units)
        case "log_loss":
            return _mean(-(truth * np.log(sure) + (1 - truth) * np.log1p(-sure)), units)
        case "brier":
            return _mean((chance - truth) ** 2, units)
        case "accuracy":
            return _mean(((chance >= 0.5) == (truth == 1)).astype(np.float64), units)
        case "base_rate":
            return _mean(truth, units)
        case "calibration_error":
            return _calibration_error(truth, chance, units)
    raise KeyError(name)


def _multiclass(name: str, truth: Codes, chances: Floats, units: Codes, classes: int) -> Measure:
    known, predicted = truth >= 0, chances.argmax(axis=1)
    match name:
        case "log_loss":
            right = np.where(known, chances[np.arange(len(truth)), np.where(known, truth, 0)], 0.0)
            return _mean(-np.log(np.clip(right, NEVER, 1.0)), units)
        case "accuracy":
            return _mean((predicted == truth).astype(np.float64), units)
        case "auc_macro":
            present = [code for code in range(classes) if (truth == code).any() and (truth != code).any()]
            return Mean(tuple(Area.of(truth == code, chances[:, code], units) for code in present))
        case "f1_macro":
            return _f1_macro(truth, predicted, units, classes)
    raise KeyError(name)


def _regression(name: str, truth: Floats, answers: Floats, units: Codes) -> Measure:
    error = answers - truth
    if name == "mae":
        return _mean(np.abs(error), units)
    centred = truth - truth.mean()  # sums of squares of raw values would lose their digits
    spread = _sums([np.ones_like(truth), error**2, centred, centred**2], units)
    match name:
        case "rmse":
            return Sums(spread, lambda total: np.sqrt(total[:, 1] / total[:, 0]))
        case "r2":
            return Sums(spread, lambda total: 1 - total[:, 1] / (total[:, 3] - total[:, 2] ** 2 / total[:, 0]))
    raise KeyError(name)


def _mean(values: Floats, units: Codes) -> Sums:
    return Sums(_sums([np.ones_like(values), values], units), lambda total: total[:, 1] / total[:, 0])


def _calibration_error(truth: Floats, chance: Floats, units: Codes) -> Sums:
    """Return the expected calibration error: how far, on average, the share of ones is from the chance foretold."""
    bins = np.minimum((chance * CALIBRATION_BINS).astype(np.intp), CALIBRATION_BINS - 1)
    surprise = [np.where(bins == place, truth - chance, 0.0) for place in range(CALIBRATION_BINS)]
    sums = _sums([np.ones_like(truth), *surprise], units)
    return Sums(sums, lambda total: np.abs(total[:, 1:]).sum(axis=1) / total[:, 0])


def _f1_macro(truth: Codes, predicted: Codes, units: Codes, classes: int) -> Sums:
    """Return the mean F1 of the classes that occur, in truth or in answers."""
    hit = [((truth == code) & (predicted == code)).astype(np.float64) for code in range(classes)]
    said = [((truth == code) * 1.0 + (predicted == code)) for code in range(classes)]
    sums = _sums([*hit, *said], units)
    return Sums(sums, lambda total: _mean_of_known(2 * total[:, :classes] / total[:, classes:]))


def _mean_of_known(values: Floats) -> Floats:
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1))


def _sums(columns: Sequence[Floats], units: Codes) -> Floats:
    count = int(units.max()) + 1
    return np.stack([np.bincount(units, weights=column, minlength=count) for column in columns], axis=1)
