import os
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from factories.model import a_model, a_spec, rides
from nightshift.errors import TrainingError
from nightshift.model.train import TrainedModel, train

EVERYTHING = {"max_depth": 5, "eta": 0.3, "subsample": 0.7, "colsample_bytree": 0.5, "base_score": 0.4}


def with_threads(task: str, threads: int, rows: pd.DataFrame, parameters: dict[str, Any]) -> bytes:
    spec = a_spec(task, training={"rounds": 30, "seed": 3, "threads": threads, "parameters": parameters})
    return train(rows, rides(task, rows=400, seed=1), spec).native


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
@pytest.mark.parametrize("parameters", [{}, EVERYTHING], ids=["defaults", "everything"])
def test_one_thread_and_two_give_equal_bytes(task: str, parameters: dict[str, Any]) -> None:
    rows = rides(task)

    assert with_threads(task, 1, rows, parameters) == with_threads(task, 2, rows, parameters)


def test_another_process_gives_equal_bytes() -> None:
    code = "import sys; from factories.model import a_model; sys.stdout.buffer.write(a_model().native)"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "77"}

    child = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, check=True)

    assert child.stdout == a_model().native


def test_one_changed_cell_gives_other_bytes() -> None:
    rows = rides()
    changed = rows.copy()
    changed.loc[600, "outcome"] = 1 - changed.loc[600, "outcome"]

    assert with_threads("binary", 1, rows, {}) != with_threads("binary", 1, changed, {})


def test_another_order_of_rows_gives_other_bytes() -> None:
    rows = rides()

    assert with_threads("binary", 1, rows, EVERYTHING) != with_threads("binary", 1, rows[::-1], EVERYTHING)


def test_trees_after_the_best_round_are_cut_off() -> None:
    model = a_model()
    losses = model.history["logloss"]

    assert len(losses) > model.best_iteration + 1
    assert model.best_iteration == int(np.argmin(losses))
    assert model.booster.num_boosted_rounds() == model.best_iteration + 1


def test_importance_is_the_share_of_gain_and_adds_up_to_one() -> None:
    importance = a_model().importance

    assert tuple(importance) == a_model().columns
    assert sum(importance.values()) == pytest.approx(1)
    assert importance["distance"] > importance["weather"]


def test_classes_are_sorted_labels_in_the_order_of_probabilities() -> None:
    model, rows = a_model("multiclass"), rides("multiclass", seed=5)

    likeliest = np.array(model.classes)[model.predict(rows).argmax(axis=1)]

    assert model.classes == ("cancelled", "late", "on time")
    assert (likeliest == rows["outcome"]).mean() > 0.5


def test_a_written_model_is_read_back_whole(tmp_path: Any) -> None:
    model = a_model("multiclass")

    model.write(tmp_path)
    read = TrainedModel.read(tmp_path)

    assert read.native == model.native
    assert read.to_json() == model.to_json()
    np.testing.assert_array_equal(read.predict(rides(rows=50)), model.predict(rides(rows=50)))


@pytest.mark.parametrize(
    ("column", "values", "said"),
    [
        ("outcome", 0.0, "train: outcome is 0.0 in every row; one class teaches nothing"),
        ("outcome", 2.0, "a binary label is 0 or 1"),
        ("outcome", np.nan, "1200 rows have no outcome"),
        ("distance", np.inf, "distance holds infinite numbers"),
    ],
)
def test_rows_that_cannot_teach_are_refused(column: str, values: float, said: str) -> None:
    with pytest.raises(TrainingError, match=said):
        train(rides().assign(**{column: values}), rides(rows=400, seed=1), a_spec())


def test_every_problem_is_named_at_once() -> None:
    spec = a_spec(parameters={"tree_method": "exact"})

    with pytest.raises(TrainingError) as caught:
        train(rides().drop(columns="zone"), rides()[:0], spec)

    said = str(caught.value)
    assert "train lacks the columns zone" in said
    assert "validation has no rows" in said
    assert "training.parameters.tree_method is 'exact'" in said


def test_a_class_that_only_validation_has_is_refused() -> None:
    validation = rides("multiclass", rows=400, seed=1)
    validation.loc[0, "outcome"] = "lost"

    with pytest.raises(TrainingError, match="validation has classes that train lacks: lost"):
        train(rides("multiclass"), validation, a_spec("multiclass"))


def test_a_parameter_that_xgboost_refuses_is_named() -> None:
    with pytest.raises(TrainingError, match="max_depth"):
        train(rides(), rides(rows=400, seed=1), a_spec(parameters={"max_depth": "deep"}))


@pytest.mark.parametrize(("outside", "inside"), [({}, "PASSIVE"), ({"OMP_WAIT_POLICY": "ACTIVE"}, "ACTIVE")])
def test_openmp_waits_passively_unless_told_otherwise(outside: dict[str, str], inside: str) -> None:
    """OpenMP itself says what it read when it was loaded."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("OMP_", "GOMP_"))}
    env |= {"OMP_DISPLAY_ENV": "true", **outside}

    child = subprocess.run(
        [sys.executable, "-c", "import nightshift.model.train"], env=env, capture_output=True, text=True, check=True
    )

    assert f"OMP_WAIT_POLICY = '{inside}'" in child.stderr
