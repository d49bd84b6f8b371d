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
SMALLER_IS_BETTER = frozenset({"log_loss", "brier", "calibration_error", "rmse", "mae"})
"""Metrics in neither set (``base_rate``) describe the rows only."""
NAMES: Mapping[Task, tuple[str, ...]] = {
    Task.BINARY: ("auc", "log_loss", "brier", "accuracy", "base_rate", "calibration_error"),
    Task.MULTICLASS: ("log_loss", "accuracy", "auc_macro", "f1_macro"),
    Task.REGRESSION: ("rmse", "mae", "r2"),
}
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
        return np.mean([part.at(weights) for part in self.parts], axis=0)


def measures(task: Task, truth: npt.NDArray[Any], answers: Floats, units: Codes, classes: int) -> dict[str, Measure]:
    """Return every metric of ``task``.

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
    """
    if task is Task.BINARY:
        return _binary(truth.astype(np.float64), answers, units)
    if task is Task.MULTICLASS:
        return _multiclass(truth.astype(np.intp), answers, units, classes)
    return _regression(truth.astype(np.float64), answers, units)


def _binary(truth: Floats, chance: Floats, units: Codes) -> dict[str, Measure]:
    sure = np.clip(chance, NEVER, 1 - NEVER)
    return {
        "auc": Area.of(truth == 1, chance, units),
        "log_loss": _mean(-(truth * np.log(sure) + (1 - truth) * np.log1p(-sure)), units),
        "brier": _mean((chance - truth) ** 2, units),
        "accuracy": _mean(((chance >= 0.5) == (truth == 1)).astype(np.float64), units),
        "base_rate": _mean(truth, units),
        "calibration_error": _calibration_error(truth, chance, units),
    }


def _multiclass(truth: Codes, chances: Floats, units: Codes, classes: int) -> dict[str, Measure]:
    known = truth >= 0
    right = np.where(known, chances[np.arange(len(truth)), np.where(known, truth, 0)], 0.0)
    predicted = chances.argmax(axis=1)
    present = [code for code in range(classes) if (truth == code).any() and (truth != code).any()]
    return {
        "log_loss": _mean(-np.log(np.clip(right, NEVER, 1.0)), units),
        "accuracy": _mean((predicted == truth).astype(np.float64), units),
        "auc_macro": Mean(tuple(Area.of(truth == code, chances[:, code], units) for code in present)),
        "f1_macro": _f1_macro(truth, predicted, units, classes),
    }


def _regression(truth: Floats, answers: Floats, units: Codes) -> dict[str, Measure]:
    error = answers - truth
    centred = truth - truth.mean()  # sums of squares of raw values would lose their digits
    spread = _sums([np.ones_like(truth), error**2, centred, centred**2], units)
    return {
        "rmse": Sums(spread, lambda total: np.sqrt(total[:, 1] / total[:, 0])),
        "mae": _mean(np.abs(error), units),
        "r2": Sums(spread, lambda total: 1 - total[:, 1] / (total[:, 3] - total[:, 2] ** 2 / total[:, 0])),
    }


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
    return Sums(sums, lambda total: np.nanmean(2 * total[:, :classes] / total[:, classes:], axis=1))


def _sums(columns: Sequence[Floats], units: Codes) -> Floats:
    count = int(units.max()) + 1
    return np.stack([np.bincount(units, weights=column, minlength=count) for column in columns], axis=1)
