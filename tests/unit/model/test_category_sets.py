"""Sets are searched by halves, and nobody can tell by the answers."""

from collections import Counter
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import pytest
import xgboost
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nightshift.model import onnx_format
from nightshift.model.category_sets import EQUAL, LEAF, LESS
from nightshift.model.runtime import OnnxRuntime
from nightshift.spec import Task

CODES = 40
OBJECTIVES = {
    Task.BINARY: {"objective": "binary:logistic"},
    Task.REGRESSION: {"objective": "reg:squarederror"},
    Task.MULTICLASS: {"objective": "multi:softprob", "num_class": 3},
}


def a_booster(task: Task, *, codes: int, seed: int, **parameters: Any) -> xgboost.Booster:
    """Return trees that split a category by arbitrary sets, and a number; some values are null."""
    random = np.random.default_rng(seed)
    codes_of = random.integers(0, codes, 800).astype(float)
    number = random.normal(size=800)
    codes_of[random.random(800) < parameters.pop("nulls", 0.1)] = np.nan
    effect = random.normal(size=codes + 1)[np.nan_to_num(codes_of, nan=codes).astype(int)] + number / 2
    label = {
        Task.BINARY: effect > 0, Task.REGRESSION: effect, Task.MULTICLASS: np.digitize(effect, (-0.5, 0.5)),
    }[task]  # fmt: skip
    rows = xgboost.DMatrix(
        np.column_stack((codes_of, number)), label, feature_types=["c", "q"], enable_categorical=True
    )
    return xgboost.train(OBJECTIVES[task] | {"max_depth": 4, "seed": seed} | parameters, rows, num_boost_round=12)


def every_code(codes: int) -> np.ndarray:
    """Return each code, two beyond, and null, with numbers of all sizes."""
    known = [*range(codes + 2), np.nan]
    return np.array([(code, number) for code in known for number in (-2, -0.1, 0.2, 3, np.nan)], dtype=np.float32)


def both_ways(booster: xgboost.Booster, task: Task) -> tuple[onnx.ModelProto, np.ndarray, np.ndarray]:
    """Return the trees searched by halves, and what they and the converter's own answer."""
    asked = every_code(CODES)
    found = onnx_format.convert(booster, 2, name="rides")
    with patch.object(onnx_format, "search_by_halves"):
        plain = onnx_format.convert(booster, 2, name="rides")
    answers, expected = (OnnxRuntime(content, task)(asked) for content in (found, plain))
    return onnx.ModelProto.FromString(found), answers, expected


def trees_of(model: onnx.ModelProto) -> dict[str, Any]:
    (node,) = [node for node in model.graph.node if node.op_type.startswith("TreeEnsemble")]
    return {
        attribute.name: list(attribute.ints or attribute.floats or attribute.strings) for attribute in node.attribute
    }


@settings(max_examples=40, deadline=None)
@example(task=Task.BINARY, codes=CODES, seed=0, nulls=0.5, onehot=1, depth=6)
@example(task=Task.MULTICLASS, codes=2, seed=1, nulls=0.0, onehot=1, depth=1)
@given(
    task=st.sampled_from([*OBJECTIVES]),
    codes=st.integers(2, CODES),
    seed=st.integers(0, 99),
    nulls=st.sampled_from([0.0, 0.1, 0.6]),
    onehot=st.sampled_from([1, 4, 100]),
    depth=st.integers(1, 7),
)
def test_every_code_and_null_are_answered_the_same_to_the_bit(
    task: Task, codes: int, seed: int, nulls: float, onehot: int, depth: int
) -> None:
    booster = a_booster(task, codes=codes, seed=seed, nulls=nulls, max_cat_to_onehot=onehot, max_depth=depth)

    model, answers, expected = both_ways(booster, task)

    np.testing.assert_array_equal(answers, expected)
    assert set(trees_of(model)["nodes_modes"]) <= {LESS, LEAF}


@pytest.mark.parametrize("task", OBJECTIVES)
def test_no_two_nodes_share_a_false_branch_and_each_is_the_next_one(task: Task) -> None:
    model, _, _ = both_ways(a_booster(task, codes=CODES, seed=3), task)

    trees = trees_of(model)
    inner = [place for place, mode in enumerate(trees["nodes_modes"]) if mode != LEAF]

    assert all(trees["nodes_falsenodeids"][place] == trees["nodes_nodeids"][place] + 1 for place in inner)
    led_to = Counter(
        (trees["nodes_treeids"][place], trees[branch][place])
        for place in inner
        for branch in ("nodes_truenodeids", "nodes_falsenodeids")
    )
    assert led_to.keys() == {
        (tree, place)
        for tree, place in zip(trees["nodes_treeids"], trees["nodes_nodeids"], strict=True)
        if place  # nothing leads to a root, and to all others something does
    }


def test_far_fewer_nodes_are_met() -> None:
    booster = a_booster(Task.REGRESSION, codes=CODES, seed=4)
    searched, _, _ = both_ways(booster, Task.REGRESSION)
    with patch.object(onnx_format, "search_by_halves"):
        plain = onnx.ModelProto.FromString(onnx_format.convert(booster, 2, name="rides"))

    walked, found = (sum(met(trees_of(model), row) for row in every_code(CODES)) for model in (plain, searched))

    assert EQUAL in trees_of(plain)["nodes_modes"]
    assert found < walked / 2


def met(trees: dict[str, Any], row: np.ndarray) -> int:
    """Return how many nodes a row meets on its way to the leaves."""
    ids = zip(trees["nodes_treeids"], trees["nodes_nodeids"], strict=True)
    places = {of: place for place, of in enumerate(ids)}
    nodes = 0
    for tree in dict.fromkeys(trees["nodes_treeids"]):
        place = places[tree, 0]
        while (mode := trees["nodes_modes"][place]) != LEAF:
            value, threshold = row[trees["nodes_featureids"][place]], trees["nodes_values"][place]
            is_true = value == threshold if mode == EQUAL else value < threshold
            if np.isnan(value):
                is_true = trees["nodes_missing_value_tracks_true"][place]
            place = places[tree, trees["nodes_truenodeids" if is_true else "nodes_falsenodeids"][place]]
            nodes += 1
    return nodes
