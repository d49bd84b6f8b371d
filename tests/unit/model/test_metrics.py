"""Metrics against scikit-learn's, plain and weighted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from nightshift.model.metrics import LARGER_IS_BETTER, MAIN, measure
from nightshift.spec import COMPARED, GATED, Task

CLASSES = 3
ONCE = np.ones((1, 300))


def answers_of(task: Task, seed: int, rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Return truth and answers with ties, of every class."""
    chance = np.random.default_rng(seed)
    if task is Task.BINARY:
        return chance.integers(0, 2, rows).astype(float), np.round(chance.random(rows), 2)
    if task is Task.MULTICLASS:
        drawn = chance.dirichlet(np.ones(CLASSES), rows)
        return chance.integers(0, CLASSES, rows), drawn
    truth = chance.normal(1e6, 10, rows)
    return truth, truth + chance.normal(1, 5, rows)


def by_sklearn(name: str, truth: np.ndarray, answers: np.ndarray, weights: np.ndarray) -> float:
    w = weights
    match name:
        case "auc":
            return reference.roc_auc_score(truth, answers, sample_weight=w)
        case "log_loss":
            return reference.log_loss(truth, answers, sample_weight=w, labels=range(max(2, answers.ndim * CLASSES - 3)))
        case "brier":
            return reference.brier_score_loss(truth, answers, sample_weight=w)
        case "accuracy":
            said = answers.argmax(axis=1) if answers.ndim == 2 else answers >= 0.5
            return reference.accuracy_score(truth, said, sample_weight=w)
        case "auc_macro":
            parts = [reference.roc_auc_score(truth == c, answers[:, c], sample_weight=w) for c in range(CLASSES)]
            return float(np.mean(parts))
        case "f1_macro":
            return reference.f1_score(truth, answers.argmax(axis=1), average="macro", sample_weight=w)
        case "rmse":
            return float(np.sqrt(reference.mean_squared_error(truth, answers, sample_weight=w)))
        case "mae":
            return reference.mean_absolute_error(truth, answers, sample_weight=w)
        case "r2":
            return reference.r2_score(truth, answers, sample_weight=w)
        case "base_rate":
            return float(np.average(truth, weights=w))
    raise KeyError(name)


@pytest.mark.parametrize(
    ("task", "name"),
    [(task, name) for task, names in GATED.items() for name in names if name != "calibration_error"],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_metrics_are_scikit_learns_whatever_the_weights(task: Task, name: str, seed: int) -> None:
    truth, answers = answers_of(task, seed)
    weights = np.random.default_rng(seed).integers(0, 4, (3, len(truth))).astype(float)

    found = measure(name, task, truth, answers, np.arange(len(truth)), classes=CLASSES).at(weights)

    expected = [by_sklearn(name, truth, answers, row) for row in weights]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 1000), st.integers(2, 9))
def test_weighing_days_is_weighing_each_of_their_rows(seed: int, days: int) -> None:
    chance = np.random.default_rng(seed)
    units = np.concatenate([np.arange(days), chance.integers(0, days, 60)])
    weights = chance.integers(0, 3, (2, days)).astype(float)
    for task, names in GATED.items():
        truth, answers = answers_of(task, seed, rows=len(units))
        for name in names:
            by_day = measure(name, task, truth, answers, units, classes=CLASSES).at(weights)
            by_row = measure(name, task, truth, answers, np.arange(len(units)), classes=CLASSES).at(weights[:, units])

            np.testing.assert_allclose(by_day, by_row, rtol=1e-9, atol=1e-12, err_msg=name)


def plain(name: str, task: Task, truth: list[float], answers: list[float]) -> float:
    found = measure(name, task, np.array(truth), np.array(answers), np.arange(len(truth)), classes=2)
    return float(found.at(np.ones((1, len(truth))))[0])


def test_calibration_error_is_the_mean_gap_between_foretold_and_seen() -> None:
    # of ten rows at 0.15 two are ones (off by 0.05), of ten at 0.95 five are (off by 0.45)
    truth = [1.0] * 2 + [0.0] * 8 + [1.0] * 5 + [0.0] * 5

    assert plain("calibration_error", Task.BINARY, truth, [0.15] * 10 + [0.95] * 10) == pytest.approx(0.25)


def test_a_sure_wrong_answer_costs_much_and_not_everything() -> None:
    loss = plain("log_loss", Task.BINARY, [1.0, 0.0], [0.0, 0.0])

    assert 10 < loss < 30


def test_a_probability_of_one_lies_in_the_last_bin() -> None:
    assert plain("calibration_error", Task.BINARY, [1.0, 1.0], [1.0, 1.0]) == 0.0


@pytest.mark.parametrize(("name", "task"), [("auc", Task.BINARY), ("r2", Task.REGRESSION)])
def test_what_one_class_or_one_value_cannot_tell_is_no_number(name: str, task: Task) -> None:
    assert not np.isfinite(plain(name, task, [1.0, 1.0, 1.0], [0.2, 0.3, 0.4]))


def test_a_class_the_model_does_not_know_counts_as_answered_wrongly() -> None:
    truth, answers = np.array([0, 1, -1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]])
    once = np.ones((1, 3))

    accuracy = measure("accuracy", Task.MULTICLASS, truth, answers, np.arange(3), classes=2).at(once)[0]
    loss = measure("log_loss", Task.MULTICLASS, truth, answers, np.arange(3), classes=2).at(once)[0]

    assert accuracy == pytest.approx(2 / 3)
    assert loss > 10


def test_a_class_that_never_occurs_does_not_spoil_the_means() -> None:
    truth, answers = np.array([0, 1, 0]), np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.7, 0.3, 0.0]])
    once = np.ones((1, 3))

    area = measure("auc_macro", Task.MULTICLASS, truth, answers, np.arange(3), classes=3).at(once)[0]
    f1 = measure("f1_macro", Task.MULTICLASS, truth, answers, np.arange(3), classes=3).at(once)[0]

    assert (area, f1) == (1.0, 1.0)


def test_larger_is_better_for_whatever_is_higher_for_perfect_answers_than_for_poor_ones() -> None:
    for task, names in COMPARED.items():
        truth, _ = answers_of(task, 3)
        poor = np.full((len(truth), CLASSES), 1 / 3) if task is Task.MULTICLASS else np.full(len(truth), 0.3)
        perfect = np.eye(CLASSES)[truth] if task is Task.MULTICLASS else truth
        for name in names:
            best, worst = (
                float(measure(name, task, truth, one, np.arange(len(truth)), classes=CLASSES).at(ONCE)[0])
                for one in (perfect, poor)
            )

            assert (best > worst) == (name in LARGER_IS_BETTER), name


def test_segments_are_ranked_by_a_metric_of_their_task() -> None:
    assert all(MAIN[task] in COMPARED[task] for task in Task)
