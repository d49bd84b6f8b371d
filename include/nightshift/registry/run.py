"""The run of MLflow that holds a release's files and numbers."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightshift.files import canonical_json
from nightshift.registry.release import file_name
from nightshift.registry.server import MlflowServer, RefusedError, as_pairs

UPLOADS_AT_ONCE = 4
"""A far or slow server is waited for a quarter as long; one on this machine is busy with one already."""
DIGEST_LENGTH_MAX = 36
"""MLflow keeps no more of an input's digest; the whole one is in its source."""


@dataclass(frozen=True)
class Run:
    """One run: where its artifacts are, and what is written on it already."""

    run_id: str
    uri: str
    params: frozenset[str]
    has_inputs: bool

    @property
    def package_uri(self) -> str:
        return f"{self.uri}/package"

    @classmethod
    def of_json(cls, content: Mapping[str, Any]) -> "Run":
        """Return the run that MLflow describes."""
        return cls(
            run_id=content["info"]["run_id"],
            uri=content["info"]["artifact_uri"],
            params=frozenset(pair["key"] for pair in content.get("data", {}).get("params", [])),
            has_inputs=bool(content.get("inputs", {}).get("dataset_inputs")),
        )


def find_experiment(server: MlflowServer, model: str) -> str:
    """Return the id of the model's experiment, made if there is none."""
    name = f"nightshift/{model}"
    try:
        return _experiment_id(server, name)
    except RefusedError as refused:
        if not refused.is_absent:
            raise
    try:
        return str(server.post("experiments/create", name=name)["experiment_id"])
    except RefusedError as refused:
        if not refused.is_taken:
            raise
    return _experiment_id(server, name)  # a twin made it in between


def _experiment_id(server: MlflowServer, name: str) -> str:
    return str(server.get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])


def find_runs(server: MlflowServer, experiment: str, tags: Mapping[str, str]) -> list[Run]:
    """Return the runs that carry all of these tags."""
    condition = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    return [Run.of_json(content) for content in server.search_runs(experiment, condition)]


def open_run(server: MlflowServer, experiment: str, tags: Mapping[str, str], name: str) -> Run:
    """Return the run to fill: one that carries these tags, as a killed maker leaves it, else a new one."""
    left = find_runs(server, experiment, tags)
    if left:
        return left[0]
    order = {"experiment_id": experiment, "run_name": name, "start_time": _now_ms(), "tags": as_pairs(tags)}
    return Run.of_json(server.post("runs/create", **order)["run"])


def describe_run(
    server: MlflowServer,
    run: Run,
    *,
    metrics: Mapping[str, float],
    params: Mapping[str, Any],
    inputs: Mapping[str, Mapping[str, Any]],
) -> None:
    """Write what people look for on the run; what a killed maker has written stays."""
    now = _now_ms()
    server.post(
        "runs/log-batch",
        run_id=run.run_id,
        metrics=[{"key": key, "value": float(value), "timestamp": now, "step": 0} for key, value in metrics.items()],
        params=[pair for pair in as_pairs(params) if pair["key"] not in run.params],
    )
    if inputs and not run.has_inputs:
        datasets = [_dataset(name, **about) for name, about in inputs.items()]
        server.post("runs/log-inputs", run_id=run.run_id, datasets=datasets)


def fill_run(server: MlflowServer, run: Run, package: Path, evidence: Mapping[str, bytes]) -> None:
    """Upload the package and the evidence, then call the run finished."""
    files = {f"{run.package_uri}/{file_name(file.name)}": file.read_bytes() for file in sorted(package.iterdir())}
    files |= {f"{run.uri}/evidence/{name}": content for name, content in evidence.items()}
    with ThreadPoolExecutor(UPLOADS_AT_ONCE) as pool:
        list(pool.map(server.upload, files.keys(), files.values()))
    server.post("runs/update", run_id=run.run_id, status="FINISHED", end_time=_now_ms())


def _dataset(name: str, *, digest: str, source: str, rows: int) -> dict[str, Any]:
    """Return an input as MLflow's page *Datasets used* shows it: name, short digest, rows, and where it is."""
    return {
        "tags": [{"key": "mlflow.data.context", "value": name}],
        "dataset": {
            "name": name,
            "digest": digest[:DIGEST_LENGTH_MAX],
            "source_type": "nightshift",
            "source": canonical_json({"uri": source, "digest": digest}).decode(),
            "profile": canonical_json({"num_rows": rows}).decode(),
        },
    }


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
