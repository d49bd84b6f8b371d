"""Metrics as functions of weights, so that one pass measures every bootstrap resample at once.

Each metric takes labels, answers and ``weights`` of shape (resamples, rows) and
returns one number a resample. Weight 1 everywhere is the plain metric; a
resample is how often each row was drawn. The names and definitions are
scikit-learn's, against which the tests compare.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from nightshift.spec import Task

Array = np.ndarray
Metric = Callable[[Array, Array, Array], Array]
EPSILON = 1e-15
CALIBRATION_BINS = 10
UNKNOWN_CLASS = -1
"""Code of a label that the model has no class for: no answer of it can be right."""


def auc(labels: Array, scores: Array, weights: Array) -> Array:
    """Area under the ROC curve: share of (positive, negative) pairs in right order, ties half; NaN with one class."""
    order = np.argsort(scores, kind="stable")
    y, w = labels[order], weights[:, order]
    starts = np.flatnonzero(np.r_[True, np.diff(scores[order]) != 0])
    positive = np.add.reduceat(w * y, starts, axis=1)
    negative = np.add.reduceat(w * (1 - y), starts, axis=1)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return (positive * (below + negative / 2)).sum(axis=1) / pairs


def log_loss(labels: Array, scores: Array, weights: Array) -> Array:
    """Mean negative log-likelihood, in nats; probabilities are kept ``1e-15`` away from 0 and 1."""
    if scores.ndim == 2:
        of_label = np.where(labels == UNKNOWN_CLASS, 0.0, scores[np.arange(len(labels)), labels.astype(int)])
    else:
        of_label = np.where(labels == 1, scores, 1 - scores)
    return _mean(-np.log(np.clip(of_label.astype(np.float64), EPSILON, 1.0)), weights)


def brier(labels: Array, scores: Array, weights: Array) -> Array:
    """Mean squared difference between probability and outcome."""
    return _mean((scores - labels) ** 2, weights)


def accuracy(labels: Array, scores: Array, weights: Array) -> Array:
    """Share of rows whose likeliest class (binary: probability over one half) is the label."""
    answers = scores.argmax(axis=1) if scores.ndim == 2 else scores > 0.5
    return _mean(answers == labels, weights)


def calibration_error(labels: Array, scores: Array, weights: Array) -> Array:
    """Mean gap between probability and outcome over ten equal bins of probability, weighted by their rows."""
    bins = np.minimum((scores * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = [np.abs((weights[:, bins == b] * (scores - labels)[bins == b]).sum(axis=1)) for b in range(CALIBRATION_BINS)]
    return np.sum(gaps, axis=0) / weights.sum(axis=1)


def rmse(labels: Array, values: Array, weights: Array) -> Array:
    """Root of the mean squared error, in the label's units."""
    return np.sqrt(_mean((values - labels) ** 2, weights))


def mae(labels: Array, values: Array, weights: Array) -> Array:
    """Mean absolute error, in the label's units."""
    return _mean(np.abs(values - labels), weights)


def r2(labels: Array, values: Array, weights: Array) -> Array:
    """Share of the labels' variance explained; NaN if they do not vary."""
    mean = _mean(labels, weights)
    spread = (weights * (labels[None, :] - mean[:, None]) ** 2).sum(axis=1) / weights.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return 1 - _mean((values - labels) ** 2, weights) / np.where(spread > 0, spread, np.nan)


METRICS: Mapping[Task, Mapping[str, Metric]] = MappingProxyType(
    {
        Task.BINARY: {
            "auc": auc, "log_loss": log_loss, "brier": brier, "accuracy": accuracy,
            "calibration_error": calibration_error,
        },
        Task.MULTICLASS: {"log_loss": log_loss, "accuracy": accuracy},
        Task.REGRESSION: {"rmse": rmse, "mae": mae, "r2": r2},
    }
)  # fmt: skip
LARGER_IS_BETTER = frozenset({"auc", "accuracy", "r2"})


def _mean(values: Array, weights: Array) -> Array:
    return weights @ values.astype(np.float64) / weights.sum(axis=1)
