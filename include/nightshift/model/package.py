"""The folder that is served: a model in three formats, with all that is needed to trust it.

::

    manifest.json      what it is, and the digest and size of every other file
    model.ubj          the booster, native: decides
    model.onnx         the same for fast single rows; absent if it would not be faithful
    model.pkl          the same for those who must have it; never opened by serving
    contract.json      what a valid row is
    profile.json       what training rows and answers looked like
    golden.json        rows with known answers
    requirements.txt   what it runs with
"""

import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from nightshift.errors import PackageError
from nightshift.files import file_digest, read_json, write_bytes, write_json, write_text
from nightshift.model.encoding import Encoding, Matrix
from nightshift.spec import ModelSpec, Task

if TYPE_CHECKING:
    import pandas as pd

    from nightshift.model.train import TrainedModel

MANIFEST, NATIVE, ONNX, PICKLE = "manifest.json", "model.ubj", "model.onnx", "model.pkl"
CONTRACT, PROFILE, GOLDEN, REQUIREMENTS = "contract.json", "profile.json", "golden.json", "requirements.txt"
NEEDED = ("xgboost", "onnxruntime", "numpy")
"""Packages whose version can change an answer."""
TOLERANCE = 1e-5
"""Largest difference between two formats' answers: of probabilities, or relative to the spread of values."""
ONNX_ROWS_MAX = 16
"""Up to about here ONNX Runtime answers sooner (six times at one row), above it XGBoost."""
FORMAT = 1
Policy = Literal["exact", "compatible"]


def write_package(
    folder: Path,
    model: "TrainedModel",
    spec: ModelSpec,
    *,
    contract: Mapping[str, Any],
    profile: Mapping[str, Any],
    test: "pd.DataFrame",
    lineage_digest: str,
    tolerance: float = TOLERANCE,
) -> dict[str, Any]:
    """Write the package into ``folder`` and return its manifest, which is written last.

    All formats are asked the golden rows, edges included. An ONNX that is not
    faithful within ``tolerance`` is left out, and the manifest says so.

    Raises
    ------
    PackageError
        If the pickle or the file read back answers otherwise than the booster.
    """
    from nightshift.model.formats import to_pickle
    from nightshift.model.golden import edge_rows, golden_rows
    from nightshift.model.train import predict_matrix

    encoding = model.encoding
    rows = golden_rows(test, encoding)
    rows += edge_rows(model.booster, encoding, rows)
    matrix = encoding.matrix_of_rows(rows)
    answers = predict_matrix(model.booster, matrix, encoding)
    write_bytes(folder / NATIVE, bytes(model.booster.save_raw("ubj")))
    write_bytes(folder / PICKLE, to_pickle(model.booster))
    parity = _parity(folder, model, matrix, answers, tolerance)
    write_json(folder / CONTRACT, dict(contract))
    write_json(folder / PROFILE, dict(profile))
    write_json(folder / GOLDEN, {"format": FORMAT, "rows": rows, "answers": answers.tolist()})
    environment = _environment()
    write_text(folder / REQUIREMENTS, "".join(f"{name}=={found}\n" for name, found in environment["packages"].items()))
    manifest = {
        "format": FORMAT,
        "model": spec.name,
        "task": str(spec.task),
        "key": spec.key,
        "time_column": spec.time.column,
        "encoding": encoding.to_json(),
        "classes": list(model.classes),
        "importance": dict(model.importance),
        "rounds": model.rounds,
        "lineage_digest": lineage_digest,
        "environment": environment,
        "tolerance": tolerance,
        "parity": parity,
        "files": {path.name: _entry(path) for path in sorted(folder.iterdir()) if _is_part(path)},
    }
    write_json(folder / MANIFEST, manifest)
    return manifest


def open_package(folder: Path, *, policy: Policy = "compatible") -> "ModelPackage":
    """Return the package in ``folder``, if it is what its manifest says and answers as it was recorded to.

    In this order: manifest, digests (extra, missing, changed and linked files
    are refused), environment, golden rows. The pickle is never opened.

    Parameters
    ----------
    policy
        ``exact``: Python, platform and packages must be those of training.
        ``compatible``: Python and packages may differ after the second number.

    Raises
    ------
    PackageError
        With every problem of the first kind that was found.
    """
    manifest = _read_manifest(folder)
    _refuse(folder, "files differ from the manifest", _file_problems(folder, manifest))
    _refuse(folder, f"the environment differs (policy {policy})", _environment_problems(manifest, policy))
    package = ModelPackage(folder, manifest, file_digest(folder / MANIFEST))
    package.replay()
    return package


@dataclass(frozen=True)
class ModelPackage:
    """An opened package. ``digest`` is that of its manifest, and so of everything in it."""

    folder: Path
    manifest: Mapping[str, Any]
    digest: str

    @property
    def model(self) -> str:
        return str(self.manifest["model"])

    @property
    def task(self) -> Task:
        return Task(self.manifest["task"])

    @property
    def key(self) -> str:
        return str(self.manifest["key"])

    @property
    def time_column(self) -> str:
        return str(self.manifest["time_column"])

    @property
    def columns(self) -> tuple[str, ...]:
        """The inputs in the model's order."""
        return self.encoding.columns

    @property
    def kinds(self) -> dict[str, str]:
        """``numeric`` or ``categorical`` for each input."""
        return {name: str(kind) for name, kind in self.encoding.kinds.items()}

    @property
    def categories(self) -> Mapping[str, tuple[str, ...]]:
        """Categories of each categorical input; a category's place is its code."""
        return self.encoding.categories

    @property
    def classes(self) -> tuple[str, ...]:
        """Labels of a multiclass model in the order of its probabilities; empty otherwise."""
        return tuple(self.manifest["classes"])

    @property
    def tolerance(self) -> float:
        return float(self.manifest["tolerance"])

    @cached_property
    def encoding(self) -> Encoding:
        return Encoding.from_json(self.manifest["encoding"])

    @cached_property
    def contract(self) -> dict[str, Any]:
        """The contract as JSON."""
        return dict(read_json(self.folder / CONTRACT))

    @cached_property
    def profile(self) -> dict[str, Any]:
        """The reference profile as JSON."""
        return dict(read_json(self.folder / PROFILE))

    def golden_rows(self) -> tuple[list[dict[str, Any]], np.ndarray]:
        """Return rows as a caller would send them, and what each must be answered."""
        content = read_json(self.folder / GOLDEN)
        return content["rows"], np.array(content["answers"])

    def predict(self, rows: "pd.DataFrame | Sequence[Mapping[str, Any]]") -> np.ndarray:
        """Return answers for a frame or for mappings: see :meth:`predict_encoded`. No contract is checked."""
        listed = isinstance(rows, list | tuple)
        matrix = self.encoding.matrix_of_rows(rows) if listed else self.encoding.matrix(rows)  # type: ignore[arg-type]
        return self.predict_encoded(matrix)

    def predict_encoded(self, matrix: Matrix) -> np.ndarray:
        """Return answers for encoded rows.

        Binary: (n,) probability of the positive class; regression: (n,) values;
        multiclass: (n, classes) probabilities. ONNX Runtime answers a few rows,
        XGBoost many; they agree within the manifest's tolerance.
        """
        if self._onnx is not None and len(matrix) <= ONNX_ROWS_MAX:
            return self._onnx.predict(matrix)
        return np.asarray(self._native.inplace_predict(matrix, validate_features=False))

    def replay(self) -> None:
        """Ask every format that serves the golden rows.

        Raises
        ------
        PackageError
            If an answer differs from the recorded one beyond the tolerance.
        """
        rows, answers = self.golden_rows()
        matrix = self.encoding.matrix_of_rows(rows)
        given = {"XGBoost": np.asarray(self._native.inplace_predict(matrix, validate_features=False))}
        if self._onnx is not None:
            given["ONNX Runtime"] = self._onnx.predict(matrix)
        for name, got in given.items():
            worst = _difference(got, answers, self.task)
            if not worst <= self.tolerance:
                raise PackageError(
                    f"{self.folder}: {name} answers golden rows otherwise than recorded: differs by {worst:.3g}, "
                    f"allowed {self.tolerance:g}. Do not serve it; fetch it again or build it again."
                )

    @cached_property
    def _native(self) -> Any:
        from nightshift.model.train import xgb

        booster = xgb.Booster({"nthread": 1})
        booster.load_model(bytearray((self.folder / NATIVE).read_bytes()))
        return booster

    @cached_property
    def _onnx(self) -> Any:
        if ONNX not in self.manifest["files"]:
            return None
        from nightshift.model.formats import OnnxModel

        return OnnxModel(self.folder / ONNX, self.task)


def _parity(
    folder: Path, model: "TrainedModel", matrix: Matrix, answers: np.ndarray, tolerance: float
) -> dict[str, Any]:
    """Prove that all formats answer alike, on every golden row; drop an ONNX that does not."""
    from nightshift.model.formats import OnnxModel, from_pickle, to_onnx
    from nightshift.model.train import predict_matrix, xgb

    reread = xgb.Booster()
    reread.load_model(bytearray((folder / NATIVE).read_bytes()))
    pickled = from_pickle((folder / PICKLE).read_bytes())
    worst = {
        name: _difference(predict_matrix(booster, matrix, model.encoding), answers, model.task)
        for name, booster in ((NATIVE, reread), (PICKLE, pickled))
    }
    for name, difference in worst.items():
        if difference:
            raise PackageError(f"{folder / name} answers otherwise than the trained booster, by {difference:.3g}")
    write_bytes(folder / ONNX, to_onnx(model.booster, model.encoding))
    worst[ONNX] = _difference(OnnxModel(folder / ONNX, model.task).predict(matrix), answers, model.task)
    faithful = worst[ONNX] <= tolerance
    if not faithful:
        (folder / ONNX).unlink()
    return {"rows": len(matrix), "worst_difference": worst, "onnx_is_faithful": bool(faithful)}


def _difference(given: np.ndarray, recorded: np.ndarray, task: Task) -> float:
    """Return the largest difference; of values relative to their spread, so that one tolerance fits all tasks."""
    if given.shape != recorded.shape:
        return float("inf")
    scale = float(np.ptp(recorded)) or 1.0 if task is Task.REGRESSION and recorded.size else 1.0
    return float(np.max(np.abs(given - recorded), initial=0.0)) / scale


def _environment() -> dict[str, Any]:
    return {
        "python": platform.python_version(),
        "platform": f"{sys.platform}-{platform.machine()}",
        "packages": {name: version(name) for name in NEEDED},
    }


def _entry(path: Path) -> dict[str, Any]:
    return {"sha256": file_digest(path), "bytes": path.stat().st_size}


def _is_part(path: Path) -> bool:
    return path.name != MANIFEST and not path.name.startswith(".")


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if path.is_symlink():
        raise PackageError(f"{path} is a link; a package has plain files only")
    try:
        manifest = read_json(path)
    except (OSError, ValueError) as error:
        raise PackageError(f"{path} cannot be read: {error}; this is no model package") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise PackageError(f"{path} has another format than {FORMAT}; open it with the Nightshift that wrote it")
    return manifest


def _file_problems(folder: Path, manifest: Mapping[str, Any]) -> list[str]:
    there = {path.name: path for path in folder.iterdir() if path.name != MANIFEST}
    listed: Mapping[str, Mapping[str, Any]] = manifest["files"]
    problems = [f"{name} is not in the manifest" for name in sorted(there.keys() - listed.keys())]
    problems += [f"{name} is missing" for name in sorted(listed.keys() - there.keys())]
    for name in sorted(there.keys() & listed.keys()):
        path, entry = there[name], listed[name]
        if path.is_symlink() or not path.is_file() or path.stat().st_nlink > 1:
            problems.append(f"{name} is a link or no file")
        elif (found := file_digest(path)) != entry["sha256"]:
            problems.append(f"{name} has SHA-256 {found[:16]}…, the manifest says {str(entry['sha256'])[:16]}…")
    return problems


def _environment_problems(manifest: Mapping[str, Any], policy: Policy) -> list[str]:
    trained = manifest["environment"]
    pairs = [("python", trained["python"], platform.python_version())]
    pairs += [(name, wanted, _installed(name)) for name, wanted in trained["packages"].items()]
    if policy == "exact":
        pairs.append(("platform", trained["platform"], f"{sys.platform}-{platform.machine()}"))
    return [
        f"{name}: trained with {wanted}, here is {found}"
        for name, wanted, found in pairs
        if not _agrees(str(wanted), found, policy)
    ]


def _agrees(wanted: str, found: str, policy: Policy) -> bool:
    return wanted == found if policy == "exact" else wanted.split(".")[:2] == found.split(".")[:2]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "nothing"


def _refuse(folder: Path, what: str, problems: Sequence[str]) -> None:
    if problems:
        raise PackageError(f"{folder}: {what}:\n" + "\n".join(f"  - {problem}" for problem in problems))
