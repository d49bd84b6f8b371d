"""How right the predictions turned out to be, with how sure one can be of it.

Intervals come from the influence of each row on the metric, added up by event
day where there are enough days: flights of one stormy day fail together, and
counting them as so many independent rows would promise too much.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from nightshift.interval import CONFIDENCE, Interval

DAYS_MIN = 5
"""With fewer event days the rows themselves are taken for independent."""
NEVER = float(np.finfo(np.float64).eps)
"""What a probability of 0 or 1 is taken for, so that one wrong sure answer costs much and not everything."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Performance:
    """Realised metrics of a window.

    ``rows`` were answered, ``labelled`` of them have a known outcome. A metric
    that cannot be told (no label yet, or one class only) is not in ``metrics``:
    not known is not good.
    """

    rows: int
    labelled: int
    metrics: dict[str, Interval]

    @property
    def coverage(self) -> float:
        """Share of the answered rows whose outcome is known; 0 without rows."""
        return self.labelled / self.rows if self.rows else 0.0

    def to_json(self) -> dict[str, Any]:
        metrics = {name: metric.to_json() for name, metric in self.metrics.items()}
        return {"rows": self.rows, "labelled": self.labelled, "coverage": self.coverage, "metrics": metrics}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        metrics = {name: Interval.from_json(metric) for name, metric in content["metrics"].items()}
        return cls(content["rows"], content["labelled"], metrics)


@dataclass(frozen=True)
class Judged:
    """A metric's value and, for each row, how much the row moves it (its influence; they add up to nought)."""

    value: float
    influence: Floats


def measure(joined: pd.DataFrame, task: str, *, classes: Sequence[str] = ()) -> Performance:
    """Return how the predictions in ``joined`` did.

    Parameters
    ----------
    joined
        What :func:`~nightshift.predictions.labels.join` returns.
    task
        ``binary`` (auc, log_loss, brier, accuracy), ``multiclass`` (log_loss,
        accuracy) or ``regression`` (rmse, mae, bias: mean of predicted less true).
    classes
        Labels of a multiclass model in the order of ``probabilities``; a row
        whose label is none of them was answered wrongly.

    Examples
    --------
    >>> joined = pd.DataFrame({
    ...     "time": pd.to_datetime(["2013-05-01T10:00Z"] * 4), "probability": [0.9, 0.8, 0.3, 0.6],
    ...     "prediction": [1.0, 1.0, 0.0, 1.0], "label": [1, 1, 0, 0]})
    >>> measure(joined, "binary").metrics["auc"].value
    1.0
    """
    known = joined[joined["label"].notna()]
    judged = _METRICS[task](known, tuple(classes)) if len(known) else {}
    days = known["time"].dt.floor("D").to_numpy() if len(known) else np.empty(0)
    metrics = {name: _interval(one, days, bounds=_BOUNDS.get(name)) for name, one in judged.items()}
    return Performance(rows=len(joined), labelled=len(known), metrics=metrics)


def _binary(known: pd.DataFrame, _classes: tuple[str, ...]) -> dict[str, Judged]:
    truth = known["label"].to_numpy(dtype=np.float64)
    chance = known["probability"].to_numpy(dtype=np.float64)
    sure = np.clip(chance, NEVER, 1 - NEVER)
    found = {
        "log_loss": _mean(-(truth * np.log(sure) + (1 - truth) * np.log1p(-sure))),
        "brier": _mean((chance - truth) ** 2),
        "accuracy": _mean((known["prediction"].to_numpy(dtype=np.float64) == truth).astype(np.float64)),
    }
    return found | ({"auc": auc(truth, chance)} if 0 < truth.sum() < len(truth) else {})


def _multiclass(known: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, Judged]:
    truth = known["label"].astype(str).to_numpy()
    codes = {name: code for code, name in enumerate(classes)}
    chances = np.stack(known["probabilities"].to_list())
    # a class that the model has never heard of is one that it gives no chance, as when a build is evaluated
    chances = np.column_stack([chances, np.zeros(len(truth))])
    right = chances[np.arange(len(truth)), [codes.get(name, len(codes)) for name in truth]]
    return {
        "log_loss": _mean(-np.log(np.clip(right, NEVER, 1.0))),
        "accuracy": _mean((known["prediction"].astype(str).to_numpy() == truth).astype(np.float64)),
    }


def _regression(known: pd.DataFrame, _classes: tuple[str, ...]) -> dict[str, Judged]:
    error = known["prediction"].to_numpy(dtype=np.float64) - known["label"].to_numpy(dtype=np.float64)
    squared = _mean(error**2)
    root = float(np.sqrt(squared.value))
    # the root's influence is the mean's times the slope of the root (delta method)
    slope = 0.5 / root if root else 0.0
    return {"rmse": Judged(root, squared.influence * slope), "mae": _mean(np.abs(error)), "bias": _mean(error)}


def auc(truth: Floats, score: Floats) -> Judged:
    """Return the area under the ROC curve: the chance that a positive scores above a negative, ties half.

    Parameters
    ----------
    truth
        0 or 1; both must occur.
    score
        Higher for positives.

    References
    ----------
    E. DeLong et al., Comparing the areas under two or more correlated receiver
    operating characteristic curves, Biometrics 44 (1988): the influences are
    its structural components.

    Examples
    --------
    >>> auc(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])).value
    0.75
    """
    positive = truth == 1
    ones, zeros = int(positive.sum()), int((~positive).sum())
    ranks = stats.rankdata(score)
    below = np.empty(len(truth))
    below[positive] = (ranks[positive] - stats.rankdata(score[positive])) / zeros
    below[~positive] = 1 - (ranks[~positive] - stats.rankdata(score[~positive])) / ones
    value = float(below[positive].mean())
    share = np.where(positive, len(truth) / ones, len(truth) / zeros)
    return Judged(value, (below - value) * share)


def _mean(losses: Floats) -> Judged:
    value = float(losses.mean())
    return Judged(value, losses - value)


def _interval(judged: Judged, days: npt.NDArray[Any], *, bounds: tuple[float, float] | None) -> Interval:
    influence, rows = judged.influence, len(judged.influence)
    _, codes = np.unique(days, return_inverse=True)
    sums = np.bincount(codes, weights=influence) if codes.size else influence
    sums = sums if len(sums) >= DAYS_MIN else influence
    if len(sums) < 2:
        return Interval(judged.value, judged.value, judged.value)
    spread = np.sqrt(len(sums) / (len(sums) - 1) * np.sum(sums**2)) / rows
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(sums) - 1) * spread)
    low, high = bounds or (-np.inf, np.inf)
    return Interval(judged.value, max(low, judged.value - reach), min(high, judged.value + reach))


_BOUNDS = {"auc": (0.0, 1.0), "accuracy": (0.0, 1.0), "brier": (0.0, 1.0), "log_loss": (0.0, np.inf),
           "rmse": (0.0, np.inf), "mae": (0.0, np.inf)}  # fmt: skip
_METRICS: dict[str, Callable[[pd.DataFrame, tuple[str, ...]], dict[str, Judged]]] = {
    "binary": _binary,
    "multiclass": _multiclass,
    "regression": _regression,
}
