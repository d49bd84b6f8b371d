"""Two ways to ask one model: ONNX for few rows, XGBoost for many.

Measured with the example's 248 trees and 23 inputs: asked for one row, ONNX
Runtime takes some 30 µs and XGBoost some 300, since the latter prepares each
call; they draw level at about 16 rows, and at 1,000 XGBoost is three times as
fast. They agree within the package's recorded tolerance, proven on its golden
rows and on every row of the test split.
"""

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from nightshift.model.encoding import Matrix
from nightshift.spec import Task

if TYPE_CHECKING:
    import xgboost

Outputs = npt.NDArray[np.float32]


class Runtime(Protocol):
    """A loaded model: a float32 matrix in, P(1), values or probabilities (rows × classes) out."""

    def __call__(self, matrix: Matrix) -> Outputs: ...


class OnnxRuntime:
    """A model in ONNX Runtime, on one thread: for one row, waking a second one costs more than it does."""

    def __init__(self, content: bytes, task: Task) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session: Any = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        self._output = [self._session.get_outputs()[-1].name]
        self._task = task

    def __call__(self, matrix: Matrix) -> Outputs:
        answers = self._session.run(self._output, {self._input: matrix})[0]
        if self._task is Task.MULTICLASS:
            return np.asarray(answers)
        return np.asarray(answers[:, -1])


class NativeRuntime:
    """A model in XGBoost itself; importing that takes about two seconds."""

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        self._booster = load_booster(content, threads=threads)

    def __call__(self, matrix: Matrix) -> Outputs:
        return np.asarray(self._booster.inplace_predict(matrix, validate_features=False))


def load_booster(content: bytes, *, threads: int = 1) -> "xgboost.Booster":
    """Return the booster in UBJ ``content``."""
    import xgboost  # heavy: a server that is asked few rows at a time never needs it

    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(bytearray(content))
    return booster
