"""Specs, rows, models and packages to test the model room with."""

import shutil
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from nightshift.files import canonical_json, read_json, write_text
from nightshift.model.manifest import MANIFEST, Manifest
from nightshift.model.package import write_package
from nightshift.model.train import TrainedModel, train
from nightshift.spec import ModelSpec

START = datetime(2013, 1, 1, tzinfo=UTC)
LINEAGE = "ab" * 32
CONTRACT = {"format": 1, "columns": []}
PROFILE = {"format": 1, "columns": {}}
SPEC = """\
name: rides
purpose: What becomes of a ride?
owner: {team: city, contact: city@example.org}
task: binary
source: {path: rides/*.parquet}
key: ride_id
time: {column: at}
label: {column: outcome, matures_after: 1d}
features:
  distance: numeric
  speed: numeric
  weather: numeric
  zone: categorical
split: {train: 60d, validation: 20d, test: 20d, rows_min: 5}
training: {rounds: 40, early_stopping_rounds: 5, seed: 7, parameters: {max_depth: 4, eta: 0.3}}
"""
GATES: dict[str, Any] = {
    "binary": {"metrics": {"auc": {"at_least": 0.6}}, "champion": {"metric": "log_loss", "margin": 0.01}},
    "multiclass": {"metrics": {"accuracy": {"at_least": 0.5}}, "champion": {"metric": "log_loss", "margin": 0.01}},
    "regression": {"metrics": {"r2": {"at_least": 0.2}}, "champion": {"metric": "rmse", "margin": 0.5}},
}
ZONES = ("centre", "east", "harbour", "north", "south", "west")


def a_spec(task: str = "binary", *, parameters: dict[str, Any] | None = None, **changes: Any) -> ModelSpec:
    """Return the declaration of ``rides``; ``changes`` replace its top-level keys, ``parameters`` XGBoost's."""
    content = yaml.safe_load(SPEC) | {"task": task, "gates": GATES[task]} | changes
    if parameters is not None:
        content["training"] = {**content["training"], "parameters": parameters}
    return ModelSpec.model_validate(content)


def rides(task: str = "binary", *, rows: int = 1200, seed: int = 0, noise: float = 0.8, days: int = 20) -> pd.DataFrame:
    """Return rides whose outcome follows from distance, zone and some chance; a tenth of each feature is missing."""
    chance = np.random.default_rng(seed)
    distance = chance.normal(10, 3, rows)
    zone = chance.choice(ZONES, rows).astype(object)
    score = (distance - 10) / 3 + np.where(np.isin(zone, ["east", "harbour"]), 1.0, -0.5)
    score = score + chance.normal(0, noise, rows)
    frame = pd.DataFrame(
        {
            "ride_id": [f"r{seed}-{number:06}" for number in range(rows)],
            "at": pd.date_range(START, periods=rows, freq=timedelta(days=days) / rows, unit="us"),
            "outcome": _outcome(task, score),
            "distance": _holes(distance, chance),
            "speed": _holes(chance.gamma(2.0, 10.0, rows), chance),
            "weather": _holes(chance.integers(0, 5, rows).astype(float), chance),
            "zone": zone,
        }
    )
    frame.loc[chance.random(rows) < 0.1, "zone"] = None
    return frame


def _outcome(task: str, score: np.ndarray) -> Any:
    if task == "binary":
        return (score > 0).astype(float)
    if task == "multiclass":
        return np.array(["cancelled", "late", "on time"], dtype=object)[np.digitize(score, [-0.5, 0.7])]
    return 100 + 20 * score


def _holes(values: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    return np.where(chance.random(len(values)) < 0.1, np.nan, values)


@cache
def a_model(task: str = "binary") -> TrainedModel:
    """Return one trained model for each task; it is trained once for all tests."""
    return train(rides(task), rides(task, rows=400, seed=1), a_spec(task))


def a_lock(folder: Path) -> Path:
    """Write a lock and return its path."""
    write_text(folder / "requirements.txt", "xgboost==3.2.0\n")
    return folder / "requirements.txt"


def pack(folder: Path, task: str = "binary", *, model: TrainedModel | None = None, **changes: Any) -> Manifest:
    """Write a package of ``rides`` into ``folder``."""
    given: dict[str, Any] = {
        "profile": PROFILE,
        "contract": CONTRACT,
        "golden": rides(task, rows=300, seed=2),
        "earlier": rides(task, rows=40, seed=1),
        "lock": a_lock(folder.parent),
        "lineage_digest": LINEAGE,
    }
    return write_package(folder, model or a_model(task), a_spec(task), **(given | changes))


def copy_of(package: Path, to: Path) -> Path:
    """Return a copy of a package that a test may spoil; nothing is known of it yet."""
    shutil.copytree(package, to)
    return to


def reseal(folder: Path, name: str, content: bytes, **changes: Any) -> Path:
    """Put other bytes under ``name`` and correct the manifest, as somebody would who wants to be believed.

    ``changes`` replace top-level keys of the manifest.
    """
    (folder / name).write_bytes(content)
    manifest = read_json(folder / MANIFEST)
    manifest["files"][name] = {"sha256": sha256(content).hexdigest(), "size": len(content)}
    (folder / MANIFEST).write_bytes(canonical_json({**manifest, **changes}) + b"\n")
    return folder
