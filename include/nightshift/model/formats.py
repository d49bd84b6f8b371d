"""One booster in the formats people need: UBJ (native), ONNX, and pickle for those who must have it."""

import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import xgboost as xgb

from nightshift.errors import PackageError
from nightshift.model.encoding import Encoding, Matrix
from nightshift.spec import Task

ONNX_INPUT, ONNX_OPSET = "rows", 15
PICKLED = {("xgboost.core", "Booster"), ("builtins", "bytearray")}
"""All that a pickled booster is made of; anything else in such a file is refused."""


def to_onnx(booster: xgb.Booster, encoding: Encoding) -> bytes:
    """Return the booster as ONNX; its input is ``rows``, float32 (n, columns), NaN for missing."""
    from onnxmltools.convert import convert_xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    plain = booster.copy()
    # the converter knows columns by f0, f1, … only; their names are in the manifest
    plain.feature_names = [f"f{place}" for place in range(len(encoding.columns))]
    shape = FloatTensorType([None, len(encoding.columns)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own deprecations; nothing of ours runs in here
        model = convert_xgboost(plain, initial_types=[(ONNX_INPUT, shape)], target_opset=ONNX_OPSET)
    return bytes(model.SerializeToString())


def to_pickle(booster: xgb.Booster) -> bytes:
    """Return the booster pickled, for tools that take nothing else."""
    return pickle.dumps(booster, protocol=5)


def from_pickle(content: bytes) -> xgb.Booster:
    """Return a pickled booster; only the classes a booster is made of are let in.

    Raises
    ------
    PackageError
        If the file names any other class or function; nothing of it is called.
    """
    booster = _Unpickler(io.BytesIO(content)).load()
    if not isinstance(booster, xgb.Booster):
        raise PackageError(f"the pickle holds {type(booster).__name__}, expected an XGBoost booster; do not use it")
    return booster


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in PICKLED:
            raise PackageError(f"the pickle asks for {module}.{name}, which no booster needs; do not use it")
        return super().find_class(module, name)


class OnnxModel:
    """An ONNX file in a session of one thread.

    ``predict`` gives what the booster gives: (n,) for binary and regression,
    (n, classes) for multiclass.
    """

    def __init__(self, path: Path, task: Task) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._output = [self._session.get_outputs()[-1].name]
        self._task = task

    def predict(self, matrix: Matrix) -> np.ndarray:
        answers: np.ndarray = self._session.run(self._output, {ONNX_INPUT: matrix})[0]
        match self._task:
            case Task.BINARY:
                return answers[:, 1]
            case Task.REGRESSION:
                return answers.reshape(-1)
        return answers
