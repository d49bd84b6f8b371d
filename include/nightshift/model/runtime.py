"""Two ways to ask one model: ONNX for few rows, XGBoost for many.

Asked for one row, ONNX Runtime takes a fifth of what XGBoost takes, since the
latter prepares each call; at some hundred rows they draw level, and above XGBoost
is faster (``benchmarks/runtimes.py``). They agree within the package's recorded
tolerance, proven on its golden rows and on every row of the test split.
"""

import ctypes
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import onnxruntime

from nightshift.model.encoding import Matrix
from nightshift.spec import Task

if TYPE_CHECKING:
    import xgboost

Outputs = npt.NDArray[np.float32]
_ALL_TREES = (
    b'{"type":0,"training":false,"iteration_begin":0,"iteration_end":0,"missing":NaN,"strict_shape":false,"cache_id":0}'
)
"""What is asked of XGBoost: the transformed outputs of all its trees."""


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
    """A model in XGBoost itself; importing that takes about two seconds.

    It is asked by XGBoost's C interface: what ``Booster.inplace_predict`` does
    in Python before and after the same call takes 100 µs, as long as 50 rows.

    Raises
    ------
    ValueError
        From a call, with XGBoost's own words, if it refuses the matrix.
    """

    def __init__(self, content: bytes, *, threads: int = 1) -> None:
        self._booster = load_booster(content, threads=threads)
        self._library = _library()

    def __call__(self, matrix: Matrix) -> Outputs:
        dense = np.ascontiguousarray(matrix, dtype=np.float32)
        if not len(dense):
            return np.asarray(self._booster.inplace_predict(dense, validate_features=False))
        array = (
            f'{{"data":[{dense.__array_interface__["data"][0]},true],"shape":[{dense.shape[0]},{dense.shape[1]}],'
            '"typestr":"<f4","version":3}'
        )
        shape, dimensions = ctypes.POINTER(ctypes.c_uint64)(), ctypes.c_uint64()
        found = ctypes.POINTER(ctypes.c_float)()
        failed = self._library.XGBoosterPredictFromDense(
            self._booster.handle,
            array.encode(),
            _ALL_TREES,
            None,
            ctypes.byref(shape),
            ctypes.byref(dimensions),
            ctypes.byref(found),
        )
        if failed:
            raise ValueError(self._library.XGBGetLastError().decode())
        # the memory is XGBoost's, and is written over by this thread's next call
        return np.ctypeslib.as_array(found, tuple(shape[: dimensions.value])).copy()


def load_booster(content: bytes, *, threads: int = 1) -> "xgboost.Booster":
    """Return the booster in UBJ ``content``."""
    import xgboost  # heavy: a server that is asked few rows at a time never needs it

    booster = xgboost.Booster({"nthread": threads})
    booster.load_model(bytearray(content))
    return booster


@cache
def _library() -> ctypes.CDLL:
    """Return XGBoost's own library, which the import of its package has loaded already."""
    from xgboost.libpath import find_lib_path

    library = ctypes.CDLL(find_lib_path()[0])
    library.XGBGetLastError.restype = ctypes.c_char_p
    return library
