"""What is estimated without labels comes true where the model knows when it does not know."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from factories.predictions import joined
from nightshift.predictions.estimate import Estimator, errors_of, expected_auc
from nightshift.predictions.performance import measure

CLASSES = ("dry", "snow", "wet")


def binary(rows: int, *, seed: int = 0, sure: float = 1.0, boast: float = 1.0) -> pd.DataFrame:
    """Return answers of a model; ``sure`` near 0 makes rows hard, ``boast`` above 1 claims more than it knows."""
    random = np.random.default_rng(seed)
    score = random.normal(0, 2 * sure, rows)
    chance = 1 / (1 + np.exp(-score))
    said = 1 / (1 + np.exp(-score * boast))
    days = (np.arange(rows) * 20 // rows).tolist()
    truth = (random.random(rows) < chance).astype(float)
    return joined(truth.tolist(), days=days, probability=said, prediction=(said >= 0.5).astype(float))


def multiclass(rows: int, *, seed: int = 0, sure: float = 1.0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    scores = np.exp(random.normal(0, 2 * sure, (rows, 3)))
    chances = scores / scores.sum(axis=1, keepdims=True)
    truth = [CLASSES[random.choice(3, p=one)] for one in chances]
    said = [CLASSES[place] for place in chances.argmax(axis=1)]
    days = (np.arange(rows) * 20 // rows).tolist()
    return joined(truth, days=days, probabilities=chances.tolist(), prediction=said)


def regression(rows: int, *, seed: int = 0, dear: float = 0.0) -> pd.DataFrame:
    """Return predictions whose errors grow with their size; ``dear`` moves all of them up."""
    random = np.random.default_rng(seed)
    value = random.gamma(4.0, 1.0, rows) + dear
    days = (np.arange(rows) * 20 // rows).tolist()
    return joined((value + random.normal(0, 0.3 * value)).tolist(), days=days, prediction=value)


def estimator_of(rows: pd.DataFrame, task: str) -> Estimator:
    found = Estimator.of(rows, task, classes=CLASSES if task == "multiclass" else ())
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("task", "reference", "window"),
    [
        ("binary", binary(8000), binary(4000, seed=1, sure=0.4)),
        ("binary", binary(8000, boast=3.0), binary(4000, seed=1, sure=0.4, boast=3.0)),
        ("multiclass", multiclass(6000), multiclass(4000, seed=1, sure=0.4)),
        ("regression", regression(8000), regression(4000, seed=1, dear=3.0)),
    ],
    ids=["binary", "binary that boasts", "multiclass", "regression"],
)
def test_harm_of_another_mix_of_rows_is_foreseen(task: str, reference: pd.DataFrame, window: pd.DataFrame) -> None:
    classes = CLASSES if task == "multiclass" else ()
    before = measure(reference, task, classes=classes).metrics
    after = measure(window, task, classes=classes).metrics

    estimated = estimator_of(reference, task).estimate(window.assign(label=None))

    for name, estimate in estimated.items():
        change = abs(after[name].value - before[name].value)
        assert abs(estimate.value - after[name].value) < max(0.2 * change, 0.02), name


def test_what_an_input_means_may_change_and_only_labels_tell() -> None:
    estimator, window = estimator_of(binary(8000), "binary"), binary(4000, seed=2)
    upside_down = window.assign(label=1 - window["label"])

    errors = errors_of(estimator.estimate(upside_down), measure(upside_down, "binary").metrics)

    assert errors["auc"] > 0.5


@pytest.mark.parametrize(("task", "make"), [("binary", binary), ("multiclass", multiclass), ("regression", regression)])
def test_the_error_on_stretches_left_out_is_the_error_to_come(task: str, make: object) -> None:
    classes = CLASSES if task == "multiclass" else ()
    estimator = estimator_of(make(8000), task)  # type: ignore[operator]
    windows = [make(2000, seed=seed) for seed in range(3, 15)]  # type: ignore[operator]

    found = [errors_of(estimator.estimate(one), measure(one, task, classes=classes).metrics) for one in windows]

    for name, own in estimator.errors.items():
        true = float(np.sqrt(np.mean([errors[name] ** 2 for errors in found])))
        assert own / 3 < true < 3 * own, name


def test_nineteen_of_twenty_intervals_hold_what_comes_true() -> None:
    estimator = estimator_of(binary(40_000), "binary")
    held = dict.fromkeys(("auc", "log_loss", "brier", "accuracy"), 0)

    for seed in range(100, 200):
        window = binary(500, seed=seed)
        true, estimated = measure(window, "binary").metrics, estimator.estimate(window)
        for name in held:
            held[name] += estimated[name].low <= true[name].value <= estimated[name].high

    assert all(88 <= count <= 100 for count in held.values()), held


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 20)), min_size=2, max_size=50))
def test_the_expected_area_of_sure_rows_is_that_of_scikit_learn(rows: list[tuple[int, int]]) -> None:
    truth, score = (np.array(values, dtype=float) for values in zip(*rows, strict=True))

    found = expected_auc(score, truth)

    if len(set(truth)) == 2:
        assert found is not None
        assert found.value == pytest.approx(roc_auc_score(truth, score))
        assert 0 <= found.low <= found.value <= found.high <= 1
    else:
        assert found is None


def test_rows_that_mean_nothing_have_an_area_of_a_half() -> None:
    found = expected_auc(np.full(100, 0.3), np.full(100, 0.3))

    assert found is not None
    assert found.value == pytest.approx(0.5)


def test_few_rows_teach_nothing() -> None:
    assert Estimator.of(binary(49), "binary") is None


def test_a_hundred_rows_are_too_few_to_know_the_error_of_an_estimate() -> None:
    assert estimator_of(binary(100), "binary").errors == {}


def test_nothing_answered_is_nothing_estimated() -> None:
    assert estimator_of(binary(400), "binary").estimate(binary(400).head(0)) == {}


@pytest.mark.parametrize(("task", "make"), [("binary", binary), ("multiclass", multiclass), ("regression", regression)])
def test_an_estimator_read_back_estimates_the_same(task: str, make: object) -> None:
    estimator, window = estimator_of(make(600), task), make(300, seed=9)  # type: ignore[operator]

    again = Estimator.from_json(json.loads(json.dumps(estimator.to_json())))

    assert again == estimator
    assert again.estimate(window) == estimator.estimate(window)
