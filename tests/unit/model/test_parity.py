"""The formats of one model answer alike, whatever it was trained with."""

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factories.model import a_model, a_spec, rides
from nightshift.model import onnx_format, pickles
from nightshift.model.golden import golden_rows, worst_difference
from nightshift.model.manifest import TOLERANCE
from nightshift.model.packing import split_points
from nightshift.model.runtime import NativeRuntime, OnnxRuntime
from nightshift.model.train import TrainedModel, train
from nightshift.spec import Task

TASKS = ("binary", "multiclass", "regression")


def number(low: float, high: float) -> st.SearchStrategy[float]:
    """Return numbers that XGBoost's own float32 parameters can hold."""
    return st.floats(low, high, width=32, allow_subnormal=False)


parameters = st.fixed_dictionaries(
    {},
    optional={
        "max_depth": st.integers(1, 8),
        "eta": number(0.03125, 1.0),
        "subsample": number(0.25, 1.0),
        "colsample_bytree": number(0.25, 1.0),
        "colsample_bynode": number(0.25, 1.0),
        "base_score": number(0.0625, 0.9375),
        "min_child_weight": number(0.0, 20.0),
        "gamma": number(0.0, 2.0),
        "reg_lambda": number(0.0, 10.0),
        "max_cat_to_onehot": st.sampled_from([1, 4, 100]),
        "max_bin": st.sampled_from([4, 64, 512]),
        "max_leaves": st.sampled_from([0, 7]),
        "grow_policy": st.sampled_from(["depthwise", "lossguide"]),
        "num_parallel_tree": st.sampled_from([1, 3]),
    },
)


def edges(model: TrainedModel, task: str) -> np.ndarray:
    """Return real rows and every edge that a package's golden rows hold."""
    asked, _ = golden_rows(rides(task, rows=300, seed=6), rides(task)[:0], model.encoding, split_points(model))
    columns = model.encoding.columns
    return model.encoding.matrix([dict(zip(columns, values, strict=True)) for values in asked])


@settings(max_examples=30, deadline=None)
@example(task="multiclass", given_parameters={"num_parallel_tree": 3, "max_depth": 1}, rounds=2, seed=0)
@given(task=st.sampled_from(TASKS), given_parameters=parameters, rounds=st.integers(1, 30), seed=st.integers(0, 99))
def test_onnx_and_pickle_answer_as_the_native_file_does(
    task: str, given_parameters: dict[str, Any], rounds: int, seed: int
) -> None:
    training = {"rounds": rounds, "early_stopping_rounds": 3, "seed": seed, "parameters": given_parameters}
    model = train(rides(task, rows=600), rides(task, rows=200, seed=1), a_spec(task, training=training))
    matrix = edges(model, task)

    native = NativeRuntime(model.native)(matrix)
    onnx = OnnxRuntime(onnx_format.convert(model.booster, len(model.columns), name="rides"), Task(task))(matrix)
    pickled = pickles.load(pickles.dump(model.booster)).inplace_predict(matrix)

    assert worst_difference(onnx, native) <= TOLERANCE
    np.testing.assert_array_equal(pickled, native)


@pytest.mark.parametrize("task", TASKS)
def test_one_row_is_answered_as_in_a_crowd(task: str) -> None:
    model = a_model(task)
    matrix = edges(model, task)
    runtime = OnnxRuntime(onnx_format.convert(model.booster, len(model.columns), name="rides"), Task(task))

    alone = np.concatenate([runtime(matrix[place : place + 1]) for place in range(100)])

    np.testing.assert_allclose(alone, runtime(matrix)[:100], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("task", TASKS)
def test_the_same_booster_gives_the_same_onnx_bytes(task: str) -> None:
    model = a_model(task)

    first, second = (onnx_format.convert(model.booster, len(model.columns), name="rides") for _ in range(2))

    assert first == second


def test_converting_leaves_the_booster_as_it_was() -> None:
    model = a_model()
    before = model.native

    onnx_format.convert(model.booster, len(model.columns), name="rides")

    assert model.native == before
    assert model.booster.feature_names == list(model.columns)


def test_columns_that_are_called_like_the_converters_own_are_not_mixed_up() -> None:
    spec = a_spec(features={"f3": "numeric", "f0": "numeric", "_": "categorical"})
    names = {"distance": "f3", "speed": "f0", "zone": "_"}
    model = train(rides().rename(columns=names), rides(rows=300, seed=1).rename(columns=names), spec)
    matrix = model.encoding.matrix(rides(rows=50, seed=2).rename(columns=names))

    answers = OnnxRuntime(onnx_format.convert(model.booster, 3, name="rides"), Task.BINARY)(matrix)

    assert worst_difference(answers, NativeRuntime(model.native)(matrix)) <= TOLERANCE


def test_a_model_of_one_leaf_is_converted_too() -> None:
    model = train(rides(), rides(rows=300, seed=1), a_spec(parameters={"gamma": 1e9}))
    matrix = edges(model, "binary")

    answers = OnnxRuntime(onnx_format.convert(model.booster, 4, name="rides"), Task.BINARY)(matrix)

    assert split_points(model) == {}
    assert worst_difference(answers, NativeRuntime(model.native)(matrix)) <= TOLERANCE


@pytest.mark.parametrize(
    ("answers", "expected", "worst"),
    [
        ([0.5, 0.25], [0.5, 0.25], 0.0),
        ([0.5], [0.25], 0.25),
        ([300.0], [200.0], 0.5),
        ([np.nan], [0.5], np.inf),
        ([0.5], [np.nan], np.inf),
        ([0.5, 0.5], [0.5], np.inf),
        ([], [], 0.0),
    ],
)
def test_differences_are_absolute_below_one_and_relative_above(
    answers: list[float], expected: list[float], worst: float
) -> None:
    assert worst_difference(np.array(answers), np.array(expected)) == worst
