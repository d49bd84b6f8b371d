"""Metrics agree with the libraries everybody knows, and intervals hold what they promise."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as known

from factories.predictions import DAY, NOON, joined
from nightshift.predictions.labels import join
from nightshift.predictions.performance import Performance, auc, measure
from nightshift.spec import WATCHED, Task

chances = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 1, width=32)), min_size=2, max_size=60)


@given(chances)
def test_binary_metrics_are_those_of_scikit_learn(rows: list[tuple[int, float]]) -> None:
    truth, chance = [row[0] for row in rows], [row[1] for row in rows]
    prediction = [float(value >= 0.5) for value in chance]

    found = measure(joined(truth, probability=chance, prediction=prediction), "binary").metrics

    assert found["log_loss"].value == pytest.approx(known.log_loss(truth, chance, labels=[0, 1]))
    assert found["brier"].value == pytest.approx(np.mean((np.array(truth) - np.array(chance)) ** 2))
    assert found["accuracy"].value == pytest.approx(known.accuracy_score(truth, prediction))
    if len(set(truth)) == 2:
        assert found["auc"].value == pytest.approx(known.roc_auc_score(truth, chance))


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=1, max_size=40))
def test_regression_metrics_are_those_of_scikit_learn(rows: list[tuple[float, float]]) -> None:
    truth, value = [row[0] for row in rows], [row[1] for row in rows]

    found = measure(joined(truth, prediction=value), "regression").metrics

    assert found["rmse"].value == pytest.approx(known.root_mean_squared_error(truth, value), abs=1e-9)
    assert found["mae"].value == pytest.approx(known.mean_absolute_error(truth, value), abs=1e-9)


def test_multiclass_metrics_are_those_of_scikit_learn() -> None:
    classes, truth = ("dry", "snow", "wet"), ["wet", "dry", "dry", "snow"]
    probabilities = [[0.2, 0.1, 0.7], [0.6, 0.2, 0.2], [0.1, 0.2, 0.7], [0.3, 0.4, 0.3]]
    rows = joined(truth, probabilities=probabilities, prediction=["wet", "dry", "wet", "snow"])

    found = measure(rows, "multiclass", classes=classes).metrics

    assert found["log_loss"].value == pytest.approx(known.log_loss(truth, probabilities, labels=classes))
    assert found["accuracy"].value == 0.75


def test_a_class_the_model_never_heard_of_was_answered_wrongly_and_stops_nothing() -> None:
    rows = joined(["hail", "wet"], probabilities=[[0.5, 0.5], [0.0, 1.0]], prediction=["wet", "wet"])

    found = measure(rows, "multiclass", classes=("dry", "wet")).metrics

    assert found["accuracy"].value == 0.5
    assert 15 < found["log_loss"].value < 20


def test_without_labels_nothing_is_known_and_nothing_is_good() -> None:
    found = measure(joined([None, None], probability=[0.5, 0.5], prediction=[1.0, 1.0]), "binary")

    assert (found.rows, found.labelled, found.coverage) == (2, 0, 0.0)
    assert found.metrics == {}


def test_no_rows_at_all_are_no_coverage() -> None:
    assert measure(joined([], probability=[], prediction=[]), "binary").coverage == 0.0


def test_coverage_counts_the_rows_whose_outcome_is_known() -> None:
    found = measure(joined([1, None, 0, None], probability=[0.5] * 4, prediction=[1.0] * 4), "binary")

    assert found.coverage == 0.5


def test_one_class_alone_has_no_auc() -> None:
    found = measure(joined([1, 1], probability=[0.5, 0.6], prediction=[1.0, 1.0]), "binary")

    assert "auc" not in found.metrics
    assert "log_loss" in found.metrics


def test_a_sure_wrong_answer_is_dear_but_finite() -> None:
    found = measure(joined([1, 0], probability=[0.0, 1.0], prediction=[0.0, 1.0]), "binary")

    assert 30 < found.metrics["log_loss"].value < 40


def test_the_influences_on_auc_add_up_to_nought() -> None:
    random = np.random.default_rng(7)
    truth = random.integers(0, 2, 200).astype(float)

    judged = auc(truth, random.normal(size=200).round(1))

    assert judged.influence.sum() == pytest.approx(0.0, abs=1e-9)


def test_ninety_five_of_a_hundred_intervals_hold_the_truth() -> None:
    random = np.random.default_rng(11)

    def window(rows: int) -> pd.DataFrame:
        chance = random.beta(2, 4, rows)
        truth = (random.random(rows) < chance).astype(float)
        return joined(truth.tolist(), probability=chance, prediction=(chance >= 0.5).astype(float))

    true = measure(window(200_000), "binary").metrics
    found = [measure(window(300), "binary").metrics for _ in range(200)]

    for name, metric in true.items():
        held = sum(one[name].low <= metric.value <= one[name].high for one in found)
        assert 180 <= held <= 199, name


def test_rows_that_fail_together_by_day_widen_the_interval() -> None:
    error = np.repeat([3.0, -3.0, 1.0, -2.0, 2.0, 0.5, -1.0], 100)
    days = np.repeat(range(7), 100).tolist()

    together = measure(joined([0.0] * 700, days=days, prediction=error), "regression").metrics["bias"]
    alone = measure(joined([0.0] * 700, prediction=error), "regression").metrics["bias"]

    assert together.high - together.low > 5 * (alone.high - alone.low)


@pytest.mark.parametrize("task", list(Task))
def test_every_metric_that_a_declaration_may_watch_is_measured(task: Task) -> None:
    rows = joined([1, 0], probability=[0.7, 0.4], prediction=[1.0, 0.0])
    if task is Task.MULTICLASS:
        rows = joined(["a", "b"], probabilities=[[0.7, 0.3], [0.6, 0.4]], prediction=["a", "a"])

    assert set(WATCHED[task]) <= set(measure(rows, task, classes=("a", "b")).metrics)


def test_performance_is_read_back_as_it_was_written() -> None:
    found = measure(joined([1, 0], probability=[0.7, 0.4], prediction=[1.0, 0.0]), "binary")

    assert Performance.from_json(found.to_json()) == found


def predictions(*keys: str | None, refused: bool = False) -> pd.DataFrame:
    return pd.DataFrame({"key": keys, "refused": refused, "prediction": 1.0})


def labels(*rows: tuple[object, object, int]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["key", "label", "known_at"])
    return frame.assign(known_at=[NOON + day * DAY for day in frame["known_at"]])


def test_the_label_known_last_counts_whatever_order_they_came_in() -> None:
    found = join(predictions("a"), labels(("a", 1, 5), ("a", 0, 2)))

    assert found["label"].tolist() == [1]


def test_of_labels_known_at_once_the_later_line_counts() -> None:
    found = join(predictions("a"), labels(("a", 1, 2), ("a", 0, 2)))

    assert found["label"].tolist() == [0]


def test_every_prediction_of_a_key_is_judged() -> None:
    assert join(predictions("a", "b", "a"), labels(("a", 1, 0)))["label"].notna().tolist() == [True, False, True]


def test_keys_are_compared_as_text() -> None:
    assert join(predictions("7"), labels((7, 1, 0)))["label"].tolist() == [1]


def test_a_prediction_without_a_key_meets_no_label() -> None:
    assert join(predictions(None), labels((None, 1, 0), ("a", 1, 0)))["label"].isna().tolist() == [True]


def test_refused_rows_are_not_judged() -> None:
    assert len(join(predictions("a", refused=True), labels(("a", 1, 0)))) == 0
