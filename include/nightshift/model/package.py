"""A model as a folder that proves itself before it answers.

Opening fails closed, in this order: manifest, digests of all files, Python,
platform and packages, golden rows; then it is ready. What is not proven is
refused with what was found, what was expected and what to do.
"""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nightshift.model import compatibility, first_load
from nightshift.model.compatibility import Policy
from nightshift.model.encoding import Matrix
from nightshift.model.golden import Golden
from nightshift.model.manifest import CONTRACT, GOLDEN, NATIVE, ONNX, PROFILE, TOLERANCE, Manifest
from nightshift.model.reading import read_package
from nightshift.model.runtime import NativeRuntime, OnnxRuntime, Runtime
from nightshift.spec import Kind, ModelSpec, Task

if TYPE_CHECKING:
    import pandas as pd

    from nightshift.model.train import TrainedModel

MANY_ROWS = 64
"""From so many rows in one call on, XGBoost is asked instead of ONNX Runtime."""
Outputs = npt.NDArray[np.float32]
__all__ = ["TOLERANCE", "ModelPackage", "open_package", "write_package"]


class ModelPackage:
    """An opened package; safe to ask from several threads.

    Make one with :func:`open_package`. A call with fewer than 64 rows is
    answered by ONNX, a larger one by XGBoost, which is loaded by the first such
    call (or by :meth:`warm`) and replays the golden rows itself. A package
    without a faithful ONNX file is always answered by XGBoost.
    """

    def __init__(self, manifest: Manifest, contents: Mapping[str, bytes]) -> None:
        self.manifest = manifest
        self.digest = manifest.digest
        self._contents = contents
        self._lock = threading.Lock()
        self._many: Runtime | None = None
        self._few: Runtime = (
            self._proven(ONNX, OnnxRuntime(contents[ONNX], manifest.task)) if manifest.has_onnx else self._native()
        )

    @property
    def model(self) -> str:
        """The model's name."""
        return self.manifest.model

    @property
    def task(self) -> Task:
        return self.manifest.task

    @property
    def columns(self) -> tuple[str, ...]:
        """Inputs in the model's order."""
        return self.manifest.encoding.columns

    @property
    def kinds(self) -> Mapping[str, Kind]:
        return self.manifest.encoding.kinds

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """For each categorical input the values training saw, in the order of their codes."""
        return self.manifest.encoding.categories

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels of a multiclass model in the order of its probabilities, else empty."""
        return self.manifest.classes

    @property
    def key(self) -> str:
        return self.manifest.key

    @property
    def time_column(self) -> str:
        return self.manifest.time_column

    @cached_property
    def profile(self) -> dict[str, Any]:
        """The training rows' profile, as JSON."""
        return dict(json.loads(self._contents[PROFILE]))

    @cached_property
    def contract(self) -> dict[str, Any]:
        """What a valid row is, as JSON."""
        return dict(json.loads(self._contents[CONTRACT]))

    @cached_property
    def golden(self) -> Golden:
        """Rows with known answers."""
        return Golden.from_json(json.loads(self._contents[GOLDEN]))

    def encode(self, rows: "pd.DataFrame | Sequence[Mapping[str, Any]]") -> Matrix:
        """Return rows as the matrix that :meth:`predict_encoded` takes."""
        return self.manifest.encoding.matrix(rows)

    def predict(self, rows: "pd.DataFrame | Sequence[Mapping[str, Any]]") -> Outputs:
        """Return P(1), the value, or one probability for each class (rows × classes).

        Raises
        ------
        KeyError
            If a column is missing.
        """
        return self.predict_encoded(self.encode(rows))

    def predict_encoded(self, matrix: Matrix) -> Outputs:
        """Return the answers to encoded rows: float32, columns in the model's order, no row is fine."""
        if len(matrix) < MANY_ROWS:
            return self._few(matrix)
        return self._native()(matrix)

    def predict_each(self, matrices: Sequence[Matrix]) -> list[Outputs]:
        """Return the answers to each of several matrices, to the bit what :meth:`predict_encoded` says of it alone.

        They share calls of the model, small ones with small ones and large with
        large: what a call costs besides its rows is as much as several rows.
        """
        sizes = list(map(len, matrices))
        if 0 < sum(sizes) < MANY_ROWS:  # by far the most frequent: single rows
            return _split(self._few(np.concatenate(matrices)), sizes)
        answers: dict[int, Outputs] = {}
        for group in _groups(sizes):
            outputs = self.predict_encoded(np.concatenate([matrices[place] for place in group]))
            answers |= zip(group, _split(outputs, [sizes[place] for place in group]), strict=True)
        return [answers[place] for place in range(len(matrices))]

    def warm(self) -> None:
        """Load XGBoost now, so that no caller with many rows waits two seconds for it."""
        self._native()

    def _native(self) -> Runtime:
        if self._many is None:
            with self._lock:
                if self._many is None:
                    self._many = self._proven(NATIVE, NativeRuntime(self._contents[NATIVE]))
        return self._many

    def _proven(self, name: str, runtime: Runtime) -> Runtime:
        first_load.replay(runtime, self.golden, self.manifest, name)
        return runtime


def _groups(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Yield the places of matrices that are asked together: all large ones, and small ones that stay small together."""
    large: list[int] = []
    group: list[int] = []
    rows = 0
    for place, size in enumerate(sizes):
        if size >= MANY_ROWS:
            large.append(place)
            continue
        if group and rows + size >= MANY_ROWS:
            yield group
            group, rows = [], 0
        group.append(place)
        rows += size
    yield from (one for one in (large, group) if one)


def _split(outputs: Outputs, sizes: Sequence[int]) -> list[Outputs]:
    return [outputs[end - size : end] for size, end in zip(sizes, accumulate(sizes), strict=True)]


def open_package(folder: Path, *, policy: Policy = "compatible") -> ModelPackage:
    """Return the package in ``folder``, verified and ready to answer.

    The very first time that a package is opened in an environment, its native
    files are loaded by a child process first (some three seconds); later it
    takes a third of a second.

    Parameters
    ----------
    policy
        ``exact``: Python, platform and every package as recorded.
        ``compatible``: the same Python minor and platform, packages of the same
        major version and not older.

    Raises
    ------
    PackageError
        If it is not what its manifest says, does not fit this environment, or
        answers otherwise than recorded.
    """
    manifest, contents = read_package(folder)
    compatibility.check(manifest, policy)
    first_load.prove(folder, manifest)
    return ModelPackage(manifest, contents)


def write_package(
    folder: Path,
    model: "TrainedModel",
    spec: ModelSpec,
    *,
    profile: dict[str, Any],
    contract: dict[str, Any],
    golden: "pd.DataFrame",
    earlier: "pd.DataFrame",
    lock: Path,
    lineage_digest: str,
) -> Manifest:
    """Write ``model`` as a package into ``folder``, prove it, and return its manifest.

    See :func:`nightshift.model.packing.pack`, which does it.
    """
    from nightshift.model.packing import pack  # heavy: who only reads packages needs no converter

    return pack(
        folder, model, spec, profile=profile, contract=contract, golden=golden, earlier=earlier, lock=lock,
        lineage_digest=lineage_digest,
    )  # fmt: skip
