"""A booster as ONNX, and what an ONNX file may be made of."""

import json
from typing import Any

import onnx
import onnxmltools
import xgboost
from onnxmltools.convert.common.data_types import FloatTensorType

from nightshift.errors import PackageError
from nightshift.model.category_sets import search_by_halves

INPUT = "rows"
OPERATORS = frozenset(
    {("ai.onnx.ml", "TreeEnsembleClassifier"), ("ai.onnx.ml", "TreeEnsembleRegressor"), ("", "Identity"), ("", "Cast")}
)
"""All that a tree model needs. A custom operator would be code of somebody else's."""
ATTRIBUTE_NUMBERS_MAX = 50_000_000
TENSOR_NUMBERS_MAX = 1_000_000


def convert(booster: xgboost.Booster, columns: int, *, name: str) -> bytes:
    """Return ``booster`` as ONNX bytes; the same booster gives the same bytes.

    Raises
    ------
    Exception
        Whatever the converter meets in a booster it does not understand.
    """
    # the converter reads column numbers from the names, so a copy is renamed: f0, f1, …
    copy = xgboost.Booster(model_file=bytearray(booster.save_raw("ubj")))
    copy.feature_names = [f"f{place}" for place in range(columns)]
    model = onnxmltools.convert_xgboost(
        copy, name=name, initial_types=[(INPUT, FloatTensorType([None, columns]))], target_opset=15
    )
    _give_trees_their_class(model, booster)
    search_by_halves(model)
    return bytes(model.SerializeToString(deterministic=True))


def _give_trees_their_class(model: Any, booster: xgboost.Booster) -> None:
    """Count each tree for the class it was grown for.

    The converter takes the classes in turn, tree by tree; with
    ``num_parallel_tree`` a class has several trees in a row.
    """
    learner = json.loads(booster.save_raw("json"))["learner"]
    if int(learner["learner_model_param"]["num_class"]) < 3:
        return
    class_of = learner["gradient_booster"]["model"]["tree_info"]
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if "class_ids" in attributes:
            attributes["class_ids"].ints[:] = [class_of[tree] for tree in attributes["class_treeids"].ints]


def inspect(content: bytes) -> None:
    """Refuse ONNX bytes that are more than a tree model; nothing of them is run.

    Raises
    ------
    PackageError
        If there is data outside the file, an operator that trees do not need, a
        function, a nested graph, or a tensor larger than trees need.
    """
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except Exception as error:
        raise PackageError(f"model.onnx cannot be read: {error}; do not use this package") from error
    problems = [*_model_problems(model), *(problem for node in model.graph.node for problem in _node_problems(node))]
    if problems:
        raise PackageError(f"model.onnx is no plain tree model: {'; '.join(problems[:5])}; do not use this package")


def _model_problems(model: Any) -> list[str]:
    problems = []
    if len(model.functions) or len(model.training_info):
        problems.append("it brings functions of its own")
    for tensor in model.graph.initializer:
        problems += _tensor_problems(tensor)
    if len(model.graph.sparse_initializer):
        problems.append("it has sparse tensors")
    return problems


def _node_problems(node: Any) -> list[str]:
    problems = []
    if (node.domain, node.op_type) not in OPERATORS:
        problems.append(f"operator {node.domain[:40]}.{node.op_type[:40]} is not one of trees")
    for attribute in node.attribute:
        if attribute.HasField("g") or len(attribute.graphs):
            problems.append(f"attribute {attribute.name[:40]} holds a graph")
        if attribute.HasField("sparse_tensor") or len(attribute.sparse_tensors):
            problems.append(f"attribute {attribute.name[:40]} holds a sparse tensor")
        numbers = len(attribute.floats) + len(attribute.ints) + len(attribute.strings)
        if numbers > ATTRIBUTE_NUMBERS_MAX:
            problems.append(f"attribute {attribute.name[:40]} has {numbers:,} numbers")
        for tensor in (attribute.t, *attribute.tensors):
            problems += _tensor_problems(tensor)
    return problems


def _tensor_problems(tensor: Any) -> list[str]:
    problems = []
    if tensor.data_location == onnx.TensorProto.EXTERNAL or len(tensor.external_data):
        problems.append(f"tensor {tensor.name[:40]} has its data outside the file")
    numbers = 1
    for size in tensor.dims:
        numbers *= max(1, abs(size))
    if numbers > TENSOR_NUMBERS_MAX:
        problems.append(f"tensor {tensor.name[:40]} claims {numbers:,} numbers, at most {TENSOR_NUMBERS_MAX:,}")
    return problems
