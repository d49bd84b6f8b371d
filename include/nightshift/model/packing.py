"""How a trained model becomes a package: three formats, their agreement proven, all of it pinned."""

import json
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from nightshift.errors import PackageError
from nightshift.files import canonical_json, draft_beside, file_digest, sync_folder, write_bytes
from nightshift.model import first_load, onnx_format, pickles
from nightshift.model.compatibility import NEEDED, needed_versions, running_platform, running_python
from nightshift.model.encoding import Matrix
from nightshift.model.flavor import mlmodel
from nightshift.model.golden import Answers, Golden, golden_rows, worst_difference
from nightshift.model.manifest import (
    CONTRACT,
    GOLDEN,
    MANIFEST,
    MLMODEL,
    NATIVE,
    ONNX,
    PICKLE,
    PROFILE,
    REQUIREMENTS,
    TOLERANCE,
    FileRecord,
    Manifest,
    Parity,
)
from nightshift.model.runtime import NativeRuntime, OnnxRuntime, load_booster
from nightshift.model.train import TrainedModel
from nightshift.spec import Kind, ModelSpec

SERVING_THREADS = 1


def pack(
    folder: Path,
    model: TrainedModel,
    spec: ModelSpec,
    *,
    profile: dict[str, Any],
    contract: dict[str, Any],
    golden: pd.DataFrame,
    earlier: pd.DataFrame,
    lock: Path,
    lineage_digest: str,
) -> Manifest:
    """Write ``model`` as a package into ``folder``, prove it in a fresh process, and return its manifest.

    A folder that is there already is replaced, whole. The same arguments give
    the same bytes.

    Parameters
    ----------
    profile, contract
        What came of profiling the training rows; kept as they are.
    golden
        Real rows to take golden ones from; those of the test split.
    earlier
        Real rows to fill them up with if there are fewer than 1,000; those of the other splits, oldest first.
    lock
        The requirements file of the environment; its digest is recorded.
    lineage_digest
        What determined the model.

    Raises
    ------
    PackageError
        If formats disagree, or the package cannot be opened by a fresh process.
    """
    if golden.empty:
        raise PackageError("there are no rows to take golden ones from; give the test split")
    known = _known(model, golden, earlier)
    formats = _Formats.of(
        model, spec, np.concatenate([model.encoding.matrix(known.rows), model.encoding.matrix(golden)])
    )
    contents = {
        **formats.contents,
        GOLDEN: canonical_json(known.to_json()),
        PROFILE: canonical_json(profile),
        CONTRACT: canonical_json(contract),
        REQUIREMENTS: _requirements(),
        MLMODEL: _mlmodel(model),
    }
    manifest = Manifest(
        model=spec.name,
        task=spec.task,
        key=spec.key,
        time_column=spec.time.column,
        classes=model.classes,
        encoding=model.encoding,
        lineage_digest=lineage_digest,
        python=running_python(),
        platform=running_platform(),
        requirements=dict(needed_versions()),
        lock_digest=file_digest(lock),
        threads=SERVING_THREADS,
        trees=_trees(model),
        best_iteration=model.best_iteration,
        golden_rows=len(known.values),
        onnx=formats.onnx,
        pickle=formats.pickle,
        files={name: FileRecord.of(content) for name, content in contents.items()},
    )
    _put(folder, manifest, contents)
    return manifest


def split_points(model: TrainedModel) -> dict[str, list[float]]:
    """Return the thresholds of each numeric column that the booster splits on, ascending."""
    trees = model.booster.trees_to_dataframe()
    numeric = trees[trees["Split"].notna()].groupby("Feature")["Split"]
    found = {str(name): sorted({float(point) for point in points}) for name, points in numeric}
    return {name: found[name] for name, kind in model.encoding.kinds.items() if kind is Kind.NUMERIC and name in found}


def _known(model: TrainedModel, golden: pd.DataFrame, earlier: pd.DataFrame) -> Golden:
    """Return the golden rows with what the native file, read back, answers to them."""
    asked, origins = golden_rows(golden, earlier, model.encoding, split_points(model))
    columns = model.encoding.columns
    matrix = model.encoding.matrix([dict(zip(columns, values, strict=True)) for values in asked])
    return Golden(columns, tuple(asked), tuple(origins), NativeRuntime(model.native)(matrix))


@dataclass(frozen=True)
class _Formats:
    """The model's files by name, and how far the others answer from the native one."""

    contents: dict[str, bytes]
    onnx: Parity
    pickle: Parity

    @classmethod
    def of(cls, model: TrainedModel, spec: ModelSpec, matrix: Matrix) -> Self:
        native = model.native
        expected = NativeRuntime(native)(matrix)
        onnx, onnx_parity = _onnx(model, spec, matrix, expected)
        pickled, pickle_parity = _pickle(native, matrix, expected)
        left = {ONNX: onnx} if onnx is not None else {}
        return cls({NATIVE: native, PICKLE: pickled, **left}, onnx_parity, pickle_parity)


def _onnx(model: TrainedModel, spec: ModelSpec, matrix: Matrix, expected: Answers) -> tuple[bytes | None, Parity]:
    """Return the model as ONNX, or none if it would answer otherwise; the parity says why."""
    rows = len(matrix)
    try:
        content = onnx_format.convert(model.booster, len(model.columns), name=spec.name)
        onnx_format.inspect(content)
        worst = worst_difference(OnnxRuntime(content, spec.task)(matrix), expected)
    except Exception as error:  # whatever the converter cannot do, the native file can
        why = f"cannot be converted: {str(error)[:300]}"
        return None, Parity(faithful=False, rows=rows, worst_difference=None, tolerance=TOLERANCE, why=why)
    if not worst <= TOLERANCE:
        why, known = "it answers otherwise than the native file", worst if worst < float("inf") else None
        return None, Parity(faithful=False, rows=rows, worst_difference=known, tolerance=TOLERANCE, why=why)
    return content, Parity(faithful=True, rows=rows, worst_difference=worst, tolerance=TOLERANCE)


def _pickle(native: bytes, matrix: Matrix, expected: Answers) -> tuple[bytes, Parity]:
    """Return the booster pickled, with threads set as served: training's number of threads leaves no trace."""
    content = pickles.dump(load_booster(native, threads=SERVING_THREADS))
    answers = pickles.load(content).inplace_predict(matrix, validate_features=False)
    worst = worst_difference(answers, expected)
    if worst != 0:
        raise PackageError(
            f"the pickled booster answers otherwise than the native file: differs by {worst:.3g}; report this"
        )
    return content, Parity(faithful=True, rows=len(matrix), worst_difference=worst, tolerance=0.0)


def _trees(model: TrainedModel) -> int:
    config = json.loads(model.booster.save_config())
    return int(config["learner"]["gradient_booster"]["gbtree_model_param"]["num_trees"])


def _mlmodel(model: TrainedModel) -> bytes:
    python, xgboost = running_python().split()[-1], needed_versions()["xgboost"]
    return mlmodel(model.encoding, model.task, len(model.classes), python=python, xgboost=xgboost)


def _requirements() -> bytes:
    """Return the pins of everything that reading and asking a package needs, as pip reads them."""
    pins = sorted(f"{name}=={number}" for name, number in _closure(NEEDED).items())
    header = "# what opens this package; install it on the Python and platform of manifest.json"
    return "\n".join([header, *pins, ""]).encode()


def _closure(names: tuple[str, ...]) -> dict[str, str]:
    """Return the installed versions of packages and of all they need here."""
    found: dict[str, str] = {}
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
        needs = [Requirement(text) for text in requires(name) or ()]
        waiting += [
            canonicalize_name(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})
        ]
    return found


def _put(folder: Path, manifest: Manifest, contents: dict[str, bytes]) -> None:
    """Write the files beside ``folder``, prove them there, and only then give them its name."""
    with draft_beside(folder) as draft:
        for name, content in {**contents, MANIFEST: manifest.content}.items():
            write_bytes(draft / name, content)
        first_load.run_child(draft, manifest)
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        sync_folder(folder.parent)
    first_load.remember(folder, manifest)
