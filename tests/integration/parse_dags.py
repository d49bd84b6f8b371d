"""Parse the DAG files as Airflow's processor does, in a process of its own, and tell what came of it as JSON.

``python parse_dags.py <folder of DAGs> <forms as JSON>``; the environment says which Airflow home and plugins.
"""

import json
import sys
import tempfile
from contextlib import redirect_stdout
from copy import deepcopy
from typing import Any

HEAVY = (
    "pandas", "numpy", "xgboost", "mlflow", "great_expectations", "feast", "dvc", "pyarrow", "sklearn", "scipy",
    "duckdb", "onnx", "onnxruntime",
)  # fmt: skip
PLUGIN_NAMES = ("assets", "declared", "operators", "sensors", "triggers", "notifiers")
"""What modules of our packages are called by their bare file names."""


def main() -> None:
    # Airflow talks on standard output while it parses
    with redirect_stdout(sys.stderr):
        told = parse(sys.argv[1], json.loads(sys.argv[2]))
    json.dump(told, sys.stdout)


def parse(folder: str, forms: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    from airflow.dag_processing.dagbag import DagBag

    with tempfile.TemporaryDirectory() as empty:
        DagBag(empty)
    before = set(sys.modules)
    bag = DagBag(folder)
    parsed = set(sys.modules)
    return {
        "loaded_before": sorted(before & set(HEAVY)),
        "loaded_by_parsing": sorted((parsed - before) & set(HEAVY)),
        "modules_of_nightshift": sorted(name for name in parsed if name.startswith("nightshift.")),
        "errors": bag.import_errors,
        "dags": {name: describe(dag) for name, dag in bag.dags.items()},
        "forms": {name: [refusal(bag.dags[name], form) for form in filled] for name, filled in forms.items()},
        "plugins": plugins(),
    }


def describe(dag: Any) -> dict[str, Any]:
    return {
        "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "operators": sorted({type(task).__name__ for task in dag.tasks}),
        "pools": sorted({task.pool for task in dag.tasks}),
        "retries": sorted({task.retries for task in dag.tasks}),
        "bounded": all(task.execution_timeout for task in dag.tasks) and bool(dag.dagrun_timeout),
        "templates": sorted({field for task in dag.tasks for field in task.template_fields}),
        "outlets": {task.task_id: [asset.name for asset in task.outlets] for task in dag.tasks if task.outlets},
        "timetable": type(dag.timetable).__name__,
        "schedule": schedule(dag.timetable),
        "catchup": dag.catchup,
        "runs_at_once": dag.max_active_runs,
        "page": dag.doc_md,
        "tags": sorted(dag.tags),
        "owner": dag.owner,
        "form": {name: dag.params.get_param(name).dump() for name in dag.params},
        "reasons": [task.reason for task in dag.tasks if hasattr(task, "reason")],
    }


def schedule(timetable: Any) -> dict[str, Any]:
    cron = getattr(timetable, "timetable", timetable)
    assets = getattr(timetable, "asset_condition", None)
    return {
        "cron": getattr(cron, "expression", None) or getattr(cron, "_expression", None),
        "zone": str(getattr(cron, "timezone", None) or getattr(cron, "_timezone", None)),
        "assets": sorted(asset.name for asset in getattr(assets, "objects", [])),
    }


def refusal(dag: Any, form: dict[str, Any]) -> str | None:
    """Return what Airflow says against a filled-in form; none if it takes it."""
    from airflow.sdk.definitions.param import ParamsDict

    # copies: what one form fills in must not be the default of the next
    params = ParamsDict({name: deepcopy(dag.params.get_param(name)) for name in dag.params})
    try:
        params.update(form)
        params.validate()
    except Exception as error:  # whatever it is, it is the answer
        return f"{type(error).__name__}: {error}"
    return None


def plugins() -> dict[str, Any]:
    from airflow import plugins_manager

    plugins_manager.ensure_plugins_loaded()
    return {"errors": plugins_manager.get_import_errors(), "bare": sorted(set(PLUGIN_NAMES) & set(sys.modules))}


if __name__ == "__main__":
    main()
