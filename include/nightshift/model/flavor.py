"""A package as MLflow's own tools see it: ``mlflow.pyfunc.load_model("models:/flight_delay/3")``.

The file ``MLmodel`` in a package says to them what is there; MLflow itself is
not needed, neither to write it nor to open it.
"""

import json
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import yaml

from nightshift.model.encoding import Encoding
from nightshift.model.manifest import FILES, MANIFEST, NATIVE, REQUIREMENTS
from nightshift.model.package import ModelPackage, open_package
from nightshift.spec import Kind, Task

if TYPE_CHECKING:
    import pandas as pd


class PackageModel:
    """What MLflow asks: raw rows in a frame, answers out."""

    def __init__(self, package: ModelPackage) -> None:
        self.package = package

    def predict(self, rows: "pd.DataFrame", params: dict[str, Any] | None = None) -> Any:  # noqa: ARG002 - MLflow's signature
        """Return what :meth:`ModelPackage.predict` returns."""
        return self.package.predict(rows)


def _load_pyfunc(path: str) -> PackageModel:
    """Return the package in ``path``, proven; MLflow calls this, and puts notes of its own among the files."""
    with TemporaryDirectory() as room:
        folder = Path(room) / "package"
        folder.mkdir()
        for name in sorted(FILES | {MANIFEST}):
            if (Path(path) / name).exists():
                copyfile(Path(path) / name, folder / name)
        return PackageModel(open_package(folder))


def mlmodel(encoding: Encoding, task: Task, classes: int, *, python: str, xgboost: str) -> bytes:
    """Return the file ``MLmodel`` of a package.

    Parameters
    ----------
    python, xgboost
        Versions it was made with.
    """
    content = {
        "flavors": {
            "python_function": {
                "loader_module": __name__,
                "python_version": python,
                "env": {"virtualenv": REQUIREMENTS},
            },
            "xgboost": {
                "data": NATIVE,
                "model_class": "xgboost.core.Booster",
                "model_format": "ubj",
                "xgb_version": xgboost,
                "code": None,
            },
        },
        "signature": _signature(encoding, task, classes),
    }
    return yaml.safe_dump(content, sort_keys=True, width=1000).encode()


def _signature(encoding: Encoding, task: Task, classes: int) -> dict[str, str | None]:
    inputs = [
        {"name": name, "type": "string" if kind is Kind.CATEGORICAL else "double", "required": True}
        for name, kind in encoding.kinds.items()
    ]
    shape = [-1, classes] if task is Task.MULTICLASS else [-1]
    outputs = [{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": shape}}]
    return {"inputs": json.dumps(inputs), "outputs": json.dumps(outputs), "params": None}
