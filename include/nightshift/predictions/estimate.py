"""How right answers probably are before anybody knows: performance estimated without labels.

A calibrated probability says itself how often it is wrong [1]. So what a
metric will be can be told from the answers alone, as long as the model knows
when it does not know; where the world has changed what an input *means*, only
labels can tell. That is why every estimate is held against what came true
later, and its error is part of what it says. For regression the size of past
errors, by the value predicted, takes the place of the probability.

[1] NannyML, confidence-based performance estimation, https://nannyml.readthedocs.io
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from scipy import stats

from nightshift.interval import CONFIDENCE, Interval
from nightshift.predictions.performance import NEVER, Floats, measure

FORMAT = 1
STRETCHES = 4
ERROR_BINS = 20
ROWS_MIN = 50
"""From fewer labelled rows nothing is learned of how good an estimate is."""
CERTAIN = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


@dataclass(frozen=True)
class Calibration:
    """How often what was given a chance came true: ``shares`` at ``chances``, rising, between them a line.

    >>> known = Calibration.of(np.array([0.2, 0.2, 0.9, 0.9]), np.array([0.0, 1.0, 1.0, 1.0]))
    >>> known(np.array([0.2, 0.9])).tolist()
    [0.5, 1.0]
    """

    chances: tuple[float, ...]
    shares: tuple[float, ...]

    @classmethod
    def of(cls, chance: Floats, truth: Floats) -> Self:
        """Return the rising curve that fits best (isotonic regression); ``truth`` is 0 or 1."""
        from sklearn.isotonic import IsotonicRegression  # a second that only a build pays

        fitted = IsotonicRegression(out_of_bounds="clip").fit(chance, truth)
        return cls(tuple(map(float, fitted.X_thresholds_)), tuple(map(float, fitted.y_thresholds_)))

    def __call__(self, chance: Floats) -> Floats:
        return np.interp(chance, self.chances, self.shares)


@dataclass(frozen=True)
class Mistakes:
    """How far a regression was off, by bins of the value predicted: the mean size of the error, and of its powers."""

    edges: tuple[float, ...]
    absolute: tuple[float, ...]
    squared: tuple[float, ...]
    fourth: tuple[float, ...]

    @classmethod
    def of(cls, predicted: Floats, error: Floats) -> Self:
        inner = np.unique(np.quantile(predicted, np.linspace(0, 1, ERROR_BINS + 1)[1:-1]))
        place = np.searchsorted(inner, predicted, side="right")
        rows = np.maximum(np.bincount(place, minlength=len(inner) + 1), 1)

        def mean(values: Floats) -> tuple[float, ...]:
            return tuple(map(float, np.bincount(place, weights=values, minlength=len(inner) + 1) / rows))

        return cls(tuple(map(float, inner)), mean(np.abs(error)), mean(error**2), mean(error**4))

    def bins(self, predicted: Floats) -> Any:
        return np.searchsorted(np.array(self.edges), predicted, side="right")


@dataclass(frozen=True)
class Estimator:
    """Estimates the metrics of answers without labels.

    ``calibrations`` holds one curve for each class (binary: ``1``), ``mistakes``
    the errors of a regression. ``errors`` is how far the estimate of each metric
    was off on stretches of the labelled rows that it was not made from (root
    mean square); it is empty if there were too few.
    """

    task: str
    classes: tuple[str, ...]
    calibrations: Mapping[str, Calibration]
    mistakes: Mistakes | None
    errors: Mapping[str, float]

    @classmethod
    def of(cls, joined: pd.DataFrame, task: str, *, classes: Sequence[str] = ()) -> Self | None:
        """Return what can be learned from answers with labels; none from fewer than 50.

        Parameters
        ----------
        joined
            As :func:`~nightshift.predictions.performance.measure` takes it: rows
            the model has not learned from.
        """
        known = joined[joined["label"].notna()].sort_values("time", kind="stable")
        if len(known) < ROWS_MIN:
            return None
        whole = cls._fitted(known, task, tuple(classes))
        return cls(task, tuple(classes), whole.calibrations, whole.mistakes, _own_errors(cls, known, task, classes))

    @classmethod
    def _fitted(cls, known: pd.DataFrame, task: str, classes: tuple[str, ...]) -> Self:
        if task == "regression":
            predicted = known["prediction"].to_numpy(dtype=np.float64)
            error = predicted - known["label"].to_numpy(dtype=np.float64)
            return cls(task, classes, {}, Mistakes.of(predicted, error), {})
        if task == "binary":
            chance, truth = (known[name].to_numpy(dtype=np.float64) for name in ("probability", "label"))
            return cls(task, classes, {"1": Calibration.of(chance, truth)}, None, {})
        chances, truth = np.stack(known["probabilities"].to_list()), known["label"].astype(str).to_numpy()
        curves = {
            name: Calibration.of(chances[:, place], (truth == name).astype(np.float64))
            for place, name in enumerate(classes)
        }
        return cls(task, classes, curves, None, {})

    def estimate(self, answered: pd.DataFrame) -> dict[str, Interval]:
        """Return each metric that can be estimated of ``answered``, whose labels are not looked at; empty without rows.

        Intervals hold what chance alone may do to the metric of so many rows,
        not the estimate's own error.

        Examples
        --------
        >>> chance = np.tile(np.linspace(0.05, 0.95, 19), 200)
        >>> truth = (np.random.default_rng(0).random(len(chance)) < chance).astype(float)
        >>> rows = pd.DataFrame({"time": pd.Timestamp("2013-05-01", tz="UTC"), "label": truth,
        ...                      "probability": chance, "prediction": (chance > 0.5).astype(float)})
        >>> estimator = Estimator.of(rows, "binary")
        >>> found = estimator.estimate(rows)["accuracy"]
        >>> found.low < measure(rows, "binary").metrics["accuracy"].value < found.high
        True
        """
        if answered.empty:
            return {}
        return {"binary": self._binary, "multiclass": self._multiclass, "regression": self._regression}[self.task](
            answered
        )

    def _binary(self, answered: pd.DataFrame) -> dict[str, Interval]:
        chance = answered["probability"].to_numpy(dtype=np.float64)
        said = answered["prediction"].to_numpy(dtype=np.float64)
        true, sure = self.calibrations["1"](chance), np.clip(chance, NEVER, 1 - NEVER)
        found = {
            "log_loss": _expected_mean(true, -np.log(sure), -np.log1p(-sure)),
            "brier": _expected_mean(true, (1 - chance) ** 2, chance**2),
            "accuracy": _expected_mean(true, (said == 1).astype(np.float64), (said == 0).astype(np.float64)),
        }
        area = expected_auc(chance, true)
        return found | ({"auc": area} if area else {})

    def _multiclass(self, answered: pd.DataFrame) -> dict[str, Interval]:
        chances = np.stack(answered["probabilities"].to_list()).astype(np.float64)
        true = np.stack([self.calibrations[name](chances[:, place]) for place, name in enumerate(self.classes)], axis=1)
        true = np.where(true.sum(axis=1, keepdims=True) > 0, true, 1.0)
        true /= true.sum(axis=1, keepdims=True)
        losses = -np.log(np.clip(chances, NEVER, 1.0))
        said = answered["prediction"].astype(str).to_numpy()
        hits = (said[:, None] == np.array(self.classes)[None, :]).astype(np.float64)
        return {name: _mean_over(true, values) for name, values in (("log_loss", losses), ("accuracy", hits))}

    def _regression(self, answered: pd.DataFrame) -> dict[str, Interval]:
        assert self.mistakes is not None
        place = self.mistakes.bins(answered["prediction"].to_numpy(dtype=np.float64))
        absolute, squared, fourth = (
            np.array(values)[place] for values in (self.mistakes.absolute, self.mistakes.squared, self.mistakes.fourth)
        )
        root = float(np.sqrt(squared.mean()))
        # the root's spread is the mean's times the slope of the root (delta method)
        reach = _reach(np.maximum(fourth - squared**2, 0.0)) * (0.5 / root if root else 0.0)
        return {
            "rmse": Interval(root, max(root - reach, 0.0), root + reach),
            "mae": _around(float(absolute.mean()), _reach(np.maximum(squared - absolute**2, 0.0))),
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "task": self.task,
            "classes": list(self.classes),
            "calibrations": {name: dict(curve.__dict__) for name, curve in self.calibrations.items()},
            "mistakes": dict(self.mistakes.__dict__) if self.mistakes else None,
            "errors": dict(self.errors),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        curves = {
            name: Calibration(tuple(curve["chances"]), tuple(curve["shares"]))
            for name, curve in content["calibrations"].items()
        }
        mistakes = content["mistakes"]
        return cls(
            content["task"],
            tuple(content["classes"]),
            curves,
            Mistakes(**{name: tuple(values) for name, values in mistakes.items()}) if mistakes else None,
            dict(content["errors"]),
        )


def errors_of(estimated: Mapping[str, Interval], realised: Mapping[str, Interval]) -> dict[str, float]:
    """Return by how much each estimate was off what came true; estimated less realised."""
    return {name: one.value - realised[name].value for name, one in estimated.items() if name in realised}


def root_mean_square(errors: Sequence[float]) -> float:
    """Return the usual size of ``errors``; 0 if there are none.

    >>> root_mean_square([0.03, -0.04])
    0.035355339059327376
    """
    return float(np.sqrt(np.mean(np.square(errors)))) if errors else 0.0


def expected_auc(chance: Floats, true: Floats) -> Interval | None:
    """Return the expected area under the ROC curve if each row is positive with probability ``true``.

    Each row stands for so much of a positive and the rest of a negative. The
    interval is Hanley and McNeil's [1]. None if there is nothing of one of the two.

    References
    ----------
    [1] J. Hanley, B. McNeil, The meaning and use of the area under a ROC curve, Radiology 143 (1982).

    Examples
    --------
    >>> expected_auc(np.array([0.1, 0.4, 0.8]), np.array([0.0, 0.0, 1.0])).value
    1.0
    """
    ones, zeros = float(true.sum()), float((1 - true).sum())
    if min(ones, zeros) < 1:
        return None
    values, place = np.unique(chance, return_inverse=True)
    positive = np.bincount(place, weights=true, minlength=len(values))
    negative = np.bincount(place, weights=1 - true, minlength=len(values))
    below = np.cumsum(negative) - negative / 2
    # a row is not compared with itself: it cannot be positive and negative at once
    itself = float((true * (1 - true)).sum())
    pairs = ones * zeros - itself
    area = min(max((float(positive @ below) - itself / 2) / pairs, 0.0), 1.0) if pairs > 0 else 0.5
    above, under = area / (2 - area), 2 * area**2 / (1 + area)
    variance = area * (1 - area) + (ones - 1) * (above - area**2) + (zeros - 1) * (under - area**2)
    reach = CERTAIN * float(np.sqrt(max(variance, 0.0) / (ones * zeros)))
    return Interval(area, max(area - reach, 0.0), min(area + reach, 1.0))


def _expected_mean(true: Floats, if_true: Floats, if_false: Floats) -> Interval:
    """Return the mean of what each row costs, which is one of two with known chances."""
    value = float((true * if_true + (1 - true) * if_false).mean())
    return _around(value, _reach(true * (1 - true) * (if_true - if_false) ** 2))


def _mean_over(true: Floats, values: Floats) -> Interval:
    mean = (true * values).sum(axis=1)
    return _around(float(mean.mean()), _reach((true * values**2).sum(axis=1) - mean**2))


def _around(value: float, reach: float) -> Interval:
    return Interval(value, value - reach, value + reach)


def _reach(variances: Floats) -> float:
    """Return how far the mean of independent rows with these variances may lie from what is expected."""
    return CERTAIN * float(np.sqrt(np.maximum(variances, 0.0).sum())) / len(variances)


def _own_errors(cls: type[Estimator], known: pd.DataFrame, task: str, classes: Sequence[str]) -> dict[str, float]:
    """Return how far estimates are off on stretches of time that they were not made from."""
    places = np.arange(len(known)) * STRETCHES // len(known)
    found: dict[str, list[float]] = {}
    for stretch in range(STRETCHES):
        rest, left_out = known[places != stretch], known[places == stretch]
        if len(left_out) < ROWS_MIN:
            return {}
        estimated = cls._fitted(rest, task, tuple(classes)).estimate(left_out)
        realised = measure(left_out, task, classes=classes).metrics
        for name, error in errors_of(estimated, realised).items():
            found.setdefault(name, []).append(error)
    return {name: root_mean_square(errors) for name, errors in found.items()}
